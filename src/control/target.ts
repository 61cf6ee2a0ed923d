import type {
  CloseReason,
  ConnectionId,
  ConnectionInfo,
  EngineStats,
  ListenerId,
  SessionId,
} from '../engine/engine.ts';

/** What the control interface sees of a relay, and may do to it. The server implements it. */
export interface ControlTarget {
  readonly engine: {
    readonly kind: string;
    readonly framer: string;
    readonly version?: string;
    readonly reason: string;
  };
  readonly listeners: readonly { readonly listener: ListenerId; readonly uri: string }[];
  /** Draining or stopped: takes nothing new. */
  readonly draining: boolean;
  /** On the clock of connections and sessions. */
  nowMs(): number;
  stats(): EngineStats;
  connections(): ConnectionInfo[];
  sessions(): ControlSession[];
  /** False: there is none of that number. */
  closeConnection(connection: ConnectionId, reason: CloseReason): boolean;
  closeSession(session: SessionId): boolean;
  logLevel: string;
  /** Reads the configuration again; rejects, changing nothing, when it cannot be used. */
  reloadSource(): Promise<{ readonly reloadable: readonly string[]; readonly needsRestart: readonly string[] }>;
  /** Begins to drain; returns at once. */
  beginDrain(): void;
  /** Whether connections are traced over HEP; undefined when no destination is configured. */
  tracing: boolean | undefined;
  /** TLS domains, a row for each certificate: what `tls_list` shows of them. */
  tlsDomains(): readonly object[];
  /** Reads certificates and keys again. Throws with all that is wrong, changing nothing, when one cannot be used. */
  reloadTls(): void;
}

/** A session as both planes see it, without its URI. */
export interface ControlSession {
  readonly session: SessionId;
  readonly user: string;
  readonly realm: string;
  readonly connection: ConnectionId;
  /** First URI of the client's path. */
  readonly client: string;
  /** The session-id, shortened: the whole is a secret (core C-117). */
  readonly shortId: string;
  readonly peer?: ConnectionId;
  readonly expiresAtMs: number;
  readonly framesIn?: number;
  readonly framesOut?: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}
