import type {
  CloseReason,
  ClosedEvent,
  ConnectionId,
  DiallingEvent,
  Engine,
  EngineEvent,
  FrameEvent,
  ListenerId,
  OpenedEvent,
  SocketAddress,
  TlsInfo,
} from '../engine/engine.ts';
import { PEACEFUL, TEXT, closedText, eventPayload } from './event-text.ts';
import type { EventFields } from './event-text.ts';
import { compileRules } from './filter.ts';
import type { TraceDecision, TraceFacts } from './filter.ts';
import { HEP_TYPE, MAX_PAYLOAD, encodeHep } from './hep.ts';
import { namesOf, redactFrame } from './redact.ts';
import type { HepSender } from './sender.ts';
import type { TraceSettings } from './settings.ts';

export interface TracerOptions {
  readonly engine: Pick<Engine, 'connections' | 'traceNew' | 'traceFrames'>;
  readonly settings: TraceSettings;
  readonly sender: HepSender;
  /** Microseconds since 1970. */
  readonly nowUs: () => number;
  readonly listener: (
    id: ListenerId,
  ) => { readonly uri: string; readonly tls: boolean; readonly isWebSocket: boolean } | undefined;
  /** Users of the sessions that are open, with their connections. */
  readonly users: () => readonly (readonly [ConnectionId, string])[];
  /** Decides instead of the rules. */
  readonly hook?: TraceHook | undefined;
  readonly onHookFailure: (error: unknown) => void;
}

export type TraceHook = (facts: TraceFacts) => MaybePromise<boolean | TraceDecision>;

type MaybePromise<T> = T | Promise<T>;

/** A connection while tracing is on. */
interface Traced {
  readonly id: ConnectionId;
  readonly direction: 'in' | 'out';
  readonly listener: ListenerId | undefined;
  remote: SocketAddress;
  local: SocketAddress;
  tls: TlsInfo | undefined;
  isTls: boolean;
  readonly isWebSocket: boolean;
  opened: boolean;
  /** Of its sessions, those that have ended included. */
  readonly users: Set<string>;
  /** Undefined: the hook has not decided yet, and what happens meanwhile is held. */
  decision: TraceDecision | undefined;
  held: Buffer[];
  /** The engine tells its frames. */
  framed: boolean;
  /** Number of the latest question to the hook. */
  question: number;
}

/** Events of one connection that wait for the hook; more are not traced. */
const MAX_HELD = 64;

const NOWHERE: SocketAddress = { address: '', port: 0 };

/**
 * Tells a collector what becomes of connections (D-60…D-66): ACCEPTED, CONNECT_START, CONNECTED and CLOSED, those of one
 * connection with its number as correlation id. While it is off it keeps nothing, and asks no filter.
 */
export class Tracer {
  readonly #options: TracerOptions;
  readonly #connections = new Map<ConnectionId, Traced>();
  #settings: TraceSettings;
  #rules: (facts: TraceFacts) => TraceDecision;
  #hook: TraceHook | undefined;
  #on = false;

  constructor(options: TracerOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#rules = compileRules(options.settings.rules);
    this.#hook = options.hook;
    this.on = options.settings.on;
  }

  get on(): boolean {
    return this.#on;
  }

