import { METHOD } from '../../frame/record.ts';
import { parseUri, sameUriText } from '../../syntax/uri.ts';
import type { Connection } from './connection.ts';
import type { Plane } from './plane.ts';
import type { Session } from './session.ts';

/** Where the requests with one pair of paths go, and the bytes that all of them share on the way out. */
export interface Route {
  /** As received. */
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  /** 0: goes to `target`. {@link UP}: for the control plane. Else the status of the refusal (relay ). */
  readonly verdict: number;
  /** First To-Path URI names another host: R-042. */
  readonly misdirected: boolean;
  /** Own sessions on the path, in its order: one, or more when a path leads through several sessions of this relay. */
  readonly sessions: readonly Session[];
  /** Sum of their versions, to see whether the route still holds. */
  readonly version: number;
  readonly target: Connection | undefined;
  /** Towards the client of the (last) session, not from it. */
  readonly toClient: boolean;
  /** `To-Path` and `From-Path` lines of what is forwarded (relay R-052). */
  readonly paths: string;
  /** Behind the transaction id of a forwarded SEND, up to its headers. */
  readonly sendHead: Buffer;
  /** Behind the transaction id of a 200 to a SEND, up to the transaction id of its end-line (core C-073). */
  readonly okTail: Buffer;
}

/** Verdict: the request is for this relay itself, and the control plane answers it. */
export const UP = 1;

/** Still the same session, connection and peer as when it was made. */
export function isCurrent(route: Route, nowMs: number): boolean {
  if (route.target === undefined || !route.target.usable) return false;
  let version = 0;
  for (const session of route.sessions) {
    if (!session.open || session.expiresAtMs <= nowMs) return false;
    version += session.version;
  }
  return version === route.version;
}

/**
 * Decides where a request goes, in the order of relay section 6. A next hop that is not known becomes a connection in the
 * state `asking`, and a `hop` event.
 */
export function resolveRoute(
  plane: Plane,
  connection: Connection,
  method: number,
  methodName: string,
  toPath: readonly string[],
  fromPath: readonly string[],
): Route {
  const sessions: Session[] = [];
  const refuse = (verdict: number, misdirected = false): Route => refusedRoute(toPath, fromPath, verdict, misdirected);
  for (let i = 0; ; i++) {
    const own = toPath[i] as string;
    const session = findOpen(plane, own);
    if (session === undefined) {
      const parsed = parseUri(own);
      if (i === 0 && (parsed === undefined || !plane.isOwn(parsed))) return refuse(481, true);
      return i === 0 && isForUs(method, toPath.length) ? refuse(UP) : refuse(481);
    }
    const next = toPath[i + 1];
    if (next === undefined) return i === 0 && isForUs(method, toPath.length) ? refuse(UP) : refuse(481);
    sessions.push(session);
    const clientHop = session.clientPath[0] as string;
    if (sameUriText(next, clientHop)) {
      const target = clientConnection(plane, session);
      if (target === undefined) return refuse(481);
      return makeRoute(toPath, fromPath, sessions, target, true);
    }
    // Only the client itself may go anywhere else; what comes out of another own session is no client.
    if (i > 0 || !session.isFromClient(connection, fromPath)) return refuse(403);
    if (plane.sessions.find(next) !== undefined) continue;
    const parsed = parseUri(next);
    if (parsed === undefined || plane.isOwn(parsed)) return refuse(method === METHOD.AUTH ? 403 : 481);
    const target = nextHop(plane, session, connection, methodName, next, toPath.length - i - 1);
    if (target === undefined) return refuse(403);
    return makeRoute(toPath, fromPath, sessions, target, false);
  }
}

/** The route of a request that goes nowhere. */
export function refusedRoute(
  toPath: readonly string[],
  fromPath: readonly string[],
  verdict: number,
  misdirected = false,
): Route {
  return {
    toPath,
    fromPath,
    verdict,
    misdirected,
    sessions: [],
    version: 0,
    target: undefined,
    toClient: false,
    paths: '',
    sendHead: NOTHING,
    okTail: NOTHING,
  };
}

/** The session with that URI, unless it has expired. */
function findOpen(plane: Plane, uri: string): Session | undefined {
  const session = plane.sessions.find(uri);
  return session !== undefined && session.expiresAtMs > plane.nowMs ? session : undefined;
}

/** SEND and REPORT are never for a relay itself; anything else with one URI is. */
function isForUs(method: number, pathLength: number): boolean {
  return pathLength === 1 && method !== METHOD.SEND && method !== METHOD.REPORT;
}

/** The connection of the session's client; of a client behind another relay, the latest connection of that relay. */
function clientConnection(plane: Plane, session: Session): Connection | undefined {
  if (session.connection.usable) return session.connection;
  if (session.relay === undefined) return undefined;
  let latest: Connection | undefined;
  for (const connection of plane.relays.get(session.relay) ?? []) if (connection.usable) latest = connection;
  if (latest !== undefined) session.connection = latest;
  return latest;
}

/** The connection towards a next hop of the client: learned, allowed before, or to be asked for. */
function nextHop(
  plane: Plane,
  session: Session,
  connection: Connection,
  method: string,
  uri: string,
  pathLength: number,
): Connection | undefined {
  const { peer, hops } = session;
  if (peer !== undefined && peer.usable && sameUriText(session.peerUri, uri)) return peer;
  let known = hops.get(uri);
  if (known?.movedTo !== undefined) {
    known = known.movedTo;
    hops.set(uri, known);
  }
  if (known?.usable === true) return known;
  for (const [key, hop] of hops) if (!hop.usable) hops.delete(key);
  if (hops.size >= HOPS_PER_SESSION || plane.draining) return undefined;
  const hop = plane.addConnection('out', 'asking', { address: '', port: 0 });
  hops.set(uri, hop);
  plane.emit({ type: 'hop', hop: hop.id, session: session.id, connection: connection.id, method, uri, pathLength });
  return hop;
}

/** Next hops that one session may have open at a time: a conversation has one or two. */
const HOPS_PER_SESSION = 16;

const NOTHING = Buffer.alloc(0);

function makeRoute(
  toPath: readonly string[],
  fromPath: readonly string[],
  sessions: readonly Session[],
  target: Connection,
  toClient: boolean,
): Route {
  const passed = toPath.slice(0, sessions.length);
  const to = toPath.slice(sessions.length).join(' ');
  const paths = `To-Path: ${to}\r\nFrom-Path: ${[...passed.toReversed(), ...fromPath].join(' ')}\r\n`;
  return {
    toPath,
    fromPath,
    verdict: 0,
    misdirected: false,
    sessions,
    version: sessions.reduce((sum, session) => sum + session.version, 0),
    target,
    toClient,
    paths,
    sendHead: Buffer.from(` SEND\r\n${paths}`, 'latin1'),
    okTail: Buffer.from(` 200 OK\r\nTo-Path: ${fromPath[0]}\r\nFrom-Path: ${toPath[0]}\r\n-------`, 'latin1'),
  };
}
