import type {
  ConnectionId,
  EngineEnvironment,
  EngineEvent,
  EngineLimits,
  OwnAuthority,
  RequestId,
  SocketAddress,
} from '../engine.ts';
import type { DecoderFactory } from '../../syntax/decoder.ts';
import type { MsrpUri } from '../../syntax/uri.ts';
import { Connection } from './connection.ts';
import type { ConnectionState } from './connection.ts';
import { Counters } from './counters.ts';
import { SessionTable } from './session.ts';
import { TidSource } from './tid-source.ts';
import { TransactionTable } from './transaction.ts';

/** A request that the control plane has to answer. */
export interface OpenRequest {
  readonly connection: Connection;
  readonly tid: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
}

/** What all stages of one engine share: tables, limits, counters, the clock of this turn, and what is to be done at its end. */
export class Plane {
  readonly counters = new Counters();
  readonly sessions = new SessionTable();
  readonly transactions = new TransactionTable();
  readonly tids: TidSource;
  readonly connections = new Map<ConnectionId, Connection>();
  readonly connectionsPerIp = new Map<string, number>();
  /** Outgoing connections by the key under which they are shared. */
  readonly pool = new Map<string, Connection>();
  /** Connections of each relay known by certificate, latest last. */
  readonly relays = new Map<string, Set<Connection>>();
  readonly requests = new Map<RequestId, OpenRequest>();
  /** Connections with a write under way that the kernel has not taken whole. */
  readonly writing = new Set<Connection>();
  readonly environment: EngineEnvironment;
  limits: EngineLimits;
  authorities: readonly OwnAuthority[] = [];
  /** Time of this turn. */
  nowMs: number;
  /** Nothing new is accepted any more. */
  draining = false;

  readonly #makeDecoder: DecoderFactory;
  readonly #endOfTurn: () => void;
  #scheduled = false;
  #events: EngineEvent[] = [];
  #dirty: Connection[] = [];
  #lastId = 0;

  /** `endOfTurn` is called once for each turn in which something was emitted or queued. */
  constructor(
    limits: EngineLimits,
    environment: EngineEnvironment,
    makeDecoder: DecoderFactory,
    endOfTurn: () => void,
  ) {
    this.limits = limits;
    this.environment = environment;
    this.nowMs = environment.nowMs();
    this.tids = new TidSource((into) => environment.random(into));
    this.#makeDecoder = makeDecoder;
    this.#endOfTurn = endOfTurn;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  /** Makes a connection and enters it into the table. */
  addConnection(
    direction: 'in' | 'out',
    state: ConnectionState,
    remote: SocketAddress,
    id = this.nextId(),
  ): Connection {
    const { lineBytes, headerLines, headerBytes, nonSendBodyBytes, pathUris } = this.limits;
    const limits = { lineBytes, headerLines, headerBytes, nonSendBodyBytes };
    const framer = this.#makeDecoder({ limits, pathUris });
    const connection = new Connection({
      id,
      direction,
      state,
      remote,
      framer,
      nowMs: this.nowMs,
    });
    this.connections.set(connection.id, connection);
    return connection;
  }

  /** Whether a URI names this relay: host and port, whatever its session-id (relay R-042). */
  isOwn(uri: MsrpUri): boolean {
    for (const { host, port } of this.authorities) {
      if (host === uri.host && (port === 0 || uri.port === undefined || port === uri.port)) return true;
    }
    return false;
  }

  emit(event: EngineEvent): void {
    this.#events.push(event);
    this.#schedule();
  }

  /** Notes that a connection has something to write at the end of this turn. */
  touch(connection: Connection): void {
    if (connection.dirty) return;
    connection.dirty = true;
    this.#dirty.push(connection);
    this.#schedule();
  }

  takeEvents(): EngineEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  takeDirty(): Connection[] {
    const dirty = this.#dirty;
    this.#dirty = [];
    return dirty;
  }

  /** The turn is over: the next event or byte begins another. */
  turnEnded(): void {
    this.#scheduled = false;
    if (this.#events.length > 0 || this.#dirty.length > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#endOfTurn();
  }
}
