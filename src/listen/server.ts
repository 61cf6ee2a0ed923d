import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { isWebSocket } from '../config/listener-uri.ts';
import { compareConfig, keepFixed } from '../config/reload.ts';
import type { ConfigChange } from '../config/reload.ts';
import { chooseEngine } from '../engine/choose.ts';
import type { EngineChoice } from '../engine/choose.ts';
import type {
  BoundListener,
  ConnectionId,
  ConnectionInfo,
  Engine,
  EngineEvent,
  EngineStats,
  OwnAuthority,
  SessionInfo,
} from '../engine/engine.ts';
import { MemoryCredentials, loadUsers } from '../relay/credentials.ts';
import { loadHooks } from '../relay/hooks.ts';
import type { Hooks } from '../relay/hooks.ts';
import { NextHopResolver } from '../relay/next-hop/resolver.ts';
import { Relay } from '../relay/relay.ts';
import type { RelayParts } from '../relay/relay.ts';
import type { SessionEntry } from '../relay/sessions.ts';
import { TlsDomains } from '../tls/domains.ts';
import type { TlsDomainInfo } from '../tls/domains.ts';
import { EXPIRY_WARNING_DAYS } from '../tls/material.ts';
import { WsGateway } from '../ws/gateway.ts';
import { Operation } from './operation.ts';
import { pooledRandom } from './pooled-random.ts';
import { filesOf, nameWebSockets } from './web-sockets.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Users besides those of the configuration. */
  readonly users?: readonly (readonly [user: string, realm: string, secret: { readonly password: string }])[];
  /** Value of MSRPD_ENGINE. */
  readonly engineOverride?: string;
  /** Reads the configuration again where it came from, for `reload` of the control interface; throws when it has mistakes. */
  readonly source?: () => Config;
}

/** A listener that is bound. */
export interface ServerListener extends BoundListener {
  /** `msrp://host:port;tcp`: what clients send their AUTH to. */
  readonly uri: string;
}

/**
 * A relay: an engine, its control plane, and the listeners. Several may run in one process.
 *
 * Life: {@link startServer} → {@link reload}* → {@link drain} or {@link stop}.
 */
