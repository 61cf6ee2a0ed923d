import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadAddon } from '../../src/addon/load.ts';
import { createNativeEngine } from '../../src/engine/native/engine.ts';
import { createTsEngine } from '../../src/engine/ts/engine.ts';
import type {
  Engine,
  EngineEvent,
  EngineFactory,
  EngineLimits,
  EngineOptions,
  OpenedEvent,
  SessionId,
  TlsDomain,
} from '../../src/engine/engine.ts';
import { BIT, KIND, R, RECORD_WORDS } from '../../src/frame/record.ts';
import { TsFramer } from '../../src/frame/ts-framer.ts';
import { decodeFrame } from '../../src/syntax/frame.ts';
import { FRAMERS } from '../frame/framers.ts';
import type { RequestFrame, ResponseFrame } from '../../src/syntax/frame.ts';
import { TestCa } from '../listen/certificates.ts';

/** Every engine that the scenarios run on: the native ones wherever the addon is. */
export const ENGINES: readonly { readonly name: string; readonly make: EngineFactory }[] = [
  ...FRAMERS.filter(({ name }) => name !== 'native').map(({ name, make }) => ({
    name: `ts, framer ${name}`,
    make: (options: EngineOptions) => createTsEngine(options, make),
  })),
  ...nativeEngines(),
];

/** Engines whose clients come over TLS. */
const OVER_TLS = new Set<EngineFactory>();

/** Every engine, with plain clients and with such as come over TLS: for scenarios that need no more of the transport. */
export const TRANSPORTS: typeof ENGINES = [...ENGINES, ...secureEngines()];

function secureEngines(): { name: string; make: EngineFactory }[] {
  // TLS knows nothing of what frames: one framer of the TypeScript engine is enough.
  const engines = ENGINES.filter(({ name }) => name.startsWith('native') || name === 'ts, framer mixed');
  return engines.map(({ name, make }) => {
    const secure: EngineFactory = (options) => make(options);
    OVER_TLS.add(secure);
    return { name: `${name}, TLS`, make: secure };
  });
}

const TEST_CA = await TestCa.create();
const RELAY = await TEST_CA.issue('relay.example');

const TEST_DOMAIN: TlsDomain = {
  name: 'test',
  identities: [{ certificate: RELAY.certificate, privateKey: RELAY.key }],
  ca: TEST_CA.certificate,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  verifyCert: false,
  requireCert: false,
};

function nativeEngines(): { name: string; make: EngineFactory }[] {
  const result = loadAddon();
  if (!('addon' in result)) return [];
  const { EngineHandle } = result.addon;
  const onFault = (detail: string): void => {
    throw new Error(`a worker has failed: ${detail}`);
  };
  return [1, 2].map((workers) => ({
    name: `native, ${workers} worker${workers === 1 ? '' : 's'}`,
    make: (options) => createNativeEngine(options, { EngineHandle, workers, onFault }),
  }));
}

export const TEST_LIMITS: EngineLimits = {
  sendTimeoutMs: 30_000,
  maxMsgChunks: 0,
  tlsHandshakeTimeoutMs: 10_000,
  maxHandshakes: 0,
  maxConnections: 0,
  maxConnectionsPerIp: 0,
  lineBytes: 8192,
  headerBytes: 65536,
  headerLines: 64,
  pathUris: 16,
  nonSendBodyBytes: 10240,
  messageBytes: 0,
  outboxBytes: 262144,
  transactionsPerConnection: 16384,
  probationMs: 30_000,
  idleMs: 3_600_000,
  transactionMs: 30_000,
};

/** Time that only the test moves. */
export class ManualClock {
  nowMs = 1000;
  readonly #ticks = new Set<{ everyMs: number; nextMs: number; tick: () => void }>();

