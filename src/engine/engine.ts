/**
 * The engine contract: the data plane as the control plane sees it.
 *
 * An engine owns the sockets, frames, forwards, times transactions and bounds every queue. Commands go down and return at
 * once; events come up in batches. Nothing here is a Node stream, socket or TLS object, so that threads in Rust can stand
 * behind it as well as `node:net` (docs/ARCHITECTURE.md, "Two planes").
 *
 * Engine invariant I3: nothing is forwarded but for a session opened by {@link Engine.openSession}, and nothing is dialled
 * but by {@link Engine.connectHop}.
 */
export interface Engine {
  readonly kind: 'ts' | 'native';

  /** Binds a listener and starts accepting. Rejects with `E_LISTEN` or `E_TLS_MATERIAL`. */
  listen(spec: ListenSpec): Promise<BoundListener>;
  /** Stops accepting; connections stay. */
  unlisten(listener: ListenerId): void;
  /** Replaces the domains of a TLS listener for handshakes that begin from now on. Throws `E_TLS_MATERIAL`, changing nothing. */
  updateTls(listener: ListenerId, tls: TlsServerSpec): void;

  /** Names under which this relay is addressed: the hosts and ports of its listeners, and `my_uri` (relay R-042). */
  setAuthorities(authorities: readonly OwnAuthority[]): void;
  /** Replaces the limits; those of a framer hold for connections opened from now on. */
  setLimits(limits: EngineLimits): void;

  /** Opens a session: from now on its URI is forwarded for (RFC 4976 section 6.3, relay R-034). */
  openSession(spec: SessionSpec): SessionId;
  /** Moves the end of a session (relay D-41). Unknown ids are ignored: the session has just gone. */
  extendSession(session: SessionId, expiresAtMs: number): void;
  closeSession(session: SessionId, reason: SessionCloseReason): void;

  /** Answers a `request` event. An id that is unknown, or whose connection has gone, is ignored. */
  answer(request: RequestId, response: Answer): void;

  /**
   * Decides a `hop` event: use an open connection with the same `key`, else dial. What has been queued meanwhile goes out
   * when it is open; when every candidate fails, its requests fail with 408.
   */
  connectHop(hop: ConnectionId, spec: ConnectSpec): void;
  /** Decides a `hop` event: its requests fail with that status (REPORT or response, relay R-062). */
  refuseHop(hop: ConnectionId, status: number): void;

  /** Says that a connection stands for a relay of that name, proven by its certificate (relay R-030). */
  identify(connection: ConnectionId, relay: string): void;
  closeConnection(connection: ConnectionId, reason: CloseReason): void;

  /**
   * Opens a connection whose bytes the control plane moves: a WebSocket. `opened` follows, or `closed` when a limit refuses it;
   * from then on it is one like any other, but for {@link Engine.feed} and {@link Engine.take}.
   */
  openExternal(spec: ExternalSpec): ConnectionId;
  /**
   * Hands in bytes that have come in on an external connection; they are free again when it returns. Gives how many wait to be
   * read: from {@link FEED_BYTES} on, no more before a `room` event. What comes all the same is kept, so whoever cannot stop it
   * must close the connection some time.
   */
  feed(connection: ConnectionId, bytes: Uint8Array): number;
  /**
   * Takes out what goes out on an external connection; undefined when nothing waits, and then an `output` event says when
   * something does. What was taken before counts as sent from then on: until that it is in the outbox, and its sources are not
   * read from while that is full.
   */
  take(connection: ConnectionId): Output | undefined;
  /** An external connection has gone, or is of no use any more: it closes with that reason, and nothing is written. */
  endExternal(connection: ConnectionId, reason: CloseReason, detail?: string): void;
  /** As {@link traceFrames} for each connection that opens from now on, from its first frame on; −1 ends it. */
  traceNew(bodyBytes: number): void;
  /**
   * From now on each frame of a connection comes up as a `frame` event with at most `bodyBytes` of its body; −1 ends it. What
   * is not traced costs nothing. Begins with the next frame that begins with a read, or a write, of its own.
   */
  traceFrames(connection: ConnectionId, bodyBytes: number): void;

