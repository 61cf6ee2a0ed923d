import { Writable } from 'node:stream';
import { pino } from 'pino';
import type {
  Answer,
  BoundListener,
  CloseReason,
  ConnectSpec,
  ConnectionId,
  ConnectionInfo,
  Engine,
  EngineEvent,
  EngineStats,
  HopEvent,
  OpenedEvent,
  RequestId,
  SessionCloseReason,
  SessionId,
  SessionInfo,
  SessionSpec,
  TlsInfo,
} from '../../src/engine/engine.ts';
import { MemoryCredentials } from '../../src/relay/credentials.ts';
import type { UserRow } from '../../src/relay/credentials.ts';
import type { Hooks } from '../../src/relay/hooks.ts';
import { NextHopResolver } from '../../src/relay/next-hop/resolver.ts';
import type { Dns } from '../../src/relay/next-hop/resolver.ts';
import { Relay } from '../../src/relay/relay.ts';
import type { RelaySettings } from '../../src/relay/settings.ts';
import { digestResponse, ha1, parseDigest } from '../../src/syntax/digest.ts';
import { headerValue } from '../../src/syntax/frame.ts';

type HopDecision = { readonly spec: ConnectSpec } | { readonly status: number };

/** An engine that has no sockets: it writes down what it is told, and hands over the events that a test makes. */
class FakeEngine implements Engine {
  readonly kind = 'ts';
  readonly opened = new Map<SessionId, SessionSpec>();
  readonly extended: [SessionId, number][] = [];
  readonly closed: [SessionId, SessionCloseReason][] = [];
  readonly identified: [ConnectionId, string][] = [];
  readonly dropped: [ConnectionId, CloseReason][] = [];
  onEvents: (events: readonly EngineEvent[]) => void = () => undefined;
  readonly openExternal = (): ConnectionId => this.id();
  readonly feed = (): number => 0;
  readonly take = (): undefined => undefined;
  readonly endExternal = (): void => undefined;
  readonly #answers = new Map<RequestId, (answer: Answer) => void>();
  readonly #hops = new Map<ConnectionId, (decision: HopDecision) => void>();
  #nextId = 0;

  id(): number {
    return ++this.#nextId;
  }

  emit(...events: EngineEvent[]): void {
    this.onEvents(events);
  }