  every(everyMs: number, tick: () => void): () => void {
    const entry = { everyMs, nextMs: this.nowMs + everyMs, tick };
    this.#ticks.add(entry);
    return () => void this.#ticks.delete(entry);
  }

  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const next = [...this.#ticks].sort((a, b) => a.nextMs - b.nextMs)[0];
      if (next === undefined || next.nextMs > until) break;
      this.nowMs = next.nextMs;
      next.nextMs += next.everyMs;
      next.tick();
    }
    this.nowMs = until;
  }
}

/** Longer than anything takes: a deadline is there only so that a test that would hang fails. */
const DEADLINE_MS = 20_000;

/** For what is real work: a compilation, megabytes through a slow machine. */
export const LONG_DEADLINE_MS = 120_000;

export async function within<T>(what: string, promise: Promise<T>, deadlineMs = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again, and gives up in time. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const wanted = new AbortController();
  const wait = async (): Promise<void> => {
    while (!wanted.signal.aborted && !(await holds())) await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    await within(what, wait(), deadlineMs);
  } finally {
    wanted.abort();
  }
}

setFlagsFromString('--expose-gc');
/** Collects garbage now: before memory is measured. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An engine with a listener, its events, and a clock. */
export class Bench implements AsyncDisposable {
  readonly engine: Engine;
  readonly clock = new ManualClock();
  readonly events: EngineEvent[] = [];
  port = 0;
  readonly #secure: boolean;
  #wake: (() => void)[] = [];
  readonly #peers: Peer[] = [];
  readonly #servers: Server[] = [];

  readonly limits: EngineLimits;

