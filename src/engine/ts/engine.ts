import type { Socket } from 'node:net';
import type {
  Answer,
  BoundListener,
  CloseReason,
  ClosedEvent,
  ConnectSpec,
  ConnectionId,
  ConnectionInfo,
  Engine,
  EngineEvent,
  EngineLimits,
  EngineOptions,
  EngineStats,
  HandshakeFailure,
  ListenSpec,
  ListenerId,
  OwnAuthority,
  RequestId,
  SessionCloseReason,
  SessionId,
  SessionInfo,
  SessionSpec,
  TlsInfo,
  TlsServerSpec,
} from '../engine.ts';
import { TsDecoder } from '../../syntax/decoder.ts';
import type { DecoderFactory } from '../../syntax/decoder.ts';
import { closeConnection, closeSession } from './close.ts';
import type { Connection } from './connection.ts';
import { Dial } from './dial.ts';
import { requestDone } from './forward.ts';
import { handshakeCloseReason } from './handshake-failure.ts';
import { Handshakes } from './handshake.ts';
import { connectionInfo, sessionInfo } from './info.ts';
import { Listener } from './listener.ts';
import type { ListenerOwner, NewPeer } from './listener.ts';
import { merge } from './merge.ts';
import { Plane } from './plane.ts';
import { onBytes } from './receive.ts';
import { respond, toOther } from './reply.ts';
import { Session } from './session.ts';
import { Sweeper, TICK_MS } from './sweep.ts';
import { Tap } from './tap.ts';
import { SocketTransport } from './transport.ts';
import { flush, onTransportEnd, onWritten } from './write.ts';

/** Makes the engine that runs everywhere: node:net and node:tls, one thread. Bytes are framed by what `makeDecoder` makes. */
export function createTsEngine(
  options: EngineOptions,
  makeDecoder: DecoderFactory = (framing) => new TsDecoder(framing),
): Engine {
  return new TsEngine(options, makeDecoder);
}

class TsEngine implements Engine {
  readonly kind = 'ts';
  readonly #plane: Plane;
  readonly #onEvents: (events: readonly EngineEvent[]) => void;
  readonly #listeners = new Map<ListenerId, Listener>();
  readonly #dials = new Map<Connection, Dial>();
  readonly #owner: ListenerOwner;
  readonly #handshakes: Handshakes;
  readonly #stopTicking: () => void;
  #turn: NodeJS.Immediate | undefined;
  /** Octets of bodies that are told of new connections; −1: their frames are not traced. */
  #traceNew = -1;

