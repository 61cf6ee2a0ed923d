import { closeConnection } from './close.ts';
import type { Connection } from './connection.ts';
import type { Plane } from './plane.ts';

/**
 * A next hop turns out to be connected already: what was queued for it, what waits for answers, and who waits for room, all
 * goes over to the connection that is there.
 */
export function merge(plane: Plane, hop: Connection, into: Connection): void {
  hop.outgoing?.interrupt();
  into.outgoing?.interrupt();
  into.outbox.appendAll(hop.outbox);
  for (const list of [hop.awaited, hop.unanswered])
    while (list.oldest !== undefined) plane.transactions.move(list.oldest, into);
  for (const source of hop.waiters) {
    // Each waits once for each full connection.
    if (into.waiters.has(source)) source.pauses--;
    else into.waiters.add(source);
  }
  hop.waiters.clear();
  if (into.waiters.size > 0 && into.fullSinceMs < 0) into.fullSinceMs = plane.nowMs;
  hop.movedTo = into;
  closeConnection(plane, hop, 'merged');
  plane.touch(into);
}