export class Server {
  readonly engine: EngineChoice;
  readonly listeners: readonly ServerListener[];
  readonly #engine: Engine;
  readonly #relay: Relay;
  readonly #gateway: WsGateway;
  readonly #log: Logger;
  readonly #users: NonNullable<ServerOptions['users']>;
  readonly #operation: Operation;
  #config: Config;
  #tls: TlsDomains;
  #draining: Promise<void> | undefined;
  #ended: () => void = () => undefined;
  /** Settles when the server has drained or stopped, whoever asked for it. */
  readonly ended = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });

  constructor(parts: {
    choice: EngineChoice;
    engine: Engine;
    relay: Relay;
    gateway: WsGateway;
    log: Logger;
    listeners: readonly ServerListener[];
    config: Config;
    users: NonNullable<ServerOptions['users']>;
    operation: Operation;
    tls: TlsDomains;
  }) {
    this.engine = parts.choice;
    this.listeners = parts.listeners;
    this.#engine = parts.engine;
    this.#relay = parts.relay;
    this.#gateway = parts.gateway;
    this.#log = parts.log;
    this.#config = parts.config;
    this.#users = parts.users;
    this.#operation = parts.operation;
    this.#tls = parts.tls;
  }

  /**
   * Takes a new configuration: everything is read and checked first, then swapped. Rejects, changing nothing, when a part of it
   * cannot be used. Connections and sessions stay.
   */
  async reload(wanted: Config): Promise<ConfigChange> {
    const change = compareConfig(this.#config, wanted);
    // What needs a restart stays as it was, so that the next reload says so again.
    const config = keepFixed(this.#config, wanted);
    const parts = await readParts(config, this.#users, this.#tls);
    this.#swapTls(parts.tls, config);
    this.#relay.reload(parts);
    this.#gateway.reload(config.websocket, parts.hooks);
    this.#engine.setLimits(config.limits);
    this.#engine.setAuthorities(authorities(config, this.listeners));
    this.#operation.reload(config, parts.hooks);
    this.#log.level = config.log.level;
    this.#config = config;
    this.#log.info(change, 'configuration reloaded');
    return change;
  }

  /**
   * Reads the files of all TLS domains again and takes them for handshakes that begin from now on. Throws `E_TLS_MATERIAL` with
   * everything that is wrong, changing nothing. Connections stay.
   */
  reloadTls(): void {
    try {
      const tls = TlsDomains.read(this.#config.tlsDomains, Date.now(), this.#tls);
      this.#swapTls(tls);
    } catch (error) {
      this.#log.error({ err: error }, 'TLS domains not reloaded: the old ones stay');
      throw error;
    }
    this.#relay.setDialTls(dialTls(this.#tls));
    this.#log.info({ domains: Object.keys(this.#config.tlsDomains) }, 'TLS domains reloaded');
  }

  /** The TLS domains with their certificates, for the views of operators; days are counted from now. */
  tlsDomains(): TlsDomainInfo[] {
    return this.#tls.list(Date.now());
  }

  /** All that is to be served is found before anything is swapped. */
  #swapTls(tls: TlsDomains, config = this.#config): void {
    const specs = this.listeners.flatMap(({ listener, address, port }, i) => {
      const entry = this.#config.listeners[i];
      if (entry?.scheme !== 'msrps' && entry?.scheme !== 'wss') return [];
      const { scheme, tlsDomain: domain } = entry;
      return [{ listener, scheme, spec: tls.server({ address, port, domain }) }];
    });
    for (const { listener, scheme, spec } of specs)
      if (scheme === 'msrps') this.#engine.updateTls(listener, spec);
      else this.#gateway.updateTls(listener, { spec, files: filesOf(config) });
    this.#tls = tls;
    warnOfExpiry(tls, this.#log);
  }

  /** Takes no new connections and sessions, lets what is under way finish (`limits.drain_s`), then stops. */
  drain(): Promise<void> {
    this.#draining ??= (async () => {
      this.#relay.drain();
      this.#gateway.drain();
      await this.#engine.drain(this.#config.drainMs);
      await this.#close();
    })();
    return this.#draining;
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#gateway.stop();
    this.#relay.stop();
    await this.#operation.close();
    this.#ended();
  }

  /** True from the beginning of a drain on. */
  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Where the control interface listens: `http://127.0.0.1:8055`; undefined when there is none. */
  get control(): string | undefined {
    return this.#operation.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  stats(): EngineStats {
    return this.#engine.stats();
  }

  connections(): ConnectionInfo[] {
    return this.#engine.connections();
  }

  /** Sessions as both planes see them; without their URIs, which are secrets. */
  sessions(): (Omit<SessionEntry, 'uri'> & Partial<SessionInfo>)[] {
    const traffic = new Map(this.#engine.sessions().map((info) => [info.session, info]));
    return this.#relay.sessions().map(({ uri: _uri, ...entry }) => ({ ...entry, ...traffic.get(entry.session) }));
  }
}

/** Starts a relay. Rejects with an MsrpError that `refuse`s the start; then nothing is left listening. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log } = options;
  const users = options.users ?? [];
  const choice = chooseEngine(config.engine, options.engineOverride, {
    workers: config.workers === 'auto' ? availableParallelism() : config.workers,
  });
  const parts = await readParts(config, users);
  const environment = {
    nowMs: () => performance.now(),
    monotonic: true,
    wallMs: () => Date.now(),
    every: (intervalMs: number, tick: () => void) => {
      const timer = setInterval(tick, intervalMs);
      return () => clearInterval(timer);
    },
    random: pooledRandom(),
  };
  const onEvents = (events: readonly EngineEvent[]): void => {
    relay.handle(events);
    gateway.handle(events);
    operation.handle(events);
  };
  const engine = choice.create({ limits: config.limits, environment, onEvents });
  const resolver = new NextHopResolver({ nowMs: environment.nowMs, random: Math.random });
  const onSession = (connection: ConnectionId, user: string): void => operation.onUser(connection, user);
  const relay = new Relay({ ...parts, engine, environment, log, resolver, onSession });
  const gateway = new WsGateway({
    engine,
    log,
    environment,
    settings: config.websocket,
    hooks: parts.hooks,
    limits: config.limits,
    onIdentity: (connection, identity) => relay.vouch(connection, identity),
  });
  const listeners: ServerListener[] = [];
  const { nowMs } = environment;
  const operation = new Operation(
    { choice, engine, relay, log, listeners, nowMs, source: options.source },
    config,
    parts.hooks,
  );
  const server = new Server({
    choice,
    engine,
    relay,
    gateway,
    log,
    listeners,
    config,
    users,
    operation,
    tls: parts.tls,
  });
  try {
    for (const entry of config.listeners) {
      const { address: wanted, port: wantedPort, tlsDomain, scheme } = entry;
      const isSecure = scheme === 'msrps' || scheme === 'wss';
      const tls = isSecure ? parts.tls.server({ address: wanted, port: wantedPort, domain: tlsDomain }) : undefined;
      const bound = isWebSocket(entry)
        ? await gateway.listen({
            ...entry,
            ...(tls === undefined ? {} : { tls: { spec: tls, files: filesOf(config) } }),
          })
        : await engine.listen({ address: entry.address, port: entry.port, ...(tls === undefined ? {} : { tls }) });
      const host = entry.advertise?.host ?? entry.address;
      // An advertised port of 0 is that of the socket.
      const port = entry.advertise === undefined || entry.advertise.port === 0 ? bound.port : entry.advertise.port;
      relay.addListener({ listener: bound.listener, tls: isSecure, host, port });
      const transport = isWebSocket(entry) ? 'ws' : 'tcp';
      const uri = `${isSecure ? 'msrps' : 'msrp'}://${host.includes(':') ? `[${host}]` : host}:${port};${transport}`;
      listeners.push({ listener: bound.listener, address: bound.address, port: bound.port, uri });
      log.info({ ...bound, scheme }, 'listening');
    }
    nameWebSockets(config, listeners, relay);
    engine.setAuthorities(authorities(config, listeners));
    await operation.start(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  warnOfExpiry(parts.tls, log);
  const { kind, framer, version, reason } = choice;
  log.info(
    { engine: kind, framer, ...(version === undefined ? {} : { version }), reason, node: process.version },
    'engine chosen',
  );
  return server;
}

/** Everything that is read from files, checked. */
async function readParts(
  config: Config,
  extra: NonNullable<ServerOptions['users']>,
  before?: TlsDomains,
): Promise<RelayParts & { tls: TlsDomains }> {
  const tls = TlsDomains.read(config.tlsDomains, Date.now(), before);
  const rows = config.users.file === undefined ? [] : await loadUsers(config.users.file);
  const userHooks: Hooks = config.users.hook === undefined ? {} : await loadHooks(config.users.hook);
  const hooks: Hooks = config.hooks === undefined ? {} : await loadHooks(config.hooks);
  return {
    settings: { ...config.relay, dialTls: dialTls(tls) },
    credentials: new MemoryCredentials([...rows, ...extra]),
    hooks: { ...userHooks, ...hooks },
    tls,
  };
}

function dialTls(tls: TlsDomains): NonNullable<RelayParts['settings']['dialTls']> {
  return (host, candidate) => tls.client(host, candidate);
}

function warnOfExpiry(tls: TlsDomains, log: Logger): void {
  for (const { name, subject, notAfter, daysLeft } of tls.list(Date.now())) {
    if (daysLeft !== undefined && daysLeft < EXPIRY_WARNING_DAYS)
      log.warn({ tlsDomain: name, subject, notAfter, daysLeft }, 'a certificate is about to expire, or has expired');
  }
}

/** Names that requests for this relay may carry: its listeners', those it advertises, and `my_uri`. */
function authorities(config: Config, listeners: readonly ServerListener[]): OwnAuthority[] {
  const names: OwnAuthority[] = [...config.myUris];
  for (const [i, entry] of config.listeners.entries()) {
    const bound = listeners[i];
    if (bound === undefined) continue;
    names.push({ host: entry.address.toLowerCase(), port: bound.port });
    names.push({ host: bound.address.toLowerCase(), port: bound.port });
    if (entry.advertise !== undefined) {
      names.push({
        host: entry.advertise.host.toLowerCase(),
        port: entry.advertise.port === 0 ? bound.port : entry.advertise.port,
      });
    }
    if (entry.address === '127.0.0.1' || entry.address === '::1') names.push({ host: 'localhost', port: bound.port });
  }
  return names;
}
