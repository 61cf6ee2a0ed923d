import type { CloseReason, SessionCloseReason } from '../engine.ts';
import type { Connection } from './connection.ts';
import { failAll } from './fail.ts';
import { releaseWaiters } from './flow.ts';
import type { Plane } from './plane.ts';
import type { Session } from './session.ts';

/** Reasons after which nothing can or should be written any more. */
const ABRUPT: ReadonlySet<CloseReason> = new Set<CloseReason>([
  'peer_reset',
  'send_timeout',
  'shutdown',
  'connect_failed',
  'connect_timeout',
  'hop_refused',
  'merged',
  'tls_handshake_failed',
  'tls_handshake_timeout',
  'max_handshakes',
]);

/**
 * Closes a connection and settles everything that hangs on it (docs/CLOSURES.md): its sessions end, the chunk that it was
 * sending is finished with `#`, what others were sending it fails, sources that waited for it go on. What is queued already is
 * still written, unless the reason says that it cannot be. `status`: what its transactions fail with.
 */
export function closeConnection(
  plane: Plane,
  connection: Connection,
  reason: CloseReason,
  detail?: string,
  status = 408,
): void {
  if (connection.state === 'closing' || connection.state === 'closed') return;
  const wasOpen = connection.state === 'open';
  plane.counters.close(reason);
  connection.state = wasOpen && !ABRUPT.has(reason) ? 'closing' : 'closed';
  connection.lastActiveMs = plane.nowMs;
  for (const session of connection.sessions) {
    if (session.relay === undefined) closeSession(plane, session, 'connection_closed');
  }
  connection.incoming?.sourceLost();
  connection.incoming = undefined;
  connection.outgoing?.targetLost();
  connection.outgoing = undefined;
  failAll(plane, connection, status);
  releaseWaiters(connection);
  if (connection.pauses > 0) for (const other of plane.connections.values()) other.waiters.delete(connection);
  connection.pauses = 0;
  if (connection.requests > 0) {
    for (const [id, request] of plane.requests) if (request.connection === connection) plane.requests.delete(id);
  }
  forget(plane, connection);
  tellLast(connection);
  const failed = connection.failedHandshake;
  plane.emit({
    type: 'closed',
    connection: connection.id,
    direction: connection.direction,
    ...(connection.listener === undefined ? {} : { listener: connection.listener }),
    ...(connection.local.port === 0 ? {} : { local: connection.local }),
    remote: connection.remote,
    reason,
    ...(detail === undefined ? {} : { detail }),
    ...(failed === undefined ? {} : { handshake: failed.failure }),
    ...(failed?.domain === undefined ? {} : { tlsDomain: failed.domain }),
    bytesIn: connection.bytesIn,
    bytesOut: connection.bytesOut,
  });
  if (connection.state === 'closing') plane.touch(connection);
  else {
    destroy(plane, connection);
    connection.outbox.clear();
  }
}

/** The frames that still go out are told before its end is. */
function tellLast(connection: Connection): void {
  if (connection.tap === undefined) return;
  if (connection.state === 'closing')
    for (const segment of connection.outbox.waiting()) connection.tap.out.push(segment);
  connection.tap = undefined;
}

/** The transport is gone, or goes now: the connection leaves the table. */
export function destroy(plane: Plane, connection: Connection): void {
  connection.state = 'closed';
  connection.transport?.destroy();
  connection.transport = undefined;
  if (plane.connections.delete(connection.id) && connection.direction === 'in') {
    const { address } = connection.remote;
    const others = (plane.connectionsPerIp.get(address) ?? 1) - 1;
    if (others === 0) plane.connectionsPerIp.delete(address);
    else plane.connectionsPerIp.set(address, others);
  }
}

/** Ends a session; the control plane is told, whoever has ended it. */
export function closeSession(plane: Plane, session: Session, reason: SessionCloseReason): void {
  if (!session.open) return;
  session.open = false;
  session.version++;
  plane.sessions.delete(session);
  session.connection.sessions.delete(session);
  plane.emit({ type: 'sessionClosed', session: session.id, reason });
}

function forget(plane: Plane, connection: Connection): void {
  const { poolKey, relay } = connection;
  if (poolKey !== undefined && plane.pool.get(poolKey) === connection) plane.pool.delete(poolKey);
  if (relay !== undefined) {
    const others = plane.relays.get(relay);
    others?.delete(connection);
    if (others?.size === 0) plane.relays.delete(relay);
  }
  connection.routes.clear();
  connection.lastRoute = undefined;
  connection.rest = NOTHING;
  connection.restLength = 0;
}

const NOTHING = Buffer.alloc(0);
