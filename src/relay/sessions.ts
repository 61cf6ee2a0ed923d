import type { ConnectionId, SessionId } from '../engine/engine.ts';
import { TID_ALPHABET } from '../syntax/tid.ts';
import { hostText, parseUri } from '../syntax/uri.ts';
import type { ListenerIdentity } from './settings.ts';

/** What the control plane knows of a session. */
export interface SessionEntry {
  readonly session: SessionId;
  readonly uri: string;
  readonly user: string;
  readonly realm: string;
  readonly connection: ConnectionId;
  /** First URI of the client's path, for the views of operators. */
  readonly client: string;
  /** Host of the relay that the client is behind, if it is. */
  readonly relay: string | undefined;
  /** On the engine's clock. */
  expiresAtMs: number;
}

/** All sessions, countable by user and by connection. */
export class SessionRegistry {
  readonly #byId = new Map<SessionId, SessionEntry>();
  readonly #bySessionId = new Map<string, SessionEntry>();
  readonly #perUser = new Map<string, number>();
  readonly #perConnection = new Map<ConnectionId, number>();

  get size(): number {
    return this.#byId.size;
  }

  add(entry: SessionEntry): void {
    this.#byId.set(entry.session, entry);
    this.#bySessionId.set(sessionIdOf(entry), entry);
    count(this.#perUser, userKey(entry.user, entry.realm), 1);
    count(this.#perConnection, entry.connection, 1);
  }

  /** Forgets a session; returns what it was. */
  remove(session: SessionId): SessionEntry | undefined {
    const entry = this.#byId.get(session);
    if (entry === undefined) return undefined;
    this.#byId.delete(session);
    this.#bySessionId.delete(sessionIdOf(entry));
    count(this.#perUser, userKey(entry.user, entry.realm), -1);
    count(this.#perConnection, entry.connection, -1);
    return entry;
  }

  get(session: SessionId): SessionEntry | undefined {
    return this.#byId.get(session);
  }

  /** The session whose URI has that session-id. */
  bySessionId(sessionId: string): SessionEntry | undefined {
    return this.#bySessionId.get(sessionId);
  }

  ofUser(user: string, realm: string): number {
    return this.#perUser.get(userKey(user, realm)) ?? 0;
  }

  ofConnection(connection: ConnectionId): number {
    return this.#perConnection.get(connection) ?? 0;
  }

  values(): IterableIterator<SessionEntry> {
    return this.#byId.values();
  }
}

/**
 * A URI for a new session: the relay's own authority and a session-id of 144 random bits, which is the whole secret (R-034,
 * core C-116).
 */
export function makeSessionUri(identity: ListenerIdentity, random: (into: Uint8Array) => void): string {
  const bytes = new Uint8Array(SECRET_LENGTH);
  random(bytes);
  let secret = '';
  for (const byte of bytes) secret += String.fromCharCode(TID_ALPHABET[byte & 63] as number);
  return `${identity.tls ? 'msrps' : 'msrp'}://${hostText(identity.host)}:${identity.port}/${secret};tcp`;
}

const SECRET_LENGTH = 24;

function sessionIdOf(entry: SessionEntry): string {
  return parseUri(entry.uri)?.sessionId ?? '';
}

function userKey(user: string, realm: string): string {
  return `${user}\0${realm}`;
}

function count<K>(counts: Map<K, number>, key: K, by: number): void {
  const value = (counts.get(key) ?? 0) + by;
  if (value === 0) counts.delete(key);
  else counts.set(key, value);
}
