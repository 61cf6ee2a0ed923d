/* Made from native/addon/src by `npm run addon:types`. */

/** What an engine is made with; limits as in `EngineLimits` of `src/engine/engine.ts`. */
export interface EngineSettings {
  /** Threads. */
  workers: number
  /** The clock of the contract, in ms. */
  nowMs: number
  /** The workers read the monotonic clock themselves; else `tick` moves time. */
  ownClock: boolean
  /** 32 strong random bytes. */
  seed: Uint8Array
  /** Events that may wait. */
  ringEvents: number
  /** Limits and timeouts. */
  limits: LimitSettings
}

/** Limits and timeouts; 0 is no limit. */
export interface LimitSettings {
  sendTimeoutMs: number
  maxMsgChunks: number
  tlsHandshakeTimeoutMs: number
  maxHandshakes: number
  maxConnections: number
  maxConnectionsPerIp: number
  lineBytes: number
  headerBytes: number
  headerLines: number
  pathUris: number
  nonSendBodyBytes: number
  messageBytes: number
  outboxBytes: number
  transactionsPerConnection: number
  probationMs: number
  idleMs: number
  transactionMs: number
}

/** A listener that is bound. */
export interface BoundSocket {
  listener: number
  address: string
  port: number
}

/** A name under which the relay is addressed. */
export interface AuthorityName {
  host: string
  port: number
}

/** A session to be opened. */
export interface SessionSettings {
  uri: string
  clientPath: Array<string>
  connection: number
  relay?: string
  expiresAtMs: number
  exclusivePeer: boolean
}

/** An address to dial. */
export interface Candidate {
  address: string
  port: number
}

/** How to reach a next hop. */
export interface HopSettings {
  key: string
  candidates: Array<Candidate>
  whyNone?: string
  timeoutMs: number
  localAddress?: string
  relay?: string
  serverName?: string
}

/** An engine with its threads. */
export declare class EngineHandle {
  /** Starts the threads. `wake` is called when events wait: `takeEvents` has them. */
  constructor(settings: EngineSettings, wake: () => void)
  /** Binds a listener, plain or with TLS; throws with the code of the system. */
  listen(address: string, port: number, tls?: ServerHandle): BoundSocket
  /** Replaces the domains of a TLS listener. */
  updateTls(listener: number, tls: ServerHandle): void
  /** Stops accepting. */
  unlisten(listener: number): void
  /** Names under which the relay is addressed. */
  setAuthorities(authorities: Array<AuthorityName>): void
  /** Replaces the limits. */
  setLimits(settings: LimitSettings): void
  /** Opens a session. */
  openSession(session: SessionSettings): number
  /** Moves the end of a session. */
  extendSession(session: number, expiresAtMs: number): void
  /** Ends a session; a reason that is none of the contract is `command`. */
  closeSession(session: number, reason: string): void
  /** Answers a request; headers are names and values in turn. */
  answer(request: number, status: number, comment: string, headers: Array<string>): void
  /** Decides a hop: dial, or share a connection. With `domain`: by TLS, and the certificate is for `server_name`. */
  connectHop(hop: number, settings: HopSettings, domain?: DomainHandle): void
  /** Decides a hop: refused. */
  refuseHop(hop: number, status: number): void
  /** Says that a connection stands for a relay. */
  identify(connection: number, relay: string): void
  /** Closes a connection; a reason that is none of the contract is `command`. */
  closeConnection(connection: number, reason: string): void
  /** Tells the frames of each connection that comes to be from now on, as `traceFrames` does. */
  traceNew(bodyBytes: number): void
  /** Tells the frames of a connection, each with at most so many octets of its body; below 0 ends that. */
  traceFrames(connection: number, bodyBytes: number): void
  /** Moves the clock of an engine that has none of its own. */
  tick(nowMs: number): void
  /** Connections, as a JSON array: one text costs less than its objects, member by member. */
  connections(): string
  /** Sessions, as a JSON array. */
  sessions(): string
  /** Counters and gauges, as a JSON object. */
  stats(): string
  /** Takes all events that wait, in order, as a JSON array. */
  takeEvents(): string
  /** Wakes the threads that commands wait for: once for all commands of a turn of the event loop. */
  flush(): void
  /** Accepts nothing any more. */
  drain(): void
  /** Closes everything and waits for the threads; the last events can still be taken. */
  stop(): void
  /** Makes a domain; throws with what is wrong with the texts. */
  tlsDomain(settings: DomainSettings): DomainHandle
  /** Puts domains together by SNI: patterns, and the domain of each. */
  tlsServer(patterns: Array<string>, domains: Array<DomainHandle>, fallback?: DomainHandle): ServerHandle
}

/** What a framer is made with; numbers as in `FramerOptions` of `src/frame/framer.ts`. Limits: 0 is no limit. */
export interface FramerSettings {
  /** Strict grammar instead of the tolerant profile. */
  strict: boolean
  /** Content of one line, in bytes. */
  lineBytes: number
  /** Header lines of one frame. */
  headerLines: number
  /** Header section, in bytes. */
  headerBytes: number
  /** Body of any frame but SEND, in bytes. */
  nonSendBodyBytes: number
  /** Body octets from which a SEND is streamed; `Infinity`: never. */
  streamAfterBytes: number
  /** URIs in one path. With it the framer decodes, too: all words of a record, and all checks. */
  pathUris?: number
}

/** The framer of one byte stream. */
export declare class Framer {
  /** A framer at the start of a stream. */
  constructor(settings: FramerSettings)
  /**
   * Makes the function that scans `bytes[from..to)` and writes records into `records`, which it keeps alive.
   *
   * It returns `consumed + 2^32 × (pending + 2 × streaming + 4 × count)`, or a negative code when it has done nothing:
   * −1 an argument is not of its type, or `bytes` lies in shared memory; −2 not `from ≤ to ≤ bytes.length`; −3 `records` is
   * gone or shares memory with `bytes`; −4 a scan is under way; −5 a fault of the addon. At most 65,536 records a call.
   */
  scanInto(records: Uint32Array): (bytes: Uint8Array, from: number, to: number) => number
  /** Drops the paths remembered of earlier frames. */
  forget(): void
}

/** A certificate (PEM, the chain behind it follows) and its private key (PEM). */
export interface IdentitySettings {
  certificate: string
  privateKey: string
}

/** A TLS domain, as `TlsDomain` of the contract has it. */
export interface DomainSettings {
  name: string
  identities: Array<IdentitySettings>
  ca?: string
  crl?: string
  minVersion: string
  maxVersion: string
  ciphers?: Array<string>
  curves?: Array<string>
  verifyCert: boolean
  requireCert: boolean
}

/** A TLS domain that is ready for handshakes, of one engine. */
export declare class DomainHandle {
  /** Its name. */
  get name(): string
}

/** What a TLS listener serves. */
export declare class ServerHandle {
  /** Patterns of SNI that have a domain of their own. */
  get patterns(): number
}

/** Version of the binding and of the frame record, to be compared with that of `src/addon/contract.ts`. */
export declare function abiVersion(): number

/** Version of the addon, that of the package it belongs to. */
export declare function version(): string