  constructor(make: EngineFactory, limits: Partial<EngineLimits> = {}) {
    this.#secure = OVER_TLS.has(make);
    this.limits = { ...TEST_LIMITS, ...limits };
    this.engine = make({
      limits: this.limits,
      environment: {
        nowMs: () => this.clock.nowMs,
        every: (ms, tick) => this.clock.every(ms, tick),
        random: (into) => void randomFillSync(into),
      },
      onEvents: (events) => {
        this.events.push(...events);
        for (const wake of this.#wake.splice(0)) wake();
      },
    });
  }

  static async start(make: EngineFactory, limits: Partial<EngineLimits> = {}): Promise<Bench> {
    const bench = new Bench(make, limits);
    const tls = bench.#secure ? { tls: { byName: [], fallback: TEST_DOMAIN } } : {};
    const { port } = await bench.engine.listen({ address: '127.0.0.1', port: 0, ...tls });
    bench.port = port;
    bench.engine.setAuthorities([{ host: '127.0.0.1', port }]);
    return bench;
  }

  /** Waits for the first event of a type that is not taken yet, and takes it. */
  async event<T extends EngineEvent['type']>(
    type: T,
    match: (event: Extract<EngineEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<EngineEvent, { type: T }>> {
    const find = async (): Promise<Extract<EngineEvent, { type: T }>> => {
      for (;;) {
        const at = this.events.findIndex(
          (event) => event.type === type && match(event as Extract<EngineEvent, { type: T }>),
        );
        if (at >= 0) return this.events.splice(at, 1)[0] as Extract<EngineEvent, { type: T }>;
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    };
    return within(`event ${type}`, find());
  }

  async connect(): Promise<Peer> {
    const raw = connect({ host: '127.0.0.1', port: this.port, noDelay: true });
    await within('connect', once(raw, 'connect'));
    const socket = this.#secure
      ? connectTls({ socket: raw, ca: TEST_CA.certificate, servername: 'relay.example' })
      : raw;
    if (this.#secure) await within('handshake', once(socket, 'secureConnect'));
    const peer = new Peer(socket, raw);
    peer.relayPort = this.port;
    this.#peers.push(peer);
    // The relay's own dials have ports of the same range, of which one may have had this one before.
    const isIt = ({ remote, local }: OpenedEvent): boolean => remote.port === raw.localPort && local.port === this.port;
    const { connection } = await this.event('opened', isIt);
    peer.connection = connection;
    return peer;
  }

  /** A client with an open session, as after a successful AUTH. */
  async client(name: string, options: { exclusivePeer?: boolean; expiresAtMs?: number } = {}): Promise<Client> {
    const peer = await this.connect();
    const own = `msrp://127.0.0.1:${peer.localPort}/${name}Client;tcp`;
    const uri = `msrp://127.0.0.1:${this.port}/${name}Session0123456789;tcp`;
    const session = this.engine.openSession({
      uri,
      clientPath: [own],
      previousHop: { connection: peer.connection },
      expiresAtMs: options.expiresAtMs ?? this.clock.nowMs + 1_800_000,
      exclusivePeer: options.exclusivePeer ?? true,
    });
    return { peer, own, uri, session };
  }

  /** A peer that can be dialled; each connection becomes a Peer. */
  async target(): Promise<{ port: number; uri: string; accept: () => Promise<Peer> }> {
    const waiting: Peer[] = [];
    let wake: () => void = () => undefined;
    const server = createServer({ noDelay: true }, (socket) => {
      const peer = new Peer(socket);
      peer.relayPort = this.port;
      this.#peers.push(peer);
      waiting.push(peer);
      wake();
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const accept = async (): Promise<Peer> => {
      const next = async (): Promise<Peer> => {
        for (;;) {
          const peer = waiting.shift();
          if (peer !== undefined) return peer;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      };
      return within('a connection', next());
    };
    return { port, uri: `msrp://127.0.0.1:${port}/target;tcp`, accept };
  }

  /** Every request that was forwarded has been answered. */
  settled(): Promise<void> {
    return until('all answers', () => this.engine.stats().transactions === 0);
  }

  /** Nothing waits to be written. The last write may have reached its reader before the engine hears of its end. */
  emptied(): Promise<void> {
    return until('empty outboxes', () => this.engine.stats().queuedBytes === 0);
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    for (const server of this.#servers) server.close();
    await this.engine.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

export interface Client {
  readonly peer: Peer;
  /** URI of the client itself, and the one that the relay has given it. */
  readonly own: string;
  readonly uri: string;
  readonly session: SessionId;
}

/** A whole frame as a peer has received it. */
export type Received = (RequestFrame | ResponseFrame) & { readonly raw: Buffer };

/** The far side of a connection, driven by the test. */
export class Peer {
  connection = 0;
  relayPort = 0;
  readonly frames: Received[] = [];
  closed = false;
  received = 0;
  readonly #socket: Socket;
  readonly #raw: Socket;
  readonly #framer = new TsFramer({ streamAfterBytes: Infinity });
  readonly #records = new Uint32Array(64 * RECORD_WORDS);
  #rest: Buffer = Buffer.alloc(0);
  #wake: (() => void)[] = [];
  /** Answers every SEND with 200. */
  answering = false;
  /** Everything that has come, when it is to be kept. */
  recording: Buffer[] | undefined;
  /** Bytes written. */
  written = 0;
  /** Instead of framing: for floods. */
  onRaw: ((bytes: Buffer) => void) | undefined;

  /** `raw`: what is under the TLS of the socket. */
  constructor(socket: Socket, raw = socket) {
    this.#socket = socket;
    this.#raw = raw;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#notify();
    });
  }

  get localPort(): number {
    return this.#raw.localPort ?? 0;
  }

  write(data: string | Buffer): void {
    this.written += Buffer.byteLength(data);
    this.#socket.write(data);
  }

  /** Writes and waits until the kernel has it. */
  async flush(data: string | Buffer): Promise<void> {
    this.written += Buffer.byteLength(data);
    await within('write', new Promise<void>((resolve) => this.#socket.write(data, () => resolve())));
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#raw.resetAndDestroy();
  }

  /** The next frame. */
  async next(): Promise<Received> {
    const wait = async (): Promise<Received> => {
      for (;;) {
        const frame = this.frames.shift();
        if (frame !== undefined) return frame;
        if (this.closed) throw new Error('the connection was closed');
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    };
    return within('a frame', wait());
  }

  async request(method: string): Promise<RequestFrame & { raw: Buffer }> {
    const frame = await this.next();
    assert.equal(frame.kind === 'request' ? frame.method : frame.status, method);
    return frame as RequestFrame & { raw: Buffer };
  }

  async response(status: number): Promise<ResponseFrame & { raw: Buffer }> {
    const frame = await this.next();
    assert.equal(frame.kind === 'response' ? frame.status : frame.method, status);
    return frame as ResponseFrame & { raw: Buffer };
  }

  async untilClosed(): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
    };
    await within('the end of the connection', wait());
  }

  async untilReceived(bytes: number): Promise<void> {
    const wait = async (): Promise<void> => {
      while (this.received < bytes) await new Promise<void>((resolve) => this.#wake.push(resolve));
    };
    await within(`${bytes} bytes`, wait());
  }

  /**
   * Proves that nothing (more) was sent to this peer: a request that is always answered goes round, and its answer is the next
   * thing that comes.
   */
  async quiet(): Promise<void> {
    const nobody = [`msrp://127.0.0.1:${this.relayPort}/none;tcp`, 'msrp://nobody.example:9/x;tcp'];
    this.write(frame('quiet0', 'FROB', nobody, 'msrp://127.0.0.1:9/me;tcp'));
    const answer = await this.next();
    assert.equal(answer.tid, 'quiet0', `unexpected: ${answer.raw.toString('latin1')}`);
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    this.recording?.push(chunk);
    if (this.onRaw !== undefined) {
      this.onRaw(chunk);
      this.#notify();
      return;
    }
    const bytes = Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (;;) {
      const count = this.#framer.scan(bytes, from, bytes.length, this.#records);
      for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
        if (this.#records[base + R.KIND] === KIND.ERROR)
          throw new Error(`the relay has sent garbage: ${bytes.toString('latin1')}`);
        const frame = decodeFrame(bytes, this.#records, base);
        const body = this.#records[base + R.BITS]! & BIT.HAS_BODY ? Buffer.from(frame.body as Buffer) : undefined;
        const raw = Buffer.from(bytes.subarray(this.#records[base + R.START], this.#records[base + R.END]));
        this.frames.push({ ...frame, body, raw });
        if (this.answering && frame.kind === 'request' && frame.method === 'SEND') this.write(respondTo(frame, 200));
      }
      from = this.#framer.consumed;
      if (count === 0 || from === bytes.length) break;
    }
    this.#rest = Buffer.from(bytes.subarray(from));
    this.#notify();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Text of a request; `headers` are whole lines without CRLF, a body follows an empty line. */
export function frame(
  tid: string,
  method: string,
  to: string | readonly string[],
  from: string | readonly string[],
  headers: readonly string[] = [],
  body?: string,
  flag = '$',
): string {
  const lines = [
    `MSRP ${tid} ${method}`,
    `To-Path: ${[to].flat().join(' ')}`,
    `From-Path: ${[from].flat().join(' ')}`,
    ...headers,
  ];
  const head = `${lines.join('\r\n')}\r\n`;
  return body === undefined ? `${head}-------${tid}${flag}\r\n` : `${head}\r\n${body}\r\n-------${tid}${flag}\r\n`;
}

/** A SEND with a text body. */
export function send(
  tid: string,
  to: string | readonly string[],
  from: string | readonly string[],
  body = 'hello',
  more: readonly string[] = [],
): string {
  const headers = [
    `Message-ID: m${tid}`,
    ...more,
    `Byte-Range: 1-${body.length}/${body.length}`,
    'Content-Type: text/plain',
  ];
  return frame(tid, 'SEND', to, from, headers, body);
}

/** Text of the response that a receiver gives. */
export function respondTo(request: RequestFrame, status: number): string {
  const to = request.method === 'SEND' ? request.fromPath.slice(0, 1) : request.fromPath;
  return frame(request.tid, `${status} any`, to, request.toPath.slice(0, 1));
}

export function header(frame: { headers: readonly (readonly [string, string])[] }, name: string): string | undefined {
  return frame.headers.find(([key]) => key === name)?.[1];
}