  /** The answer to a request, once it is given. */
  answered(request: RequestId): Promise<Answer> {
    return new Promise((resolve) => this.#answers.set(request, resolve));
  }

  /** What becomes of a next hop, once it is decided. */
  decided(hop: ConnectionId): Promise<HopDecision> {
    return new Promise((resolve) => this.#hops.set(hop, resolve));
  }

  openSession(spec: SessionSpec): SessionId {
    const session = this.id();
    this.opened.set(session, spec);
    return session;
  }

  extendSession(session: SessionId, expiresAtMs: number): void {
    this.extended.push([session, expiresAtMs]);
  }

  closeSession(session: SessionId, reason: SessionCloseReason): void {
    this.closed.push([session, reason]);
  }

  answer(request: RequestId, answer: Answer): void {
    this.#answers.get(request)?.(answer);
    this.#answers.delete(request);
  }

  connectHop(hop: ConnectionId, spec: ConnectSpec): void {
    this.#hops.get(hop)?.({ spec });
  }

  refuseHop(hop: ConnectionId, status: number): void {
    this.#hops.get(hop)?.({ status });
  }

  identify(connection: ConnectionId, relay: string): void {
    this.identified.push([connection, relay]);
  }

  closeConnection(connection: ConnectionId, reason: CloseReason): void {
    this.dropped.push([connection, reason]);
  }

  listen(): Promise<BoundListener> {
    throw new Error('not part of the fake');
  }
  connections(): ConnectionInfo[] {
    return [];
  }
  sessions(): SessionInfo[] {
    return [];
  }
  stats(): EngineStats {
    throw new Error('not part of the fake');
  }
  unlisten(): void {}
  traceNew(): void {}
  traceFrames(): void {}
  updateTls(): void {}
  setAuthorities(): void {}
  setLimits(): void {}
  async drain(): Promise<void> {}
  async stop(): Promise<void> {}
}

export const SETTINGS: RelaySettings = {
  authRealm: undefined,
  authExpiresS: 1800,
  authMinExpiresS: 60,
  authMaxExpiresS: 3600,
  nonceExpireS: 30,
  cleanupIntervalS: 60,
  allowPlainAuth: false,
  allowIpUsePath: false,
  exclusivePeer: true,
  nextHops: { allow: [], deny: [] },
  maxSessionsPerUser: 0,
  maxSessionsPerConnection: 0,
  authFailures: 3,
  connectTimeoutMs: 1000,
  dialTls: undefined,
  certCheckOnReuse: false,
};

export const RELAY_URI = 'msrps://relay.example:2855;tcp';
export const CLIENT_URI = 'msrps://alice.example:9/client;tcp';
const TLS: TlsInfo = { domain: 'default', protocol: 'TLSv1.3', cipher: 'x', resumed: false };

/** TLS of a peer that has shown a verified certificate of these names. */
export function certified(...altNames: string[]): TlsInfo {
  return { ...TLS, peer: { verified: true, altNames, subject: 'CN=x', issuer: 'CN=y' } };
}

export interface BenchOptions {
  readonly settings?: Partial<RelaySettings>;
  readonly users?: readonly UserRow[];
  readonly hooks?: Hooks;
  readonly dns?: Partial<Dns>;
}

export interface AuthOptions {
  readonly user?: string;
  readonly password?: string;
  readonly toPath?: readonly string[];
  readonly fromPath?: readonly string[];
  readonly expires?: string;
  readonly nc?: string;
  readonly cnonce?: string;
  /** Instead of that of the challenge. */
  readonly nonce?: string;
  /** Takes the place of the whole Authorization header. */
  readonly authorization?: string;
}

/** A control plane over a {@link FakeEngine}, with one TLS listener (1) and one plain one (2). */
export class RelayBench {
  readonly engine = new FakeEngine();
  readonly clock = { nowMs: 1_000_000 };
  readonly lines: Record<string, unknown>[] = [];
  readonly settings: RelaySettings;
  readonly relay: Relay;
  /** What runs every `cleanupIntervalS`. */
  sweep: () => void = () => undefined;
  #random = 0;

  constructor(options: BenchOptions = {}) {
    const { clock, lines } = this;
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
        done();
      },
    });
    const nowhere = async (): Promise<[]> => [];
    const dns = { resolve4: nowhere, resolve6: nowhere, resolveSrv: nowhere, lookup: nowhere, ...options.dns };
    this.settings = { ...SETTINGS, ...options.settings };
    this.relay = new Relay({
      engine: this.engine,
      environment: {
        nowMs: () => clock.nowMs,
        wallMs: () => clock.nowMs,
        every: (_intervalMs, tick) => {
          this.sweep = tick;
          return () => undefined;
        },
        random: (into) => {
          for (let i = 0; i < into.length; i++)
            into[i] = (this.#random = (this.#random * 48271 + 11) % 2147483647) & 255;
        },
      },
      log: pino({ level: 'debug', base: null }, sink),
      settings: this.settings,
      credentials: new MemoryCredentials(options.users ?? [['alice', '', { password: 'secret' }]]),
      hooks: options.hooks ?? {},
      resolver: new NextHopResolver({ nowMs: () => clock.nowMs, random: () => 0.5 }, dns),
    });
    this.engine.onEvents = (events) => this.relay.handle(events);
    this.relay.addListener({ listener: 1, tls: true, host: 'relay.example', port: 2855 });
    this.relay.addListener({ listener: 2, tls: false, host: 'relay.example', port: 2856 });
  }

  connect(options: Partial<Pick<OpenedEvent, 'direction'>> & { tls?: TlsInfo | null } = {}): ConnectionId {
    const { direction = 'in', tls = TLS } = options;
    const connection = this.engine.id();
    this.engine.emit({
      type: 'opened',
      connection,
      direction,
      remote: { address: '198.51.100.7', port: 40000 },
      local: { address: '192.0.2.1', port: 2855 },
      ...(direction === 'out' ? {} : { listener: tls === null ? 2 : 1 }),
      ...(tls === null ? {} : { tls }),
    });
    return connection;
  }

