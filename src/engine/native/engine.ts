import { lookup } from 'node:dns/promises';
import type {
  AddonEngineClass,
  ConnectionView,
  EngineHandle,
  EngineNotice,
  SessionView,
  StatsView,
} from '../../addon/engine-handle.ts';
import { MsrpError } from '../../errors.ts';
import type {
  Answer,
  BoundListener,
  CloseReason,
  ConnectSpec,
  ConnectionId,
  ConnectionInfo,
  Engine,
  EngineEnvironment,
  EngineEvent,
  EngineLimits,
  EngineOptions,
  EngineStats,
  ListenSpec,
  ListenerId,
  OwnAuthority,
  RequestId,
  SessionCloseReason,
  SessionId,
  SessionInfo,
  SessionSpec,
  TlsServerSpec,
} from '../engine.ts';
import { eventOf } from './event.ts';
import { TlsHandles } from './tls.ts';
import { connectionInfo, statsOf } from './view.ts';

export interface NativeEngineParts {
  readonly EngineHandle: AddonEngineClass;
  /** Threads, 1…62. */
  readonly workers: number;
  /** Called once when a thread has failed: the engine is of no use any more. */
  readonly onFault: (detail: string) => void;
}

/** Makes the engine whose sockets belong to threads of the addon (native/engine). */
export function createNativeEngine(options: EngineOptions, parts: NativeEngineParts): Engine {
  return new NativeEngine(options, parts);
}

/** The contract on one side, the addon on the other: conversion, and what needs the event loop. */
class NativeEngine implements Engine {
  readonly kind = 'native';
  readonly #handle: EngineHandle;
  readonly #tls: TlsHandles;
  readonly #environment: EngineEnvironment;
  readonly #onEvents: (events: readonly EngineEvent[]) => void;
  readonly #onFault: (detail: string) => void;
  readonly #stopTicking: () => void;
  #stopped: Promise<void> | undefined;
  #flushing = false;

  constructor(options: EngineOptions, { EngineHandle: Handle, workers, onFault }: NativeEngineParts) {
    const { environment, limits } = options;
    this.#environment = environment;
    this.#onEvents = options.onEvents;
    this.#onFault = onFault;
    const seed = new Uint8Array(32);
    environment.random(seed);
    const ownClock = environment.monotonic === true;
    const settings = { workers, nowMs: environment.nowMs(), ownClock, seed, ringEvents: RING_EVENTS };
    this.#handle = new Handle({ ...settings, limits }, () => this.#takeEvents());
    this.#tls = new TlsHandles(this.#handle);
    this.#stopTicking = ownClock
      ? () => undefined
      : environment.every(TICK_MS, () => this.#commands.tick(environment.nowMs()));
  }

  async listen({ address, port, tls }: ListenSpec): Promise<BoundListener> {
    const server = tls === undefined ? undefined : this.#tls.server(tls);
    try {
      // An address is its own answer.
      const { address: host } = await lookup(address);
      return this.#commands.listen(host, port, server);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MsrpError('E_LISTEN', `${address}:${port}: ${reason}`, { cause: error });
    }
  }

  unlisten(listener: ListenerId): void {
    this.#commands.unlisten(listener);
  }

  updateTls(listener: ListenerId, tls: TlsServerSpec): void {
    this.#commands.updateTls(listener, this.#tls.server(tls));
  }

  setAuthorities(authorities: readonly OwnAuthority[]): void {
    this.#commands.setAuthorities([...authorities]);
  }

  setLimits(limits: EngineLimits): void {
    this.#commands.setLimits(limits);
  }

  openSession({ uri, clientPath, previousHop, expiresAtMs, exclusivePeer }: SessionSpec): SessionId {
    return this.#commands.openSession({
      uri,
      clientPath: [...clientPath],
      connection: previousHop.connection,
      ...('relay' in previousHop ? { relay: previousHop.relay } : {}),
      expiresAtMs,
      exclusivePeer,
    });
  }

  extendSession(session: SessionId, expiresAtMs: number): void {
    this.#commands.extendSession(session, expiresAtMs);
  }

  closeSession(session: SessionId, reason: SessionCloseReason): void {
    this.#commands.closeSession(session, reason);
  }

  answer(request: RequestId, { status, comment, headers }: Answer): void {
    this.#commands.answer(request, status, comment, headers.flat());
  }

  connectHop(hop: ConnectionId, { key, candidates, timeoutMs, localAddress, relay, tls }: ConnectSpec): void {
    const settings = {
      key,
      candidates: [...candidates],
      timeoutMs,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(relay === undefined ? {} : { relay }),
    };
    if (tls === undefined) {
      this.#commands.connectHop(hop, settings);
      return;
    }
    try {
      const domain = this.#tls.domain(tls.domain);
      this.#commands.connectHop(hop, { ...settings, serverName: tls.serverName }, domain);
    } catch (error) {
      // Without its TLS there is no way to reach it: it fails as if nobody had answered.
      const whyNone = error instanceof Error ? error.message : String(error);
      this.#commands.connectHop(hop, { ...settings, candidates: [], whyNone });
    }
  }

  refuseHop(hop: ConnectionId, status: number): void {
    this.#commands.refuseHop(hop, status);
  }

  identify(connection: ConnectionId, relay: string): void {
    this.#commands.identify(connection, relay);
  }

  closeConnection(connection: ConnectionId, reason: CloseReason): void {
    this.#commands.closeConnection(connection, reason);
  }

  traceNew(bodyBytes: number): void {
    this.#commands.traceNew(bodyBytes);
  }

  traceFrames(connection: ConnectionId, bodyBytes: number): void {
    this.#commands.traceFrames(connection, bodyBytes);
  }

  connections(): ConnectionInfo[] {
    return (JSON.parse(this.#handle.connections()) as ConnectionView[]).map(connectionInfo);
  }

  sessions(): SessionInfo[] {
    return JSON.parse(this.#handle.sessions()) as SessionView[];
  }

  stats(): EngineStats {
    return statsOf(this.#stats());
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#commands.drain();
    await new Promise<void>((resolve) => {
      const deadlineMs = this.#environment.nowMs() + timeoutMs;
      const isOver = (): boolean => !this.#stats().busy || this.#environment.nowMs() >= deadlineMs;
      if (isOver()) {
        resolve();
        return;
      }
      const stop = this.#environment.every(TICK_MS, () => {
        if (!isOver()) return;
        stop();
        resolve();
      });
    });
    await this.stop();
  }

  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      this.#stopTicking();
      this.#handle.stop();
      this.#takeEvents();
    })();
    return this.#stopped;
  }

  #stats(): StatsView {
    return JSON.parse(this.#handle.stats()) as StatsView;
  }

  /** Commands of one turn of the event loop wake the threads once, at its end. */
  get #commands(): EngineHandle {
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => {
        this.#flushing = false;
        this.#handle.flush();
      });
    }
    return this.#handle;
  }

  #takeEvents(): void {
    const notices = JSON.parse(this.#handle.takeEvents()) as EngineNotice[];
    const fault = notices.find(({ type }) => type === 'fault');
    const events = notices.filter((notice) => notice !== fault).map(eventOf);
    if (events.length > 0) this.#onEvents(events);
    if (fault !== undefined) this.#onFault(fault.detail ?? '');
  }
}

const TICK_MS = 100;

/** Events that may wait for the event loop of Node: some milliseconds of a storm. */
const RING_EVENTS = 4096;