  connections(): ConnectionInfo[];
  sessions(): SessionInfo[];
  stats(): EngineStats;

  /**
   * Stops accepting and waits until every transaction is finished and every outbox empty, at most `timeoutMs`; then closes
   * all connections.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Closes everything at once and releases the sockets. */
  stop(): Promise<void>;
}

export type ListenerId = number;
export type ConnectionId = number;
export type SessionId = number;
export type RequestId = number;

/** Makes an engine. Events are delivered in batches, never inside a command. */
export type EngineFactory = (options: EngineOptions) => Engine;

export interface EngineOptions {
  readonly limits: EngineLimits;
  readonly environment: EngineEnvironment;
  /** Receives every event, in order. Must not throw. */
  readonly onEvents: (events: readonly EngineEvent[]) => void;
}

/** Time and randomness, passed in so that tests own them. */
export interface EngineEnvironment {
  /** Milliseconds on a clock that never goes back. */
  nowMs(): number;
  /** `nowMs` is the monotonic clock of the platform: an engine may read that itself. Default: time is what `every` says. */
  readonly monotonic?: boolean;
  /** Calls `tick` about every `intervalMs` until the returned function is called. Timers of the engine are as coarse. */
  every(intervalMs: number, tick: () => void): () => void;
  /** Fills with cryptographically strong random bytes. */
  random(into: Uint8Array): void;
}

/** Limits and timeouts of the data plane; 0 is no limit. Their names in the configuration: docs/configuration.md. */
export interface EngineLimits {
  readonly sendTimeoutMs: number;
  readonly maxMsgChunks: number;
  readonly tlsHandshakeTimeoutMs: number;
  /** TLS handshakes in progress on accepted connections; one above is closed with `max_handshakes`. */
  readonly maxHandshakes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly lineBytes: number;
  readonly headerBytes: number;
  readonly headerLines: number;
  readonly pathUris: number;
  readonly nonSendBodyBytes: number;
  readonly messageBytes: number;
  readonly outboxBytes: number;
  /** Transactions that one connection may owe an answer to; reading of its sources stops above. */
  readonly transactionsPerConnection: number;
  readonly probationMs: number;
  readonly idleMs: number;
  /** Waiting for a response (RFC 4975 section 7.1.1: 30 s). */
  readonly transactionMs: number;
}

export interface ListenSpec {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: TlsServerSpec;
}

export interface BoundListener {
  readonly listener: ListenerId;
  readonly address: string;
  readonly port: number;
}

/** A certificate (PEM, the chain behind it follows) and its private key (PEM). */
interface TlsIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * A TLS domain as data: PEM texts, no Node objects. Immutable: an engine keeps what it has made of one, by the identity of the
 * object, for as long as it is in use.
 */
export interface TlsDomain {
  readonly name: string;
  /** Own certificates, one for each kind of key (RSA, ECDSA). Empty: none is shown, by a client. */
  readonly identities: readonly TlsIdentity[];
  /** Trusted CAs (PEM). Absent: those of the system. */
  readonly ca?: string;
  /** Revocation lists (PEM); with them, each certificate of a chain needs one of its issuer. */
  readonly crl?: string;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL names of cipher suites, in order, out of {@link TLS_CIPHERS}. Absent: all of them. */
  readonly ciphers?: readonly string[];
  /** Groups for key exchange, in order, out of {@link TLS_CURVES}. Absent: all of them. */
  readonly curves?: readonly string[];
  /** A peer whose certificate does not verify is refused. */
  readonly verifyCert: boolean;
  /** A client without certificate is refused; one is always asked for (relay R-040). */
  readonly requireCert: boolean;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Cipher suites that every engine has, by their names in OpenSSL, in the order in which they are preferred. */
export const TLS_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
] as const;

