import type { ConnectionInfo, SessionInfo } from '../engine.ts';
import type { Connection } from './connection.ts';
import type { Session } from './session.ts';

/** A connection as operators see it. */
export function connectionInfo(connection: Connection): ConnectionInfo {
  const { state, listener, tls } = connection;
  return {
    connection: connection.id,
    direction: connection.direction,
    ...(listener === undefined ? {} : { listener }),
    state: state === 'closed' ? 'closing' : state === 'open' && connection.probation ? 'probation' : state,
    remote: connection.remote,
    local: connection.local,
    ...(tls === undefined ? {} : { tls }),
    openedAtMs: connection.openedAtMs,
    queuedBytes: connection.outbox.bytes,
    sessions: connection.sessions.size,
    transactions: connection.awaited.count,
    paused: connection.pauses > 0,
    bytesIn: connection.bytesIn,
    bytesOut: connection.bytesOut,
  };
}

/** A session as operators see it; its URI is a secret and not part of it (core C-117). */
export function sessionInfo(session: Session): SessionInfo {
  const { peer } = session;
  return {
    session: session.id,
    connection: session.connection.id,
    ...(peer?.state === 'open' ? { peer: peer.id } : {}),
    expiresAtMs: session.expiresAtMs,
    framesOut: session.framesOut,
    bytesOut: session.bytesOut,
    framesIn: session.framesIn,
    bytesIn: session.bytesIn,
  };
}
