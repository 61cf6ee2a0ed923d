import { closeConnection, closeSession, destroy } from './close.ts';
import type { Connection } from './connection.ts';
import { expireTransactions } from './fail.ts';
import { shedIfStuck } from './flow.ts';
import type { Plane } from './plane.ts';

/** The coarse timers of an engine, run every {@link TICK_MS}: only what waits for something short is looked at each time. */
export class Sweeper {
  readonly #plane: Plane;
  #lastFullMs: number;

  constructor(plane: Plane) {
    this.#plane = plane;
    this.#lastFullMs = plane.nowMs;
  }

  tick(): void {
    const plane = this.#plane;
    for (const connection of plane.writing) checkProgress(plane, connection);
    if (plane.nowMs - this.#lastFullMs < FULL_SWEEP_MS) return;
    this.#lastFullMs = plane.nowMs;
    for (const session of plane.sessions.values()) {
      if (session.expiresAtMs <= plane.nowMs) closeSession(plane, session, 'expired');
    }
    for (const connection of plane.connections.values()) checkConnection(plane, connection);
  }
}

export const TICK_MS = 100;
const FULL_SWEEP_MS = 1000;

/** Full for this long, a target is given up by sources that carry other sessions too (relay R-085). */
const STUCK_MS = 30_000;

/** A next hop that the control plane has not decided about is refused after this long. */
const ASKING_MS = 60_000;

/** A peer that does not close its side is cut off. */
const CLOSING_MS = 5000;

/** `send_timeout`: while data waits, the kernel must take some of it now and then. */
function checkProgress(plane: Plane, connection: Connection): void {
  const left = connection.transport?.unwritten ?? 0;
  if (left !== connection.writeLeft) {
    connection.writeLeft = left;
    connection.writeProgressMs = plane.nowMs;
    return;
  }
  const { sendTimeoutMs } = plane.limits;
  if (sendTimeoutMs === 0 || plane.nowMs - connection.writeProgressMs < sendTimeoutMs) return;
  if (connection.state === 'open') closeConnection(plane, connection, 'send_timeout');
  else destroy(plane, connection);
  plane.writing.delete(connection);
}

function checkConnection(plane: Plane, connection: Connection): void {
  const { nowMs, limits } = plane;
  expireTransactions(plane, connection);
  shedIfStuck(plane, connection, STUCK_MS);
  const quietMs = nowMs - connection.lastActiveMs;
  if (connection.state === 'closing') {
    if (quietMs >= CLOSING_MS) destroy(plane, connection);
  } else if (connection.state === 'asking') {
    if (nowMs - connection.openedAtMs >= ASKING_MS) closeConnection(plane, connection, 'hop_refused', 'no decision');
  } else if (connection.state === 'open') {
    if (connection.probation && limits.probationMs !== 0 && nowMs - connection.openedAtMs >= limits.probationMs) {
      closeConnection(plane, connection, 'probation');
    } else if (limits.idleMs !== 0 && quietMs >= limits.idleMs) closeConnection(plane, connection, 'idle');
  }
}
