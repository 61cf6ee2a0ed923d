import { BlockList, isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import type { ConnectionId, Engine, EngineEvent, ListenerId, SocketAddress } from '../engine/engine.ts';
import { escapePeer } from '../log/escape.ts';
import type { Hooks } from '../relay/hooks.ts';
import { Bridge } from './bridge.ts';
import { startWsServer } from './choose.ts';
import type { NodeServerEnvironment } from './node-server.ts';
import type { WsSettings } from './settings.ts';
import type { UpgradeRequest, UpgradeVerdict, WsImplementation, WsServer, WsTls } from './socket.ts';
import { judgeUpgrade } from './upgrade.ts';
import type { Accepted } from './upgrade.ts';

/** One listener. */
export interface WsListenerSpec {
  readonly address: string;
  readonly port: number;
  readonly tls?: WsTls;
  readonly path: string;
  readonly origins: readonly string[];
}

export interface WsListener {
  readonly listener: ListenerId;
  readonly address: string;
  readonly port: number;
  readonly implementation: WsImplementation;
  readonly reason: string;
}

export interface GatewayParts {
  readonly engine: Engine;
  readonly log: Logger;
  readonly environment: NodeServerEnvironment;
  readonly settings: WsSettings;
  readonly hooks: Hooks;
  readonly limits: { readonly maxHandshakes: number; readonly tlsHandshakeTimeoutMs: number };
  /** The handshake of a connection has shown who is there. */
  readonly onIdentity: (connection: ConnectionId, identity: NonNullable<Accepted['identity']>) => void;
}

/** The WebSocket listeners of a relay and their connections, which the engine knows as external ones. */
export class WsGateway {
  readonly #parts: GatewayParts;
  #settings: WsSettings;
  #hooks: Hooks;
  #trustedProxies: BlockList;
  readonly #servers = new Map<ListenerId, WsServer>();
  readonly #bridges = new Map<ConnectionId, Bridge>();
  #stopPings: () => void = () => undefined;
  #draining = false;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#hooks = parts.hooks;
    this.#trustedProxies = blockList(parts.settings.trustedProxies);
    this.#startPings();
  }

  /** Binds a listener. Rejects as {@link startWsServer} does. */
  async listen(spec: WsListenerSpec): Promise<WsListener> {
    const { limits, environment } = this.#parts;
    const listener = FIRST_LISTENER + this.#servers.size;
    const { server, reason } = await startWsServer(
      this.#settings.implementation,
      {
        address: spec.address,
        port: spec.port,
        ...(spec.tls === undefined ? {} : { tls: spec.tls }),
        maxMessageBytes: this.#settings.maxMessageBytes,
        pingIntervalMs: this.#settings.pingIntervalMs,
        maxHandshakes: limits.maxHandshakes,
        handshakeTimeoutMs: limits.tlsHandshakeTimeoutMs,
        judge: (request) => this.#judge(listener, spec, request),
        onRefused: (remote, why) => this.#refused(remote, why),
      },
      environment,
    );
    this.#servers.set(listener, server);
    const { address, port, implementation } = server;
    return { listener, address, port, implementation, reason };
  }

  /** Takes the events of the engine, behind the control plane. */
  handle(events: readonly EngineEvent[]): void {
    for (const event of events) {
      if (event.type === 'output') this.#bridges.get(event.connection)?.onOutput();
      else if (event.type === 'room') this.#bridges.get(event.connection)?.onRoom();
      else if (event.type === 'closed') this.#bridges.get(event.connection)?.onEngineClosed(event.reason);
    }
  }

  /** Other settings: those of a message's size and the implementation need a restart, the rest holds for new connections. */
  reload(settings: WsSettings, hooks: Hooks): void {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#trustedProxies = blockList(settings.trustedProxies);
    this.#startPings();
  }

  /** Throws `E_TLS_MATERIAL`, changing nothing. */
  updateTls(listener: ListenerId, tls: WsTls): void {
    this.#servers.get(listener)?.updateTls(tls);
  }

  /** No new connections. */
  drain(): void {
    this.#draining = true;
    for (const server of this.#servers.values()) server.close();
  }

  /** Everything that the engine has closed is told; what is left is cut off. */
  stop(): void {
    this.drain();
    this.#stopPings();
    for (const bridge of this.#bridges.values()) bridge.destroy();
    for (const server of this.#servers.values()) server.destroy();
  }

  async #judge(listener: ListenerId, spec: WsListenerSpec, request: UpgradeRequest): Promise<UpgradeVerdict> {
    const { path, origins } = spec;
    const hook = this.#hooks.websocket?.bind(this.#hooks);
    const rules = { path, origins, trustedProxies: this.#trustedProxies, hook };
    const verdict = await judgeUpgrade(request, rules);
    if (verdict.kind === 'refused' || this.#draining) {
      const { status, why } = verdict.kind === 'refused' ? verdict : { status: 503, why: 'draining' };
      this.#refused(request.remote, why, request);
      return { kind: 'refuse', status, headers: [] };
    }
    const { origin } = request;
    return {
      kind: 'accept',
      headers: origin === '' ? [] : [['Access-Control-Allow-Origin', origin]],
      open: (socket) => {
        const { engine, environment, onIdentity } = this.#parts;
        const { remote, tls, identity } = verdict;
        const { chunkOctets, messagesPerS, backlogBytes } = this.#settings;
        const { local } = request;
        const connection = engine.openExternal({
          listener,
          remote,
          local,
          ...(tls === undefined ? {} : { tls }),
          chunkOctets,
        });
        if (identity !== undefined) onIdentity(connection, identity);
        const bridge = new Bridge({
          engine,
          connection,
          socket,
          messagesPerS,
          backlogBytes,
          nowMs: () => environment.nowMs(),
          onGone: () => void this.#bridges.delete(connection),
        });
        this.#bridges.set(connection, bridge);
        return bridge;
      },
    };
  }

  #refused({ address, port }: SocketAddress, why: string, request?: UpgradeRequest): void {
    const origin = request === undefined || request.origin === '' ? undefined : escapePeer(request.origin);
    this.#parts.log.info({ address, port, why: escapePeer(why), origin }, 'WebSocket refused');
  }

  #startPings(): void {
    this.#stopPings();
    const { pingIntervalMs } = this.#settings;
    this.#stopPings =
      pingIntervalMs === 0
        ? () => undefined
        : this.#parts.environment.every(pingIntervalMs, () => {
            for (const bridge of this.#bridges.values()) bridge.ping();
          });
  }
}

/** Numbers of these listeners lie above those that an engine makes. */
const FIRST_LISTENER = 2 ** 32;

/** Entries are checked by the configuration. */
function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const kind = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, kind);
    else list.addSubnet(address, Number(bits), kind);
  }
  return list;
}