  /** Switching on judges the connections that are open. */
  set on(on: boolean) {
    if (on === this.#on) return;
    this.#on = on;
    for (const traced of this.#connections.values()) this.#frames(traced, false);
    this.#connections.clear();
    this.#options.engine.traceNew(this.#bodyBytes);
    if (!on) return;
    for (const info of this.#options.engine.connections()) {
      if (info.state === 'asking' || info.state === 'closing') continue;
      const traced = this.#add(info.connection, info.direction, info.listener, info.remote, info.local, info.tls);
      traced.opened = info.state !== 'connecting' && info.state !== 'handshake';
    }
    for (const [connection, user] of this.#options.users()) this.#connections.get(connection)?.users.add(user);
    for (const traced of this.#connections.values()) this.#judge(traced);
  }

  get stats(): { readonly on: boolean; readonly sent: number; readonly dropped: number; readonly queuedBytes: number } {
    const { sent, dropped, queuedBytes } = this.#options.sender;
    return { on: this.#on, sent, dropped, queuedBytes };
  }

  /** New rules judge the connections that are open; the switch stays where it is. */
  reconfigure(settings: TraceSettings, hook: TraceHook | undefined): void {
    this.#settings = settings;
    this.#rules = compileRules(settings.rules);
    this.#hook = hook;
    this.#options.engine.traceNew(this.#bodyBytes);
    for (const traced of this.#connections.values()) this.#judge(traced);
  }

  /** A session of that user was opened on the connection: what a filter says may be another thing now. */
  onUser(connection: ConnectionId, user: string): void {
    const traced = this.#connections.get(connection);
    if (traced === undefined || traced.users.has(user)) return;
    traced.users.add(user);
    this.#judge(traced);
  }

  /** Takes the events of the engine. Never throws. */
  handle(events: readonly EngineEvent[]): void {
    for (const event of events) {
      if (event.type === 'frame') this.#onFrame(event);
      else if (!this.#on) continue;
      else if (event.type === 'opened') this.#onOpened(event);
      else if (event.type === 'dialling') this.#onDialling(event);
      else if (event.type === 'closed') this.#onClosed(event);
    }
  }

  close(): void {
    this.#on = false;
    this.#connections.clear();
    this.#options.sender.close();
  }

  #onOpened(event: OpenedEvent): void {
    const { connection, direction, listener, remote, local, tls } = event;
    let traced = this.#connections.get(connection);
    const isNew = traced === undefined;
    traced ??= this.#add(connection, direction, listener, remote, local, tls);
    // The engine tells frames of new connections before anything is decided, so that the first ones are not missed.
    const framed = this.#bodyBytes >= 0;
    Object.assign(traced, { remote, local, tls, isTls: tls !== undefined, opened: true, framed });
    if (isNew) this.#judge(traced);
    else if (traced.decision !== undefined) this.#frames(traced, traced.decision === 'trace');
    if (direction === 'in') this.#tell(traced, 'ACCEPTED', 'SUCCESS', TEXT.accepted);
    else this.#tell(traced, 'CONNECTED', 'SUCCESS', TEXT.connected);
  }

  #onDialling({ connection, remote, tls }: DiallingEvent): void {
    let traced = this.#connections.get(connection);
    if (traced === undefined) {
      traced = this.#add(connection, 'out', undefined, remote, NOWHERE, undefined);
      this.#judge(traced);
    }
    traced.remote = remote;
    traced.isTls = tls === true;
    this.#tell(traced, 'CONNECT_START', 'SUCCESS', TEXT.connecting);
  }

  #onClosed(event: ClosedEvent): void {
    const { connection, direction, listener, remote, local = NOWHERE, reason, detail } = event;
    let traced = this.#connections.get(connection);
    if (traced === undefined) {
      if (direction === 'out' && !DIAL_FAILURES.has(reason)) return;
      traced = this.#add(connection, direction, listener, remote, local, undefined);
      this.#judge(traced);
    }
    const text = closedText(reason, detail);
    if (traced.opened) this.#tell(traced, 'CLOSED', PEACEFUL.has(reason) ? 'SUCCESS' : 'FAILURE', text);
    else if (direction === 'in') this.#tell(traced, 'ACCEPTED', 'FAILURE', `${TEXT.acceptFailed} ${text}`);
    else this.#tell(traced, 'CONNECTED', 'FAILURE', `${TEXT.connectFailed} ${text}`);
    this.#connections.delete(connection);
  }

  #add(
    id: ConnectionId,
    direction: 'in' | 'out',
    listener: ListenerId | undefined,
    remote: SocketAddress,
    local: SocketAddress,
    tls: TlsInfo | undefined,
  ): Traced {
    const by = listener === undefined ? undefined : this.#options.listener(listener);
    const traced: Traced = {
      id,
      direction,
      listener,
      remote,
      local,
      tls,
      isTls: tls !== undefined || by?.tls === true,
      isWebSocket: by?.isWebSocket === true,
      opened: false,
      users: new Set(),
      decision: undefined,
      held: [],
      framed: false,
      question: 0,
    };
    this.#connections.set(id, traced);
    return traced;
  }

  /** Asks the filter. The answer of a hook may come later; until then the one before holds, or events are held. */
  #judge(traced: Traced): void {
    const facts = this.#factsOf(traced);
    const question = ++traced.question;
    if (this.#hook === undefined) {
      this.#decide(traced, this.#rules(facts));
      return;
    }
    const failed = (error: unknown): void => {
      this.#options.onHookFailure(error);
      if (traced.question === question) this.#decide(traced, 'drop');
    };
    try {
      const verdict = this.#hook(facts);
      if (!(verdict instanceof Promise)) {
        this.#decide(traced, decisionOf(verdict));
        return;
      }
      verdict.then((late) => {
        if (traced.question === question) this.#decide(traced, decisionOf(late));
      }, failed);
    } catch (error) {
      failed(error);
    }
  }

  #decide(traced: Traced, decision: TraceDecision): void {
    traced.decision = decision;
    if (decision === 'trace' && this.#on) for (const packet of traced.held) this.#options.sender.send(packet);
    traced.held = [];
    this.#frames(traced, decision === 'trace' && this.#on);
  }

  /** Has the engine tell the frames of an open connection, or ends that. */
  #frames(traced: Traced, wanted: boolean): void {
    const { engine } = this.#options;
    const on = wanted && this.#bodyBytes >= 0 && traced.opened;
    if (on) engine.traceFrames(traced.id, this.#bodyBytes);
    else if (traced.framed) engine.traceFrames(traced.id, -1);
    traced.framed = on;
  }

  /** Octets of bodies that frames are told with; −1: none are told. */
  get #bodyBytes(): number {
    const { frames, bodyBytes } = this.#settings;
    if (!this.#on || frames === 'none') return -1;
    return frames === 'bodies' ? bodyBytes : 0;
  }

  #onFrame({ connection, direction, bytes, bodyOctets, bodyKept }: FrameEvent): void {
    const traced = this.#connections.get(connection);
    if (traced === undefined) {
      // It opened while tracing was being switched off, or has closed.
      this.#options.engine.traceFrames(connection, -1);
      return;
    }
    if (traced.decision === 'drop') return;
    const payload = redactFrame(bytes);
    const names = {
      ...namesOf(payload, direction),
      ...(bodyKept < bodyOctets ? { 'body-octets': bodyOctets } : {}),
      ...(payload.length > MAX_PAYLOAD ? { Truncated: 'true' } : {}),
    };
    const { captureId, destination } = this.#settings;
    const packet = encodeHep(
      {
        source: direction === 'in' ? traced.remote : traced.local,
        destination: direction === 'in' ? traced.local : traced.remote,
        protocol: IPPROTO_TCP,
        timeUs: this.#options.nowUs(),
        type: HEP_TYPE.LOG,
        captureId,
        payload,
        correlationId: String(connection),
        extraCorrelation: JSON.stringify(names),
      },
      destination?.version ?? 3,
    );
    this.#deliver(traced, packet);
  }

  #factsOf({ direction, remote, local, listener, users, tls }: Traced): TraceFacts {
    const names = [...(tls?.serverName === undefined ? [] : [tls.serverName]), ...(tls?.peer?.altNames ?? [])];
    return {
      direction,
      remote,
      local,
      listener: listener === undefined ? undefined : this.#options.listener(listener)?.uri,
      users: [...users],
      tlsNames: names.map((name) => name.toLowerCase()),
    };
  }

