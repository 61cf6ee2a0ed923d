/** The native engine as the addon exports it; `native/addon/index.d.ts` is made from its source. */
export type AddonEngineClass = new (settings: HandleSettings, wake: () => void) => EngineHandle;

interface HandleSettings {
  /** Threads, 1…62. */
  readonly workers: number;
  /** The clock of the contract, in ms. */
  readonly nowMs: number;
  /** The threads read the monotonic clock themselves; else `tick` moves time. */
  readonly ownClock: boolean;
  /** 32 strong random bytes. */
  readonly seed: Uint8Array;
  /** Events that may wait; above, the connections that cause them are not read from. */
  readonly ringEvents: number;
  readonly limits: HandleLimits;
}

/** Limits and timeouts as in `EngineLimits`. */
interface HandleLimits {
  readonly sendTimeoutMs: number;
  readonly maxMsgChunks: number;
  readonly tlsHandshakeTimeoutMs: number;
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
  readonly transactionsPerConnection: number;
  readonly probationMs: number;
  readonly idleMs: number;
  readonly transactionMs: number;
}

/** A TLS domain that is ready for handshakes, of one engine. */
export interface DomainHandle {
  readonly name: string;
}

/** What a TLS listener serves. */
export interface ServerHandle {
  /** How many names have a domain of their own. */
  readonly patterns: number;
}

/** A TLS domain, as in `TlsDomain`. */
interface DomainSettings {
  name: string;
  identities: { certificate: string; privateKey: string }[];
  ca?: string;
  crl?: string;
  minVersion: string;
  maxVersion: string;
  ciphers?: string[];
  curves?: string[];
  verifyCert: boolean;
  requireCert: boolean;
}

/** Commands return at once; what is asked (`connections`, `sessions`, `stats`) is answered behind all commands before it. */
export interface EngineHandle {
  /** Throws with what is wrong with the texts. */
  tlsDomain(settings: DomainSettings): DomainHandle;
  /** Patterns of SNI, and the domain of each. */
  tlsServer(patterns: string[], domains: DomainHandle[], fallback?: DomainHandle): ServerHandle;
  updateTls(listener: number, tls: ServerHandle): void;
  /** Throws with the text of the system. `address` is an IP address. Without `tls`: plain TCP. */
  listen(address: string, port: number, tls?: ServerHandle): { listener: number; address: string; port: number };
  unlisten(listener: number): void;
  setAuthorities(authorities: { host: string; port: number }[]): void;
  setLimits(limits: HandleLimits): void;
  openSession(session: {
    uri: string;
    clientPath: string[];
    connection: number;
    relay?: string;
    expiresAtMs: number;
    exclusivePeer: boolean;
  }): number;
  extendSession(session: number, expiresAtMs: number): void;
  closeSession(session: number, reason: string): void;
  /** Headers are names and values in turn. */
  answer(request: number, status: number, comment: string, headers: string[]): void;
  connectHop(
    hop: number,
    settings: {
      key: string;
      candidates: { address: string; port: number }[];
      whyNone?: string;
      timeoutMs: number;
      localAddress?: string;
      relay?: string;
      serverName?: string;
    },
    domain?: DomainHandle,
  ): void;
  refuseHop(hop: number, status: number): void;
  identify(connection: number, relay: string): void;
  closeConnection(connection: number, reason: string): void;
  openExternal(settings: {
    listener: number;
    remoteAddress: string;
    remotePort: number;
    localAddress: string;
    localPort: number;
    chunkOctets: number;
  }): number;
  /** Copies. Gives how many bytes wait to be read. */
  feed(connection: number, bytes: Uint8Array): number;
  /** Null: nothing waits. The memory belongs to whoever has taken it. */
  take(connection: number): { bytes: Buffer; ends: number[] } | null;
  endExternal(connection: number, reason: string, detail?: string): void;
  traceNew(bodyBytes: number): void;
  traceFrames(connection: number, bodyBytes: number): void;
  tick(nowMs: number): void;
  /** JSON: an array of {@link ConnectionView}. One text costs less than its objects, member by member. */
  connections(): string;
  /** JSON: an array of {@link SessionView}. */
  sessions(): string;
  /** JSON: {@link StatsView}. */
  stats(): string;
  /** JSON: an array of {@link EngineNotice}. */
  takeEvents(): string;
  /** Wakes the threads that commands wait for. */
  flush(): void;
  drain(): void;
  stop(): void;
}

/** An event; which members are there depends on its type. */
export interface EngineNotice {
  type: string;
  connection?: number;
  incoming?: boolean;
  listener?: number;
  remoteAddress?: string;
  remotePort?: number;
  localAddress?: string;
  localPort?: number;
  reason?: string;
  detail?: string;
  bytesIn?: number;
  bytesOut?: number;
  request?: number;
  method?: string;
  toPath?: string[];
  fromPath?: string[];
  /** Names and values in turn. */
  headers?: string[];
  hop?: number;
  session?: number;
  uri?: string;
  pathLength?: number;
  tls?: TlsView;
  /** A TLS handshake will follow. */
  dialsTls?: boolean;
  handshake?: string;
  tlsDomain?: string;
  /** Of a frame, in base64. */
  bytes?: string;
  bodyOctets?: number;
  bodyKept?: number;
}

/** As `TlsInfo` of the contract. */
interface TlsView {
  domain: string;
  protocol: string;
  cipher: string;
  serverName?: string;
  resumed: boolean;
  peer?: { verified: boolean; altNames: string[]; subject: string; issuer: string };
}

export interface ConnectionView {
  connection: number;
  incoming: boolean;
  listener?: number;
  state: string;
  remoteAddress?: string;
  remotePort?: number;
  localAddress?: string;
  localPort?: number;
  tls?: TlsView;
  openedAtMs: number;
  queuedBytes: number;
  sessions: number;
  transactions: number;
  paused: boolean;
  bytesIn: number;
  bytesOut: number;
}

export interface SessionView {
  session: number;
  connection: number;
  peer?: number;
  expiresAtMs: number;
  framesOut: number;
  bytesOut: number;
  framesIn: number;
  bytesIn: number;
}

export interface NamedCount {
  name: string;
  count: number;
}

export interface StatsView {
  connections: number;
  sessions: number;
  transactions: number;
  queuedBytes: number;
  accepted: number;
  dialled: number;
  bytesIn: number;
  bytesOut: number;
  /** By method number of the frame record; 5: responses. */
  framesIn: number[];
  framesOut: number[];
  rejects: NamedCount[];
  closes: NamedCount[];
  reports: NamedCount[];
  responses: NamedCount[];
  dropped: number;
  interruptions: number;
  pauses: number;
  timeouts: number;
  latency: number[];
  latencySumMs: number;
  traceFramesLost: number;
  handshakes: number;
  handshakeFailures: NamedCount[];
  /** Something is under way that a drain waits for. */
  busy: boolean;
}