/** Groups for key exchange that every engine has. */
export const TLS_CURVES = ['X25519', 'P-256', 'P-384'] as const;

/** What a TLS listener serves. */
export interface TlsServerSpec {
  /** By SNI, lower case: exact names and `*.example.com` (one label); an exact name goes before a wildcard. */
  readonly byName: readonly { readonly pattern: string; readonly domain: TlsDomain }[];
  /** Without SNI, or with a name that no pattern matches. Absent: the handshake is refused with `unrecognized_name`. */
  readonly fallback?: TlsDomain;
}

export interface TlsClientSpec {
  readonly domain: TlsDomain;
  /** Sent as SNI unless it is an address, and the name that the certificate must carry when `verifyCert` (relay R-091). */
  readonly serverName: string;
}

/** Host (lower case; IPv6 without brackets, normalised) and port under which this relay is addressed; 0: any port or none. */
export interface OwnAuthority {
  readonly host: string;
  readonly port: number;
}

export interface SessionSpec {
  /** The URI handed out in Use-Path, exactly as written there. */
  readonly uri: string;
  /** From-Path of the AUTH, in order. */
  readonly clientPath: readonly string[];
  /** Where the client is: the connection of the AUTH, or any connection of that relay (relay R-034). */
  readonly previousHop:
    { readonly connection: ConnectionId } | { readonly relay: string; readonly connection: ConnectionId };
  readonly expiresAtMs: number;
  /** A second connection towards the client is refused with 506 while the first lives (relay R-094). */
  readonly exclusivePeer: boolean;
}

export interface Answer {
  readonly status: number;
  readonly comment: string;
  /** In order, after the paths. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface ConnectSpec {
  /** Connections with the same key are shared: scheme, host, port, TLS domain, verified identity. */
  readonly key: string;
  /** Tried in order. */
  readonly candidates: readonly { readonly address: string; readonly port: number }[];
  readonly tls?: TlsClientSpec;
  /** For each candidate, until the connection (with its TLS handshake) is usable. */
  readonly timeoutMs: number;
  /** Local address to dial from. */
  readonly localAddress?: string;
  /** The connection stands for the relay of this name once its certificate is verified. */
  readonly relay?: string;
}

/** Bytes that may wait to be read from an external connection before whoever feeds it should stop. */
export const FEED_BYTES = 65536;

/** A connection whose bytes the control plane moves. */
export interface ExternalSpec {
  readonly listener: ListenerId;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls?: TlsInfo;
  /** Most octets of a body in one SEND to it, 2048 or more: longer ones are cut (RFC 7977 section 5.1, relay R-086). */
  readonly chunkOctets: number;
}

/** Whole frames on their way out: `bytes[0..ends[0])`, `bytes[ends[0]..ends[1])` … up to the last end. Nobody changes them. */
export interface Output {
  readonly bytes: Uint8Array;
  readonly ends: readonly number[];
}

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

export interface TlsInfo {
  /** Name of the TLS domain. */
  readonly domain: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** Name as in {@link TLS_CIPHERS}. */
  readonly cipher: string;
  /** SNI, of an accepted connection that sent one. */
  readonly serverName?: string;
  /** A session of before was taken up again. */
  readonly resumed: boolean;
  /** The peer's certificate, if it has sent one; of a resumed session: the one it had sent then. */
  readonly peer?: {
    /** Chains to a trusted CA. */
    readonly verified: boolean;
    /** dNSName and iPAddress entries. */
    readonly altNames: readonly string[];
    readonly subject: string;
    readonly issuer: string;
  };
}

export type EngineEvent =
  | OpenedEvent
  | ClosedEvent
  | DiallingEvent
  | FrameEvent
  | RequestEvent
  | HopEvent
  | SessionClosedEvent
  | AuthRejectedEvent
  | OutputEvent
  | RoomEvent;