  #tell(traced: Traced, event: EventFields['event'], status: EventFields['status'], message: string): void {
    if (traced.decision === 'drop') return;
    const { direction, isTls, isWebSocket, tls } = traced;
    const protocol = isWebSocket ? (isTls ? 'MSRP-WSS' : 'MSRP-WS') : isTls ? 'MSRPS' : 'MSRP';
    const whose = direction === 'in' ? 'client' : 'server';
    const peer = tls?.peer;
    const names = peer === undefined ? {} : { [`${whose}-subject`]: peer.subject, [`${whose}-issuer`]: peer.issuer };
    const fields = { protocol, tls: names, event, status, message } as const;
    this.#send(traced, eventPayload(fields, this.#settings.homer5));
  }

  #send(traced: Traced, payload: Buffer): void {
    const { captureId, opensipsProtoNumbers, opensipsAddressOrder, destination } = this.#settings;
    // The one that has begun is the source (D-63).
    const remoteFirst = traced.direction === 'in' || opensipsAddressOrder;
    const packet = encodeHep(
      {
        source: remoteFirst ? traced.remote : traced.local,
        destination: remoteFirst ? traced.local : traced.remote,
        protocol: opensipsProtoNumbers ? opensipsNumber(traced) : IPPROTO_TCP,
        timeUs: this.#options.nowUs(),
        type: HEP_TYPE.NET,
        captureId,
        payload,
        correlationId: String(traced.id),
      },
      destination?.version ?? 3,
    );
    this.#deliver(traced, packet);
  }

  #deliver(traced: Traced, packet: Buffer): void {
    if (traced.decision === 'trace') this.#options.sender.send(packet);
    else if (traced.held.length < MAX_HELD) traced.held.push(packet);
  }
}

/** Of what was dialled. A hop that was refused, or found connected already, was never a connection. */
const DIAL_FAILURES: ReadonlySet<CloseReason> = new Set<CloseReason>([
  'connect_failed',
  'connect_timeout',
  'tls_handshake_failed',
  'tls_handshake_timeout',
]);

const IPPROTO_TCP = 6;

/** What OpenSIPS puts (H-022): IPPROTO_IDP for TLS, IPPROTO_ESP for WebSockets of both kinds. */
function opensipsNumber({ isTls, isWebSocket }: Traced): number {
  if (isWebSocket) return 50;
  return isTls ? 22 : IPPROTO_TCP;
}

function decisionOf(verdict: boolean | TraceDecision): TraceDecision {
  return verdict === true || verdict === 'trace' ? 'trace' : 'drop';
}
