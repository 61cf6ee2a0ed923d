import type { Logger } from 'pino';
import type {
  ClosedEvent,
  ConnectionId,
  Engine,
  EngineEvent,
  HopEvent,
  ListenerId,
  OpenedEvent,
  RequestEvent,
  SessionClosedEvent,
  SessionCloseReason,
  SessionId,
  TlsInfo,
} from '../engine/engine.ts';
import { escapePeer, redactUri } from '../log/escape.ts';
import type { Header } from '../syntax/frame.ts';
import { statusComment } from '../syntax/status.ts';
import { parseUri, sameUriText } from '../syntax/uri.ts';
import { authenticate } from './auth/authenticate.ts';
import type { AuthOutcome } from './auth/authenticate.ts';
import { NonceSource, nonceBinding } from './auth/nonce.ts';
import { RelayCounters } from './counters.ts';
import { readSecret } from './credentials.ts';
import type { CredentialStore, Secret } from './credentials.ts';
import { isFailure, runHook } from './hooks.ts';
import type { Hooks } from './hooks.ts';
import { HandshakeLog, SWEEP_MS } from './handshake-log.ts';
import { chooseNextHop } from './next-hop/choose.ts';
import { HopPolicy } from './next-hop/policy.ts';
import type { NextHopResolver } from './next-hop/resolver.ts';
import { SessionRegistry, makeSessionUri } from './sessions.ts';
import type { SessionEntry } from './sessions.ts';
import type { ListenerIdentity, RelaySettings } from './settings.ts';

/** Time and randomness of the control plane. */
export interface RelayEnvironment {
  /** The engine's clock. */
  nowMs(): number;
  /** Time of day in ms: nonces are understood by other nodes. */
  wallMs(): number;
  every(intervalMs: number, tick: () => void): () => void;
  random(into: Uint8Array): void;
}

export interface RelayParts {
  readonly settings: RelaySettings;
  readonly credentials: CredentialStore;
  readonly hooks: Hooks;
}

export interface RelayOptions extends RelayParts {
  readonly engine: Engine;
  readonly environment: RelayEnvironment;
  readonly log: Logger;
  readonly resolver: NextHopResolver;
  /** A user has opened a session on a connection. */
  readonly onSession?: (connection: ConnectionId, user: string) => void;
}

/** What is kept of a connection that events were seen of. */
interface Peer {
  readonly listener: ListenerId | undefined;
  readonly remote: string;
  readonly tls: TlsInfo | undefined;
  /** It carries requests of many clients: we have dialled it, or it has proven to be a relay. */
  isRelay: boolean;
  failures: number;
}

/** The control plane of an RFC 4976 relay: AUTH, sessions and next hops. It sees no SEND. */
export class Relay {
  readonly counters = new RelayCounters();
  readonly #engine: Engine;
  readonly #environment: RelayEnvironment;
  readonly #log: Logger;
  readonly #resolver: NextHopResolver;
  readonly #onSession: (connection: ConnectionId, user: string) => void;
  readonly #nonces: NonceSource;
  readonly #sessions = new SessionRegistry();
  readonly #peers = new Map<ConnectionId, Peer>();
  readonly #listeners = new Map<ListenerId, ListenerIdentity>();
  #settings: RelaySettings;
  #credentials: CredentialStore;
  #hooks: Hooks;
  #policy: HopPolicy;
  #stopSweeping: () => void;
  readonly #handshakes: HandshakeLog;
  readonly #stopCounting: () => void;
  #draining = false;

