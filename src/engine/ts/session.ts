import type { SessionId, SessionSpec } from '../engine.ts';
import { parseUri, sameUri, sameUriText } from '../../syntax/uri.ts';
import type { MsrpUri } from '../../syntax/uri.ts';
import type { Connection } from './connection.ts';

/** A session: what a successful AUTH has opened (relay section 1, "Binding"). */
export class Session {
  readonly id: SessionId;
  readonly uri: string;
  readonly parsed: MsrpUri;
  readonly clientPath: readonly string[];
  readonly exclusivePeer: boolean;
  /** Set when the client is behind another relay, which any verified connection of that name stands for. */
  readonly relay: string | undefined;
  /** The connection of the client, or the latest one of its relay. */
  connection: Connection;
  expiresAtMs: number;
  open = true;
  /** Grows whenever a route through this session may have become another one. */
  version = 0;
  /** The connection that the other side was last heard on, for this session only. */
  peer: Connection | undefined;
  peerUri = '';
  /** Connections to next hops that the control plane has allowed, by URI text. */
  readonly hops = new Map<string, Connection>();
  framesOut = 0;
  bytesOut = 0;
  framesIn = 0;
  bytesIn = 0;

  constructor(id: SessionId, spec: SessionSpec, connection: Connection) {
    const parsed = parseUri(spec.uri);
    if (parsed?.sessionId === undefined) throw new TypeError('a session needs a URI with a session-id');
    this.id = id;
    this.uri = spec.uri;
    this.parsed = parsed;
    this.clientPath = spec.clientPath;
    this.exclusivePeer = spec.exclusivePeer;
    this.relay = 'relay' in spec.previousHop ? spec.previousHop.relay : undefined;
    this.connection = connection;
    this.expiresAtMs = spec.expiresAtMs;
  }

  /** True when a request that came in on `connection` with this From-Path was sent by the client. */
  isFromClient(connection: Connection, fromPath: readonly string[]): boolean {
    const known = connection === this.connection || (this.relay !== undefined && connection.relay === this.relay);
    if (!known || fromPath.length !== this.clientPath.length) return false;
    return fromPath.every((uri, i) => sameUriText(uri, this.clientPath[i] as string));
  }
}

/** Sessions by number and by URI. */
export class SessionTable {
  readonly #byId = new Map<SessionId, Session>();
  /** By session-id: the random part of the URI. */
  readonly #bySecret = new Map<string, Session>();

  get size(): number {
    return this.#byId.size;
  }

  add(session: Session): void {
    const secret = session.parsed.sessionId as string;
    if (this.#bySecret.has(secret)) throw new TypeError('a session-id is used twice');
    this.#byId.set(session.id, session);
    this.#bySecret.set(secret, session);
  }

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  delete(session: Session): void {
    this.#byId.delete(session.id);
    this.#bySecret.delete(session.parsed.sessionId as string);
  }

  values(): IterableIterator<Session> {
    return this.#byId.values();
  }

  /** The session whose URI this is, by full comparison (R-050, core section 7). */
  find(uri: string): Session | undefined {
    const parsed = parseUri(uri);
    if (parsed?.sessionId === undefined) return undefined;
    const session = this.#bySecret.get(parsed.sessionId);
    return session !== undefined && sameUri(session.parsed, parsed) ? session : undefined;
  }
}