  /** The connection goes, and its sessions with it, as an engine says it. */
  disconnect(connection: ConnectionId): void {
    const gone = this.relay.sessions().filter((entry) => entry.connection === connection);
    this.engine.emit(
      ...gone.map(({ session }) => ({ type: 'sessionClosed', session, reason: 'connection_closed' }) as const),
      {
        type: 'closed',
        connection,
        direction: 'in',
        remote: { address: '198.51.100.7', port: 40000 },
        reason: 'peer_closed',
        bytesIn: 0,
        bytesOut: 0,
      },
    );
  }

  request(
    connection: ConnectionId,
    options: {
      method?: string;
      toPath?: readonly string[];
      fromPath?: readonly string[];
      headers?: readonly (readonly [string, string])[];
    } = {},
  ): Promise<Answer> {
    const request = this.engine.id();
    const answer = this.engine.answered(request);
    this.engine.emit({
      type: 'request',
      request,
      connection,
      remote: { address: '198.51.100.7', port: 40000 },
      method: options.method ?? 'AUTH',
      toPath: options.toPath ?? [RELAY_URI],
      fromPath: options.fromPath ?? [CLIENT_URI],
      headers: options.headers ?? [],
    });
    return answer;
  }

  /** The challenge to an AUTH without credentials. */
  async challenge(connection: ConnectionId, options: AuthOptions = {}): Promise<ReadonlyMap<string, string>> {
    const answer = await this.request(connection, pathsOf(options));
    return parseDigest(headerValue(answer.headers, 'WWW-Authenticate') ?? '') ?? new Map();
  }

  /** An AUTH with credentials for a fresh challenge. */
  async auth(connection: ConnectionId, options: AuthOptions = {}): Promise<Answer> {
    const challenge =
      options.nonce === undefined && options.authorization === undefined
        ? await this.challenge(connection, options)
        : new Map([['realm', 'relay.example']]);
    const headers: [string, string][] = [
      ['Authorization', options.authorization ?? this.authorization(challenge, options)],
    ];
    if (options.expires !== undefined) headers.push(['Expires', options.expires]);
    return this.request(connection, { ...pathsOf(options), headers });
  }

  authorization(challenge: ReadonlyMap<string, string>, options: AuthOptions = {}): string {
    const { user = 'alice', password = 'secret', nc = '00000001', cnonce = 'abcdef' } = options;
    const realm = challenge.get('realm') ?? '';
    const nonce = options.nonce ?? challenge.get('nonce') ?? '';
    const uri = (options.toPath ?? [RELAY_URI]).at(-1) as string;
    const response = digestResponse({ ha1: ha1(user, realm, password), uri, nonce, nc, cnonce });
    return (
      `Digest username="${user}", realm="${realm}", nonce="${nonce}", qop=auth, nc=${nc}, ` +
      `cnonce="${cnonce}", response="${response}"`
    );
  }

  hop(event: Partial<HopEvent> & Pick<HopEvent, 'session'>): Promise<HopDecision> {
    const hop = this.engine.id();
    const decision = this.engine.decided(hop);
    this.engine.emit({
      type: 'hop',
      hop,
      connection: 0,
      method: 'SEND',
      uri: 'msrps://peer.example:2855/x;tcp',
      pathLength: 1,
      ...event,
    });
    return decision;
  }
}

/** Parameters of the challenge in a 401. */
export function challengeOf(answer: Answer): ReadonlyMap<string, string> {
  return parseDigest(headerValue(answer.headers, 'WWW-Authenticate') ?? '') ?? new Map();
}

function pathsOf(options: AuthOptions): { toPath?: readonly string[]; fromPath?: readonly string[] } {
  return {
    ...(options.toPath === undefined ? {} : { toPath: options.toPath }),
    ...(options.fromPath === undefined ? {} : { fromPath: options.fromPath }),
  };
}