  constructor(options: RelayOptions) {
    this.#engine = options.engine;
    this.#environment = options.environment;
    this.#log = options.log;
    this.#resolver = options.resolver;
    this.#onSession = options.onSession ?? (() => undefined);
    this.#settings = options.settings;
    this.#credentials = options.credentials;
    this.#hooks = options.hooks;
    this.#policy = new HopPolicy(options.settings.nextHops);
    const { environment } = options;
    this.#handshakes = new HandshakeLog(options.log, () => environment.nowMs());
    this.#stopCounting = environment.every(SWEEP_MS, () => this.#handshakes.sweep());
    this.#nonces = new NonceSource(
      { nowMs: () => environment.wallMs(), random: (into) => environment.random(into) },
      options.settings.nonceExpireS * 1000,
    );
    this.#stopSweeping = environment.every(options.settings.cleanupIntervalS * 1000, () => this.#nonces.sweep());
  }

  /** Says under which name connections of a listener reach this relay. */
  addListener(identity: ListenerIdentity): void {
    this.#listeners.set(identity.listener, identity);
  }

  /** Swaps settings, users and hooks; sessions stay. */
  reload(parts: RelayParts): void {
    this.#settings = parts.settings;
    this.#credentials = parts.credentials;
    this.#hooks = parts.hooks;
    this.#policy = new HopPolicy(parts.settings.nextHops);
    this.#nonces.lifetimeMs = parts.settings.nonceExpireS * 1000;
    this.#stopSweeping();
    this.#stopSweeping = this.#environment.every(parts.settings.cleanupIntervalS * 1000, () => this.#nonces.sweep());
  }

  /** Takes other TLS domains to dial next hops with. */
  setDialTls(dialTls: RelaySettings['dialTls']): void {
    this.#settings = { ...this.#settings, dialTls };
  }

  /** All sessions, for the views of operators. */
  sessions(): SessionEntry[] {
    return [...this.#sessions.values()];
  }

  /** Ends a session; false when there is none of that number. */
  closeSession(session: SessionId): boolean {
    const entry = this.#sessions.get(session);
    if (entry !== undefined) this.#end(entry, 'command');
    return entry !== undefined;
  }

  /** No new sessions from now on. */
  drain(): void {
    this.#draining = true;
  }

  stop(): void {
    this.#stopSweeping();
    this.#stopCounting();
    this.#handshakes.flush();
  }

  /** Takes the events of the engine. Never throws. */
  handle(events: readonly EngineEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'opened':
          this.#onOpened(event);
          break;
        case 'closed':
          this.#onClosed(event);
          break;
        case 'sessionClosed':
          this.#onSessionClosed(event);
          break;
        case 'authRejected':
          this.#countFailure(event.connection);
          break;
        case 'request':
          this.#onRequest(event).catch((error: unknown) => {
            this.#log.error({ connection: event.connection, err: error }, 'request failed');
            this.#refuse(event, 408);
          });
          break;
        case 'hop':
          this.#onHop(event).catch((error: unknown) => {
            this.#log.warn({ session: event.session, uri: redactUri(event.uri), err: error }, 'next hop failed');
            this.#engine.refuseHop(event.hop, 408);
          });
          break;
      }
    }
  }

  #onOpened(event: OpenedEvent): void {
    const { connection, direction, listener, remote, tls } = event;
    const isRelay = direction === 'out';
    this.counters.connection(listener, tls !== undefined, 1);
    this.#peers.set(connection, { listener, remote: remote.address, tls, isRelay, failures: 0 });
    const { address, port } = remote;
    this.#log.debug({ connection, direction, listener, address, port, tls: tls?.protocol }, 'connection opened');
  }

  #onClosed(event: ClosedEvent): void {
    const { connection, direction, reason, detail, bytesIn, bytesOut, remote } = event;
    const peer = this.#peers.get(connection);
    if (peer !== undefined) this.counters.connection(peer.listener, peer.tls !== undefined, -1);
    this.#peers.delete(connection);
    this.#nonces.forget(nonceBinding(connection));
    const fields = {
      connection,
      direction,
      reason,
      detail,
      address: remote.address,
      port: remote.port,
      bytesIn,
      bytesOut,
    };
    if (event.handshake !== undefined) this.#handshakes.note(event);
    const usual =
      event.handshake !== undefined ||
      reason === 'peer_closed' ||
      reason === 'merged' ||
      reason === 'shutdown' ||
      reason === 'hop_refused';
    this.#log[usual ? 'debug' : 'info'](fields, 'connection closed');
  }

  /** Its place is free at once, whenever the engine says that it has ended. */
  #end({ session }: SessionEntry, reason: SessionCloseReason): void {
    this.#engine.closeSession(session, reason);
    this.#onSessionClosed({ session, reason });
  }

  #onSessionClosed(event: Pick<SessionClosedEvent, 'session' | 'reason'>): void {
    const entry = this.#sessions.remove(event.session);
    if (entry === undefined) return;
    this.counters.sessionClosed(event.reason);
    const { user, realm, uri, connection } = entry;
    const { session, reason } = event;
    this.#log.info(
      { session, user: escapePeer(user), realm, uri: redactUri(uri), connection, reason },
      'session closed',
    );
  }

  async #onRequest(event: RequestEvent): Promise<void> {
    if (event.method !== 'AUTH') {
      this.#refuse(event, 501);
      return;
    }
    const { connection } = event;
    const peer = this.#peers.get(connection);
    if (peer === undefined) return;
    if (peer.tls === undefined && !this.#settings.allowPlainAuth) {
      this.#log.warn({ connection, address: peer.remote }, 'AUTH without TLS refused: see relay.allow_plain_auth');
      this.#refuse(event, 403);
      this.#countFailure(connection);
      return;
    }
    if (relayBehind(peer, event.fromPath[0] as string) !== undefined) peer.isRelay = true;
    else if (event.fromPath.length > 1 && isCertified(peer)) {
      const certificate = peer.tls?.peer?.altNames;
      this.#log.warn(
        { connection, address: peer.remote, certificate, status: 403, cause: 'certificate of another host' },
        'AUTH refused',
      );
      this.#refuse(event, 403);
      this.#countFailure(connection);
      return;
    }
    const outcome = await authenticate(event, this.#settings, this.#nonces, this.#store(peer));
    if (outcome.kind === 'granted') await this.#grant(event, peer, outcome);
    else {
      const user = outcome.user === undefined ? undefined : escapePeer(outcome.user);
      if (outcome.cause !== 'challenge') {
        this.#log.info(
          { connection, address: peer.remote, user, status: outcome.answer.status, cause: outcome.cause },
          'AUTH refused',
        );
      }
      this.counters.authAnswered(outcome.answer.status);
      this.#engine.answer(event.request, outcome.answer);
      if (outcome.failed) this.#countFailure(connection);
    }
  }

  /** Users come from the hook where there is one. */
  #store(peer: Peer): CredentialStore {
    const hook = this.#hooks.authenticate?.bind(this.#hooks);
    if (hook === undefined) return this.#credentials;
    return {
      lookup: async (user, realm): Promise<Secret | undefined> => {
        const secret = await runHook('authenticate', () => hook({ user, realm, remote: peer.remote }));
        if (secret !== undefined && secret !== null && readSecret(secret) === undefined)
          this.#log.error({ hook: 'authenticate' }, 'hook gave neither a password nor an HA1');
        return secret ?? undefined;
      },
    };
  }

  /** Right credentials: what the AUTH asks for is another matter (R-032…R-036, D-41). */
  async #grant(event: RequestEvent, peer: Peer, granted: Extract<AuthOutcome, { kind: 'granted' }>): Promise<void> {
    const { user, realm } = granted;
    const { connection, fromPath, toPath } = event;
    const own = parseUri(toPath[0] as string);
    if (own?.sessionId !== undefined) {
      await this.#refresh(event, peer, granted, own.sessionId);
      return;
    }
    if (granted.expiresS === 0) {
      for (const entry of this.#sessions.values()) {
        if (entry.connection === connection && entry.client === fromPath[0] && isOf(entry, user, realm))
          this.#end(entry, 'released');
      }
      this.#answer(event, 200, [['Expires', '0'], ...granted.headers]);
      return;
    }
    const verdict = await this.#authorize(granted, peer, fromPath);
    const identity = this.#identity(peer);
    const { maxSessionsPerUser, maxSessionsPerConnection } = this.#settings;
    const full =
      (maxSessionsPerUser !== 0 && this.#sessions.ofUser(user, realm) >= maxSessionsPerUser) ||
      (maxSessionsPerConnection !== 0 && this.#sessions.ofConnection(connection) >= maxSessionsPerConnection);
    if (!verdict.allow || identity === undefined || full || this.#draining) {
      const cause = full ? 'session limit' : this.#draining ? 'draining' : 'not authorized';
      const status = verdict.allow ? 403 : verdict.status;
      this.#log.info({ connection, address: peer.remote, user: escapePeer(user), status, cause }, 'AUTH refused');
      this.#answer(event, status, []);
      return;
    }
    if (!this.#peers.has(connection)) return;
    const relay = relayBehind(peer, fromPath[0] as string);
    if (relay !== undefined) this.#engine.identify(connection, relay);
    const uri = makeSessionUri(identity, (into) => this.#environment.random(into));
    const expiresAtMs = this.#environment.nowMs() + verdict.expiresS * 1000;
    const session = this.#engine.openSession({
      uri,
      clientPath: fromPath,
      previousHop: relay === undefined ? { connection } : { relay, connection },
      expiresAtMs,
      exclusivePeer: this.#settings.exclusivePeer,
    });
    this.#sessions.add({ session, uri, user, realm, connection, client: fromPath[0] as string, relay, expiresAtMs });
    this.counters.sessionsOpened++;
    this.#onSession(connection, user);
    this.#log.info(
      { session, connection, user: escapePeer(user), realm, uri: redactUri(uri), relay, expiresS: verdict.expiresS },
      'session opened',
    );
    // To-Path order as the client sees it: the relays between, nearest first, then this one.
    const usePath = [...fromPath.slice(0, -1).toReversed(), uri].join(' ');
    this.#answer(event, 200, [['Use-Path', usePath], ['Expires', String(verdict.expiresS)], ...granted.headers]);
  }

  /**
   * An AUTH to a session's own URI, on its own connection (or any of the relay it is behind), moves its end (D-41), or
   * releases it with `Expires: 0` (D-39).
   */
  async #refresh(
    event: RequestEvent,
    peer: Peer,
    granted: Extract<AuthOutcome, { kind: 'granted' }>,
    sessionId: string,
  ): Promise<void> {
    const { user, realm } = granted;
    const { connection, fromPath, toPath } = event;
    const entry = this.#sessions.bySessionId(sessionId);
    const isThere =
      entry !== undefined &&
      (entry.connection === connection ||
        (entry.relay !== undefined && entry.relay === relayBehind(peer, fromPath[0] as string)));
    if (!isThere || !isOf(entry, user, realm) || !sameUriText(entry.uri, toPath[0] as string)) {
      this.#answer(event, 481, []);
      return;
    }
    const { session } = entry;
    if (granted.expiresS === 0) {
      this.#end(entry, 'released');
      this.#answer(event, 200, [['Expires', '0'], ...granted.headers]);
      return;
    }
    const verdict = await this.#authorize(granted, peer, fromPath);
    if (!verdict.allow) {
      const { status } = verdict;
      this.#log.info({ connection, session, user: escapePeer(user), status, cause: 'not authorized' }, 'AUTH refused');
      this.#answer(event, status, []);
      return;
    }
    if (this.#sessions.get(session) !== entry) {
      this.#answer(event, 481, []);
      return;
    }
    const { expiresS } = verdict;
    entry.expiresAtMs = this.#environment.nowMs() + expiresS * 1000;
    this.#engine.extendSession(session, entry.expiresAtMs);
    this.#log.info({ session, user: escapePeer(user), realm, expiresS }, 'session refreshed');
    const usePath = [...fromPath.slice(0, -1).toReversed(), entry.uri].join(' ');
    this.#answer(event, 200, [['Use-Path', usePath], ['Expires', String(expiresS)], ...granted.headers]);
  }

  /** Under which name a peer reaches this relay: that of its listener; one that we have dialled comes back by a like one. */
  #identity(peer: Peer): ListenerIdentity | undefined {
    if (peer.listener !== undefined) return this.#listeners.get(peer.listener);
    for (const identity of this.#listeners.values()) if (identity.tls === (peer.tls !== undefined)) return identity;
    return undefined;
  }

  async #authorize(
    granted: Extract<AuthOutcome, { kind: 'granted' }>,
    peer: Peer,
    fromPath: readonly string[],
  ): Promise<{ allow: boolean; status: number; expiresS: number }> {
    const { user, realm, expiresS } = granted;
    const hook = this.#hooks.authorize?.bind(this.#hooks);
    if (hook === undefined) return { allow: true, status: 200, expiresS };
    try {
      const verdict: unknown = await runHook('authorize', () => hook({ user, realm, remote: peer.remote, fromPath }));
      if (typeof verdict === 'boolean') return { allow: verdict, status: 403, expiresS };
      const { allow, status, expiresS: most = expiresS } = verdict as Record<'allow' | 'status' | 'expiresS', unknown>;
      if (typeof allow !== 'boolean' || typeof most !== 'number' || !(most >= 1))
        throw new Error('hook authorize: expected a boolean or {allow, status?, expiresS?}');
      return {
        allow,
        status: isFailure(status) ? status : 403,
        expiresS: Math.min(expiresS, Math.floor(most)),
      };
    } catch (error) {
      this.#log.error({ hook: 'authorize', err: error }, 'hook failed');
      return { allow: false, status: 403, expiresS };
    }
  }

  async #onHop(event: HopEvent): Promise<void> {
    const entry = this.#sessions.get(event.session);
    if (entry === undefined) {
      this.#engine.refuseHop(event.hop, 481);
      return;
    }
    const choice = await chooseNextHop(event, entry, {
      settings: this.#settings,
      policy: this.#policy,
      resolver: this.#resolver,
      hooks: this.#hooks,
    });
    const { session, uri } = { session: event.session, uri: redactUri(event.uri) };
    if (choice.kind === 'refused') {
      this.#log.info(
        { session, user: escapePeer(entry.user), uri, status: choice.status, cause: choice.cause },
        'next hop refused',
      );
      this.#engine.refuseHop(event.hop, choice.status);
    } else {
      this.#log.debug({ session, uri, candidates: choice.spec.candidates }, 'next hop allowed');
      this.#engine.connectHop(event.hop, choice.spec);
    }
  }

  /** Several failures of one client close its connection (R-037, D-40); a relay carries those of many. */
  #countFailure(connection: ConnectionId): void {
    const peer = this.#peers.get(connection);
    if (peer === undefined || peer.isRelay || this.#settings.authFailures === 0) return;
    peer.failures++;
    if (peer.failures >= this.#settings.authFailures) this.#engine.closeConnection(connection, 'auth_failures');
  }

  #refuse(event: RequestEvent, status: number): void {
    this.#answer(event, status, []);
  }

  #answer(event: RequestEvent, status: number, headers: readonly Header[]): void {
    if (event.method === 'AUTH') this.counters.authAnswered(status);
    this.#engine.answer(event.request, { status, comment: statusComment(status), headers });
  }
}

function isOf(entry: SessionEntry, user: string, realm: string): boolean {
  return entry.user === user && entry.realm === realm;
}

/** The relay that a connection stands for: its certificate is good and names the host of the first From-Path URI. */
function relayBehind(peer: Peer, firstFrom: string): string | undefined {
  const certificate = peer.tls?.peer;
  const host = parseUri(firstFrom)?.host;
  if (certificate?.verified !== true || host === undefined) return undefined;
  return certificate.altNames.includes(host) ? host : undefined;
}

/** It has shown a good certificate of some host: then it has to be that of the relay that it claims to be. */
function isCertified({ tls }: Peer): boolean {
  return tls?.peer?.verified === true && tls.peer.altNames.length > 0;
}
