import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { isWebSocket } from '../config/listener-uri.ts';
import type { ControlServer } from '../control/http.ts';
import type { ControlSession, ControlTarget } from '../control/target.ts';
import type { EngineChoice } from '../engine/choose.ts';
import type {
  CloseReason,
  ConnectionId,
  ConnectionInfo,
  Engine,
  EngineEvent,
  EngineStats,
  SessionId,
} from '../engine/engine.ts';
import { MsrpError } from '../errors.ts';
import { shortSessionId } from '../log/escape.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { CertificateEnd, ConnectionCount, MetricsSource } from '../metrics/source.ts';
import { runHook } from '../relay/hooks.ts';
import type { Hooks } from '../relay/hooks.ts';
import type { Relay } from '../relay/relay.ts';
import { parseUri } from '../syntax/uri.ts';
import type { TlsDomainInfo } from '../tls/domains.ts';
import { createSender } from '../trace/sender.ts';
import { Tracer } from '../trace/tracer.ts';
import type { TraceHook } from '../trace/tracer.ts';
import type { Server, ServerListener } from './server.ts';
import { version } from './version.ts';

export interface OperationParts {
  readonly choice: EngineChoice;
  readonly engine: Engine;
  readonly relay: Relay;
  readonly log: Logger;
  /** Grows while listeners are bound. */
  readonly listeners: readonly ServerListener[];
  readonly nowMs: () => number;
  /** Reads the configuration again where it came from. */
  readonly source: (() => Config) | undefined;
}

/** What operators see of a server and do to it: tracing, the control interface, metrics. */
export class Operation implements ControlTarget, MetricsSource {
  readonly engine: EngineChoice;
  readonly listeners: readonly ServerListener[];
  readonly #parts: OperationParts;
  readonly #tracer: Tracer | undefined;
  #config: Config;
  #server: Server | undefined;
  #control: ControlServer | undefined;
  #metrics: Metrics | undefined;
  /** Of this turn of the event loop: callers that come together share one answer. */
  #connections: ConnectionInfo[] | undefined;
  #stats: EngineStats | undefined;

  constructor(parts: OperationParts, config: Config, hooks: Hooks) {
    this.#parts = parts;
    this.engine = parts.choice;
    this.listeners = parts.listeners;
    this.#config = config;
    this.#tracer = this.#makeTracer(hooks);
  }