  constructor(options: EngineOptions, makeDecoder: DecoderFactory) {
    this.#onEvents = options.onEvents;
    const plane = new Plane(options.limits, options.environment, makeDecoder, () => {
      this.#turn = setImmediate(() => this.#endTurn());
    });
    this.#plane = plane;
    const sweeper = new Sweeper(plane);
    this.#stopTicking = options.environment.every(TICK_MS, () => {
      plane.nowMs = options.environment.nowMs();
      sweeper.tick();
      this.#handshakes.sweep();
      for (const dial of this.#dials.values()) dial.sweep();
    });
    this.#owner = {
      admit: (peer, tls) => this.#admit(peer, tls),
      onConnection: (listener, socket) => this.#accept(listener, socket, undefined),
    };
    this.#handshakes = new Handshakes({
      onSecure: (listener, socket, tls) => this.#accept(listener, socket, tls),
      onFailed: (peer, failure, detail, domain) => this.#handshakeFailed(peer, failure, detail, domain),
      nowMs: () => options.environment.nowMs(),
      timeoutMs: () => plane.limits.tlsHandshakeTimeoutMs,
      random: (into) => options.environment.random(into),
    });
  }

  async listen(spec: ListenSpec): Promise<BoundListener> {
    const listener = new Listener(this.#plane.nextId(), spec, this.#owner, this.#handshakes);
    const bound = await listener.listen(spec);
    this.#listeners.set(listener.id, listener);
    return bound;
  }

  unlisten(id: ListenerId): void {
    this.#listeners.get(id)?.close();
    this.#listeners.delete(id);
  }

  updateTls(id: ListenerId, tls: TlsServerSpec): void {
    this.#listeners.get(id)?.updateTls(tls);
  }

  setAuthorities(authorities: readonly OwnAuthority[]): void {
    this.#plane.authorities = authorities;
  }

  setLimits(limits: EngineLimits): void {
    this.#plane.limits = limits;
  }

  openSession(spec: SessionSpec): SessionId {
    const plane = this.#plane;
    const connection = plane.connections.get(spec.previousHop.connection);
    const session = new Session(plane.nextId(), spec, connection ?? plane.addConnection('in', 'closed', NOWHERE));
    if (connection === undefined || connection.state !== 'open') {
      // The client has gone while its AUTH was being decided: the session ends before it began.
      if (connection === undefined) plane.connections.delete(session.connection.id);
      plane.emit({ type: 'sessionClosed', session: session.id, reason: 'connection_closed' });
      return session.id;
    }
    plane.sessions.add(session);
    connection.sessions.add(session);
    connection.probation = false;
    return session.id;
  }

  extendSession(id: SessionId, expiresAtMs: number): void {
    const session = this.#plane.sessions.get(id);
    if (session !== undefined) session.expiresAtMs = expiresAtMs;
  }

  closeSession(id: SessionId, reason: SessionCloseReason): void {
    const session = this.#plane.sessions.get(id);
    if (session !== undefined) closeSession(this.#plane, session, reason);
  }

  answer(id: RequestId, answer: Answer): void {
    const plane = this.#plane;
    const request = plane.requests.get(id);
    if (request === undefined) return;
    plane.requests.delete(id);
    const { connection, tid, toPath, fromPath } = request;
    requestDone(connection);
    if (answer.status >= 200 && answer.status <= 299) connection.probation = false;
    respond(plane, connection, answer.status, toOther(tid, toPath, fromPath), answer.headers, answer.comment);
  }

  connectHop(id: ConnectionId, spec: ConnectSpec): void {
    const plane = this.#plane;
    const hop = plane.connections.get(id);
    if (hop?.state !== 'asking') return;
    const shared = plane.pool.get(spec.key);
    if (shared?.usable === true) {
      merge(plane, hop, shared);
      return;
    }
    hop.state = 'connecting';
    hop.poolKey = spec.key;
    plane.pool.set(spec.key, hop);
    const dial = new Dial(spec, {
      onDialled: (socket, tls) => {
        this.#dials.delete(hop);
        if (hop.state !== 'connecting') {
          socket.destroy();
          return;
        }
        plane.counters.dialled++;
        hop.remote = addressOf(socket.remoteAddress, socket.remotePort);
        if (spec.relay !== undefined) this.identify(id, spec.relay);
        this.#open(hop, socket, tls);
      },
      onHandshakeFailed: (failure) => plane.counters.handshake(failure),
      onDialFailed: (reason, detail, handshake) => {
        this.#dials.delete(hop);
        if (handshake !== undefined) hop.failedHandshake = { failure: handshake, domain: spec.tls?.domain.name };
        closeConnection(plane, hop, reason, detail);
      },
      onDialling: ({ address, port }) =>
        plane.emit({
          type: 'dialling',
          connection: id,
          remote: { address, port },
          ...(spec.tls === undefined ? {} : { tls: true }),
        }),
      nowMs: () => plane.environment.nowMs(),
      handshakeTimeoutMs: () => plane.limits.tlsHandshakeTimeoutMs,
      contexts: this.#handshakes.contexts,
    });
    if (hop.state === 'connecting') this.#dials.set(hop, dial);
  }

  refuseHop(id: ConnectionId, status: number): void {
    const hop = this.#plane.connections.get(id);
    if (hop?.state === 'asking') closeConnection(this.#plane, hop, 'hop_refused', String(status), status);
  }

  identify(id: ConnectionId, relay: string): void {
    const plane = this.#plane;
    const connection = plane.connections.get(id);
    if (connection === undefined || connection.relay === relay) return;
    if (connection.relay !== undefined) plane.relays.get(connection.relay)?.delete(connection);
    connection.relay = relay;
    const others = plane.relays.get(relay);
    if (others === undefined) plane.relays.set(relay, new Set([connection]));
    else others.add(connection);
  }

  closeConnection(id: ConnectionId, reason: CloseReason): void {
    const connection = this.#plane.connections.get(id);
    if (connection === undefined) return;
    this.#dials.get(connection)?.abort();
    this.#dials.delete(connection);
    closeConnection(this.#plane, connection, reason);
  }

  traceNew(bodyBytes: number): void {
    this.#traceNew = bodyBytes;
  }

  traceFrames(id: ConnectionId, bodyBytes: number): void {
    const plane = this.#plane;
    const connection = plane.connections.get(id);
    if (connection === undefined) return;
    if (bodyBytes < 0) connection.tap = undefined;
    else if (connection.tap === undefined) this.#tap(connection, bodyBytes);
    else connection.tap.bodyBytes = bodyBytes;
  }

  connections(): ConnectionInfo[] {
    return Array.from(this.#plane.connections.values(), connectionInfo);
  }

  sessions(): SessionInfo[] {
    return Array.from(this.#plane.sessions.values(), sessionInfo);
  }

  stats(): EngineStats {
    const plane = this.#plane;
    let queuedBytes = 0;
    for (const connection of plane.connections.values()) queuedBytes += connection.outbox.bytes;
    return plane.counters.snapshot({
      connections: plane.connections.size,
      sessions: plane.sessions.size,
      transactions: plane.transactions.count,
      handshakes: this.#handshakes.size,
      queuedBytes,
    });
  }

  async drain(timeoutMs: number): Promise<void> {
    const plane = this.#plane;
    plane.draining = true;
    for (const id of this.#listeners.keys()) this.unlisten(id);
    await new Promise<void>((resolve) => {
      const deadlineMs = plane.environment.nowMs() + timeoutMs;
      const stop = plane.environment.every(TICK_MS, check);
      function check(): void {
        if (!isQuiet(plane) && plane.environment.nowMs() < deadlineMs) return;
        stop();
        resolve();
      }
      if (isQuiet(plane)) {
        stop();
        resolve();
      }
    });
    await this.stop();
  }

  async stop(): Promise<void> {
    const plane = this.#plane;
    plane.draining = true;
    for (const id of this.#listeners.keys()) this.unlisten(id);
    for (const connection of plane.connections.values()) this.closeConnection(connection.id, 'shutdown');
    for (const session of plane.sessions.values()) closeSession(plane, session, 'shutdown');
    this.#stopTicking();
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#endTurn();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Events first: what the control plane answers at once goes out with the same writes. */
  #endTurn(): void {
    const plane = this.#plane;
    const events = plane.takeEvents();
    if (events.length > 0) this.#onEvents(events);
    for (const connection of plane.takeDirty()) flush(plane, connection);
    plane.turnEnded();
  }

  /** False when a new connection is one too many: that is counted and told. */
  #admit(peer: NewPeer, tls: boolean): boolean {
    const plane = this.#plane;
    const { maxConnections, maxConnectionsPerIp, maxHandshakes } = plane.limits;
    const handshakes = this.#handshakes.size;
    const same = plane.connectionsPerIp.get(peer.remote.address) ?? 0;
    if (plane.draining) this.#refused(peer, 'shutdown');
    else if (maxConnections !== 0 && plane.connections.size + handshakes >= maxConnections)
      this.#refused(peer, 'max_connections');
    else if (maxConnectionsPerIp !== 0 && same >= maxConnectionsPerIp) this.#refused(peer, 'max_connections_per_ip');
    else if (tls && maxHandshakes !== 0 && handshakes >= maxHandshakes)
      this.#handshakeFailed(peer, 'max_handshakes', `${handshakes} are in progress`, undefined);
    else return true;
    return false;
  }

  #handshakeFailed(peer: NewPeer, failure: HandshakeFailure, detail: string, domain: string | undefined): void {
    this.#plane.counters.handshake(failure);
    const about = { handshake: failure, ...(domain === undefined ? {} : { tlsDomain: domain }) };
    this.#refused(peer, handshakeCloseReason(failure), { detail: `${failure}: ${detail}`, ...about });
  }

  #accept(listener: ListenerId, socket: Socket, tls: TlsInfo | undefined): void {
    const plane = this.#plane;
    plane.nowMs = plane.environment.nowMs();
    plane.counters.accepted++;
    const remote = addressOf(socket.remoteAddress, socket.remotePort);
    const connection = plane.addConnection('in', 'connecting', remote);
    connection.listener = listener;
    plane.connectionsPerIp.set(remote.address, (plane.connectionsPerIp.get(remote.address) ?? 0) + 1);
    this.#open(connection, socket, tls);
  }

  /** The transport is usable: traffic begins. */
  #open(connection: Connection, socket: Socket, tls: TlsInfo | undefined): void {
    const plane = this.#plane;
    connection.local = addressOf(socket.localAddress, socket.localPort);
    connection.tls = tls;
    connection.state = 'open';
    connection.lastActiveMs = plane.nowMs;
    if (this.#traceNew >= 0) this.#tap(connection, this.#traceNew);
    connection.transport = new SocketTransport(socket, {
      onData: (bytes) => {
        plane.nowMs = plane.environment.nowMs();
        if (connection.state === 'open') connection.tap?.in.push(bytes);
        onBytes(plane, connection, bytes);
      },
      onWritten: () => onWritten(plane, connection),
      onPeerEnd: () => {
        plane.nowMs = plane.environment.nowMs();
        connection.ended = true;
        closeConnection(plane, connection, 'peer_closed');
      },
      onEnd: (error) => {
        plane.nowMs = plane.environment.nowMs();
        const detail = error === undefined ? undefined : ((error as { code?: string }).code ?? error.message);
        closeConnection(plane, connection, error === undefined ? 'peer_closed' : 'peer_reset', detail);
        onTransportEnd(plane, connection);
      },
    });
    plane.emit({
      type: 'opened',
      connection: connection.id,
      direction: connection.direction,
      ...(connection.listener === undefined ? {} : { listener: connection.listener }),
      remote: connection.remote,
      local: connection.local,
      ...(tls === undefined ? {} : { tls }),
    });
    if (connection.pauses > 0) connection.transport.pause();
    plane.touch(connection);
  }

  #tap(connection: Connection, bodyBytes: number): void {
    const plane = this.#plane;
    connection.tap = new Tap(connection.id, bodyBytes, (event) => {
      if (connection.tap !== undefined) plane.emit(event);
    });
  }

  /** A peer that never became a connection: counted and told all the same. */
  #refused(
    { listener, remote, local }: NewPeer,
    reason: CloseReason,
    about: Pick<ClosedEvent, 'detail' | 'handshake' | 'tlsDomain'> = {},
  ): void {
    const plane = this.#plane;
    plane.counters.close(reason);
    plane.emit({
      type: 'closed',
      connection: plane.nextId(),
      direction: 'in',
      listener,
      local,
      remote,
      reason,
      ...about,
      bytesIn: 0,
      bytesOut: 0,
    });
  }
}

/** Nothing is under way: no transaction, no unwritten byte, no chunk in the middle. */
function isQuiet(plane: Plane): boolean {
  if (plane.transactions.count > 0) return false;
  for (const connection of plane.connections.values()) {
    if (connection.outbox.bytes > 0 || connection.incoming !== undefined) return false;
  }
  return true;
}

const NOWHERE = { address: '', port: 0 };

function addressOf(address: string | undefined, port: number | undefined): { address: string; port: number } {
  return { address: address ?? '', port: port ?? 0 };
}