/** A connection is usable (TLS handshake done). */
export interface OpenedEvent {
  readonly type: 'opened';
  readonly connection: ConnectionId;
  readonly direction: 'in' | 'out';
  readonly listener?: ListenerId;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls?: TlsInfo;
}

/** A candidate of a next hop is being connected: `opened` or `closed` follows, or the next candidate. */
export interface DiallingEvent {
  readonly type: 'dialling';
  readonly connection: ConnectionId;
  readonly remote: SocketAddress;
  /** A TLS handshake will follow. */
  readonly tls?: boolean;
}

/**
 * A frame of a traced connection, as it was on the wire; a long SEND comes when it has passed by. Those that are queued when a
 * connection closes, and still go out, come before `closed`.
 */
export interface FrameEvent {
  readonly type: 'frame';
  readonly connection: ConnectionId;
  /** Seen from the relay. */
  readonly direction: 'in' | 'out';
  /** Head, what is kept of the body, end-line. Holds secrets: session-ids, digests. */
  readonly bytes: Uint8Array;
  /** Octets of the body, and how many of them are in `bytes`. */
  readonly bodyOctets: number;
  readonly bodyKept: number;
}

/** A connection has gone, or never came to be. Its sessions are closed by events before this one. */
export interface ClosedEvent {
  readonly type: 'closed';
  readonly connection: ConnectionId;
  readonly direction: 'in' | 'out';
  /** Where it was accepted, and its own end; absent where there was none. */
  readonly listener?: ListenerId;
  readonly local?: SocketAddress;
  readonly remote: SocketAddress;
  readonly reason: CloseReason;
  /**
   * What exactly was wrong: an error code with its offset, a message of the system. Never bytes of the peer. Of a handshake that
   * has failed: `handshake`, `: `, and what the library has said.
   */
  readonly detail?: string;
  /** Why a TLS handshake has come to nothing. */
  readonly handshake?: HandshakeFailure;
  /** TLS domain of that handshake, when it was known already. */
  readonly tlsDomain?: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A request addressed to this relay itself: AUTH, or another method with one URI of ours in To-Path. */
export interface RequestEvent {
  readonly type: 'request';
  readonly request: RequestId;
  readonly connection: ConnectionId;
  readonly listener?: ListenerId;
  readonly remote: SocketAddress;
  readonly method: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  /** All other headers in order, names as received. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A session wants to reach a next hop that it has not reached before: answer with connectHop or refuseHop. */
export interface HopEvent {
  readonly type: 'hop';
  readonly hop: ConnectionId;
  readonly session: SessionId;
  /** Connection that the request came in on. */
  readonly connection: ConnectionId;
  readonly method: string;
  /** The next hop as written in To-Path. */
  readonly uri: string;
  /** URIs of To-Path from the next hop on: 1 when it is the endpoint itself. */
  readonly pathLength: number;
}

export interface SessionClosedEvent {
  readonly type: 'sessionClosed';
  readonly session: SessionId;
  readonly reason: SessionCloseReason;
}

/** An AUTH with credentials that was forwarded for this connection came back 401 without `stale=true` (relay R-037). */
interface AuthRejectedEvent {
  readonly type: 'authRejected';
  readonly connection: ConnectionId;
}

/** Something can be taken from an external connection; told once until all is taken. */
interface OutputEvent {
  readonly type: 'output';
  readonly connection: ConnectionId;
}

/** What is fed to an external connection has room again. */
interface RoomEvent {
  readonly type: 'room';
  readonly connection: ConnectionId;
}

const SESSION_CLOSE_REASONS = ['released', 'expired', 'connection_closed', 'command', 'shutdown'] as const;
export type SessionCloseReason = (typeof SESSION_CLOSE_REASONS)[number];

/** Why a connection was closed. Each has a row in docs/errors.md and a counter in {@link EngineStats.closes}. */
export const CLOSE_REASONS = [
  'peer_closed',
  'peer_reset',
  'protocol_error',
  'header_limit',
  'max_msg_chunks',
  'probation',
  'idle',
  'send_timeout',
  'misdirected',
  'auth_failures',
  'max_connections',
  'max_connections_per_ip',
  'tls_handshake_timeout',
  'tls_handshake_failed',
  'max_handshakes',
  'connect_failed',
  'connect_timeout',
  'hop_refused',
  'merged',
  'websocket_limit',
  'command',
  'shutdown',
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** Why a TLS handshake has come to nothing: the same words in every engine. Each has a row in docs/tls.md. */
export const HANDSHAKE_FAILURES = [
  'timeout',
  'closed',
  'protocol',
  'version',
  'no_shared_cipher',
  'unrecognized_name',
  'no_certificate',
  'certificate_expired',
  'certificate_revoked',
  'unknown_ca',
  'bad_certificate',
  'name_mismatch',
  'peer_alert',
  'max_handshakes',
] as const;
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

export interface ConnectionInfo {
  readonly connection: ConnectionId;
  readonly direction: 'in' | 'out';
  readonly listener?: ListenerId;
  readonly state: 'asking' | 'connecting' | 'handshake' | 'probation' | 'open' | 'closing';
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls?: TlsInfo;
  readonly openedAtMs: number;
  readonly queuedBytes: number;
  readonly sessions: number;
  readonly transactions: number;
  readonly paused: boolean;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface SessionInfo {
  readonly session: SessionId;
  readonly connection: ConnectionId;
  /** Connection learned for the other side, if any. */
  readonly peer?: ConnectionId;
  readonly expiresAtMs: number;
  /** From the client to others, and from others to the client. */
  readonly framesOut: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly bytesIn: number;
}

/** Counters since the start, and gauges (marked). Counts unless a name says bytes. */
export interface EngineStats {
  /** Gauge. */
  readonly connections: number;
  /** Gauge. */
  readonly sessions: number;
  /** Gauge: transactions that wait for a response. */
  readonly transactions: number;
  /** Gauge: TLS handshakes in progress on accepted connections. */
  readonly handshakes: number;
  /** Accepted and dialled. */
  readonly handshakeFailures: Readonly<Record<HandshakeFailure, number>>;
  /** Gauge: bytes in all outboxes. */
  readonly queuedBytes: number;
  readonly accepted: number;
  readonly dialled: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: Readonly<Record<FrameKind, number>>;
  readonly framesOut: Readonly<Record<FrameKind, number>>;
  /** Frames answered or dropped, by error code of the table (`E_URI` …). */
  readonly rejects: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<CloseReason, number>>;
  /** REPORTs made by this relay, by status. */
  readonly reports: Readonly<Record<string, number>>;
  /** Responses made by this relay, by status. */
  readonly responses: Readonly<Record<string, number>>;
  /** Requests and responses dropped without an answer: unknown transaction, REPORT that cannot go on, answer not allowed. */
  readonly dropped: number;
  /** Long chunks interrupted for another frame. */
  readonly interruptions: number;
  /** Times that reading of a connection stopped because an outbox was full. */
  readonly pauses: number;
  readonly timeouts: number;
  /** Transactions that were answered, by the time from the last octet that was queued to the response. */
  readonly latency: {
    /** One for each of {@link LATENCY_BOUNDS_MS} (at most that long), and one for what took longer. Not cumulative. */
    readonly counts: readonly number[];
    readonly sumMs: number;
  };
  /** Frames of traced connections that were not told, since too many waited to be: tracing slows no message down. */
  readonly traceFramesLost: number;
}

/** Bounds of {@link EngineStats.latency} in ms. Time is that of a turn, so the native engine tells whole milliseconds. */
export const LATENCY_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000] as const;

export type FrameKind = 'SEND' | 'REPORT' | 'AUTH' | 'other' | 'response';