  /** Opens the control interface, where there is to be one. */
  async start(server: Server): Promise<void> {
    this.#server = server;
    const { control, metricsPath } = this.#config;
    if (control === undefined) return;
    // Loaded when it is used only: a relay without it starts faster, and in less memory.
    const [{ startControl }, { Metrics: MetricsClass }] = await Promise.all([
      import('../control/http.ts'),
      import('../metrics/metrics.ts'),
    ]);
    const { log } = this.#parts;
    const metrics = new MetricsClass(this);
    try {
      this.#control = await startControl(this, {
        address: control,
        ...(control.tokenFile === undefined ? {} : { tokenFile: control.tokenFile }),
        metricsPath,
        metrics: () => metrics.scrape(),
        log,
        version: version(),
      });
    } catch (error) {
      metrics.close();
      throw error;
    }
    this.#metrics = metrics;
    log.info({ url: this.#control.url, token: control.tokenFile !== undefined }, 'control interface');
  }

  /** `http://127.0.0.1:8055`; undefined when there is no control interface. */
  get url(): string | undefined {
    return this.#control?.url;
  }

  handle(events: readonly EngineEvent[]): void {
    this.#tracer?.handle(events);
  }

  onUser(connection: ConnectionId, user: string): void {
    this.#tracer?.onUser(connection, user);
  }

  /** Takes a configuration in which nothing has changed that takes a restart. */
  reload(config: Config, hooks: Hooks): void {
    const before = this.#config.trace;
    const { trace } = config;
    this.#config = config;
    this.#tracer?.reconfigure(trace, traceHook(hooks));
    // What was switched by hand stays, unless the file says another thing than before.
    if (trace.on !== before.on) this.tracing = trace.on;
    const problem = this.#control?.reloadToken();
    if (problem !== undefined) this.#parts.log.error({ cause: problem }, 'the token stays as it was');
  }

  async close(): Promise<void> {
    this.#tracer?.close();
    this.#metrics?.close();
    await this.#control?.close();
  }

  get draining(): boolean {
    return this.#server?.draining ?? false;
  }

  get logLevel(): string {
    return this.#parts.log.level;
  }

  set logLevel(level: string) {
    this.#parts.log.level = level;
  }

  get tracing(): boolean | undefined {
    return this.#tracer?.on;
  }

  set tracing(on: boolean | undefined) {
    if (this.#tracer !== undefined && on !== undefined) this.#tracer.on = on;
  }

  get trace(): Tracer['stats'] | undefined {
    return this.#tracer?.stats;
  }

  nowMs(): number {
    return this.#parts.nowMs();
  }

  stats(): EngineStats {
    this.#forgetSoon();
    return (this.#stats ??= this.#parts.engine.stats());
  }

  connections(): ConnectionInfo[] {
    this.#forgetSoon();
    return (this.#connections ??= this.#parts.engine.connections());
  }

  sessions(): ControlSession[] {
    const traffic = new Map(this.#parts.engine.sessions().map((info) => [info.session, info]));
    return this.#parts.relay.sessions().map(({ uri, ...entry }) => ({
      ...entry,
      shortId: shortSessionId(parseUri(uri)?.sessionId ?? ''),
      ...traffic.get(entry.session),
    }));
  }

  connectionCounts(): ConnectionCount[] {
    return this.#parts.relay.counters.connections().map(({ listener, transport, count }) => {
      const at = listener === undefined ? undefined : this.#listener(listener);
      return {
        listener: listener === undefined ? 'out' : (at?.uri ?? String(listener)),
        transport: at?.isWebSocket === true ? WEB_SOCKET[transport] : transport,
        count,
      };
    });
  }

  get relay(): Relay['counters'] {
    return this.#parts.relay.counters;
  }

  certificates(): CertificateEnd[] {
    return this.tlsDomains().flatMap(({ name, serial, notAfter, daysLeft }) =>
      serial === undefined || notAfter === undefined || daysLeft === undefined
        ? []
        : [{ domain: name, serial, notAfterMs: Date.parse(notAfter), daysLeft }],
    );
  }

  closeConnection(connection: ConnectionId, reason: CloseReason): boolean {
    const { engine } = this.#parts;
    if (!engine.connections().some((info) => info.connection === connection)) return false;
    engine.closeConnection(connection, reason);
    this.#connections = undefined;
    return true;
  }

  closeSession(session: SessionId): boolean {
    return this.#parts.relay.closeSession(session);
  }

  async reloadSource(): Promise<{ reloadable: readonly string[]; needsRestart: readonly string[] }> {
    const { source } = this.#parts;
    if (source === undefined || this.#server === undefined)
      throw new MsrpError('E_CONFIG_READ', 'this relay was started without a configuration file');
    return this.#server.reload(source());
  }

  beginDrain(): void {
    void this.#server?.drain();
  }

  tlsDomains(): TlsDomainInfo[] {
    return this.#server?.tlsDomains() ?? [];
  }

  reloadTls(): void {
    this.#server?.reloadTls();
  }

  #forgetSoon(): void {
    if (this.#connections !== undefined || this.#stats !== undefined) return;
    setImmediate(() => {
      this.#connections = undefined;
      this.#stats = undefined;
    });
  }

  #listener(id: number): { uri: string; tls: boolean; isWebSocket: boolean } | undefined {
    const at = this.listeners.findIndex(({ listener }) => listener === id);
    const entry = this.#config.listeners[at];
    if (entry === undefined) return undefined;
    const tls = entry.scheme === 'msrps' || entry.scheme === 'wss';
    return { uri: entry.uri, tls, isWebSocket: isWebSocket(entry) };
  }

  #makeTracer(hooks: Hooks): Tracer | undefined {
    const { trace } = this.#config;
    const { engine, log } = this.#parts;
    if (trace.destination === undefined) return undefined;
    const ca = trace.caFile === undefined ? undefined : readFileSync(trace.caFile, 'utf8');
    return new Tracer({
      engine,
      settings: trace,
      sender: createSender(trace.destination, { queueBytes: trace.queueBytes, ca, verifyCert: trace.verifyCert, log }),
      nowUs: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
      listener: (id) => this.#listener(id),
      users: () => this.#parts.relay.sessions().map(({ connection, user }) => [connection, user] as const),
      hook: traceHook(hooks),
      onHookFailure: (error) => log.error({ hook: 'traceFilter', err: error }, 'hook failed'),
    });
  }
}

/** Transports of a WebSocket listener. */
const WEB_SOCKET = { tcp: 'ws', tls: 'wss' } as const;

function traceHook(hooks: Hooks): TraceHook | undefined {
  const hook = hooks.traceFilter?.bind(hooks);
  if (hook === undefined) return undefined;
  return ({ tlsNames, ...facts }) =>
    runHook('traceFilter', () => hook({ ...facts, user: facts.users[0], tlsName: tlsNames[0] }));
}
