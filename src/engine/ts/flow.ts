import type { Connection } from './connection.ts';
import type { Plane } from './plane.ts';

/**
 * Back-pressure (architecture invariant I2): a connection whose outbox or transaction list is full is not fed any more. Those
 * that feed it are not read from, until it is down to half.
 */
export function holdIfFull(plane: Plane, source: Connection, target: Connection): void {
  const { outboxBytes, transactionsPerConnection } = plane.limits;
  // The answers that a source owes come by reading it: two that wait for each other's would wait for good.
  const owed = target.awaited.count;
  const owesTooMany =
    transactionsPerConnection !== 0 &&
    owed > transactionsPerConnection &&
    (source.awaited.count <= transactionsPerConnection / 2 || owed > 2 * transactionsPerConnection);
  if (!owesTooMany && (outboxBytes === 0 || target.outbox.bytes <= outboxBytes)) return;
  if (target.fullSinceMs < 0) target.fullSinceMs = plane.nowMs;
  target.owesTooMany ||= owesTooMany;
  if (target.waiters.has(source)) return;
  target.waiters.add(source);
  pause(plane, source);
}

/** Lets the sources of a connection go on once it is down to half of its limits. */
export function releaseIfDrained(plane: Plane, target: Connection): void {
  if (target.fullSinceMs < 0) return;
  const { outboxBytes, transactionsPerConnection } = plane.limits;
  if (outboxBytes !== 0 && target.outbox.bytes > outboxBytes / 2) return;
  const owes = (connection: Connection): boolean =>
    transactionsPerConnection !== 0 && connection.awaited.count > transactionsPerConnection / 2;
  if (target.owesTooMany && owes(target)) {
    for (const source of target.waiters) {
      if (owes(source) && target.waiters.delete(source)) resume(source);
    }
    if (target.waiters.size === 0 && !target.shedding) target.fullSinceMs = -1;
    return;
  }
  releaseWaiters(target);
}

/** Lets the sources of a connection go on whatever it holds: it has closed, or its frames are failed from now on. */
export function releaseWaiters(target: Connection): void {
  target.fullSinceMs = -1;
  target.shedding = false;
  target.owesTooMany = false;
  for (const source of target.waiters) resume(source);
  target.waiters.clear();
}

/** Stops reading of a connection, for one more cause. */
export function pause(plane: Plane, connection: Connection): void {
  if (connection.pauses++ > 0) return;
  plane.counters.pauses++;
  connection.transport?.pause();
}

/** Takes one cause away. */
export function resume(connection: Connection): void {
  if (--connection.pauses === 0 && connection.state === 'open') connection.transport?.resume();
}

/**
 * A target has been full for too long: what is meant for it fails from now on until it has drained, so that a source which
 * carries other sessions too can go on with these (relay R-085). A source with that one route just waits.
 */
export function shedIfStuck(plane: Plane, target: Connection, stuckMs: number): void {
  if (target.fullSinceMs < 0 || target.shedding || plane.nowMs - target.fullSinceMs < stuckMs) return;
  for (const source of target.waiters) {
    if (source === target || source.routes.size <= 1) continue;
    target.shedding = true;
    target.waiters.delete(source);
    resume(source);
  }
}
