import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import type {
  ConnectionId,
  Engine,
  EngineEvent,
  EngineFactory,
  EngineStats,
  FrameEvent,
  SessionId,
} from '../../src/engine/engine.ts';
import { ManualClock, Peer, TEST_LIMITS, respondTo, until, within } from '../engine/harness.ts';
import type { Received } from '../engine/harness.ts';
import { PEERS, RELAY, SHARED, sessionOf, uriOf } from './engine-script.ts';
import type { AnswerStep, LongStep, Name, RequestStep, Step } from './engine-script.ts';

/** Everything that was to be seen of an engine while a script ran, line by line, without ids and ports. */
export type Transcript = readonly string[];

/** Two engines did different things. */
export class Difference extends Error {}

/** Throws a {@link Difference} at the first line that differs. */
export function compare(one: Transcript, other: Transcript): void {
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    if (one[i] === other[i]) continue;
    const before = one.slice(Math.max(0, i - 6), i).map((line) => `  ${line}\n`);
    throw new Difference(`line ${i}:\n${before.join('')}- ${one[i]}\n+ ${other[i]}`);
  }
}

/**
 * Runs a script on an engine of its own. `workers`: its threads, to know when all of them are quiet. `traced`: octets of bodies that the
 * frames of all connections are traced with; −1: they are not.
 */
export async function run(make: EngineFactory, script: readonly Step[], workers = 1, traced = -1): Promise<Transcript> {
  const stage = new Stage(make, workers, traced);
  try {
    await stage.open();
    for (const step of script) await stage.step(step);
    stage.close();
    return stage.lines;
  } finally {
    await stage.end();
  }
}

/** One connection of a peer. */
interface Link {
  readonly label: string;
  readonly peer: Peer;
  readonly raw: Buffer[];
  /** Requests that it may answer. */
  readonly asked: Received[];
  /** It has ended its side: what is left is to see that the relay has noticed. */
  leaving: boolean;
  /** Transaction ids of the relay in the order in which they came. */
  readonly tids: Map<string, number>;
  lastTid: string;
}

class Stage {
  readonly lines: string[] = [];
  readonly #engine: Engine;
  readonly #clock = new ManualClock();
  readonly #workers: number;
  readonly #traced: number;
  readonly #limits = { ...TEST_LIMITS, idleMs: 60_000, lineBytes: 1000 };
  readonly #links: Link[] = [];
  readonly #current = new Map<Name, Link>();
  readonly #sessions = new Map<string, SessionId>();
  readonly #servers: Server[] = [];
  readonly #events: EngineEvent[] = [];
  readonly #names = new Map<string, string>();
  #fences = new Set<SessionId>();
  #port = 0;
  #target = 0;
  #dead = 0;
  #tid = 0;
  #random = 7;

  constructor(make: EngineFactory, workers: number, traced: number) {
    this.#workers = workers;
    this.#traced = traced;
    this.#engine = make({
      limits: this.#limits,
      environment: {
        nowMs: () => this.#clock.nowMs,
        every: (ms, tick) => this.#clock.every(ms, tick),
        // The same bytes in every run, though the engines make other ids of them.
        random: (into) => {
          for (let i = 0; i < into.length; i++)
            into[i] = (this.#random = (this.#random * 1_103_515_245 + 12_345) % 2 ** 31) >> 16;
        },
      },
      onEvents: (events) => void this.#events.push(...events),
    });
  }

  async open(): Promise<void> {
    this.#engine.setAuthorities([{ host: 'relay.example', port: 2855 }]);
    this.#engine.traceNew(this.#traced);
    const bound = await this.#engine.listen({ address: '127.0.0.1', port: 0 });
    this.#port = bound.port;
    this.#target = await this.#serve();
    this.#dead = await this.#serve();
    this.#servers.pop()?.close();
    for (const name of PEERS) if (name !== 'far') await this.#connect(name);
    await this.#settled();
    this.#note('opened', false);
  }

  /** One step, and all that comes of it. */
  async step(step: Step): Promise<void> {
    await this.#act(step);
    await this.#settled();
    this.#note(JSON.stringify(step), step.op === 'advance' || (step.op === 'long' && step.middle === 'expires'));
  }

  /** What is left at the end. */
  close(): void {
    const { bytesIn, bytesOut, latency, ...stats } = this.#engine.stats();
    // How long depends on the tick in which a thread has heard of the time; how many does not.
    const answered = latency.counts.reduce((sum, count) => sum + count, 0);
    this.lines.push(`bytes ${bytesIn} ${bytesOut}`, `answered ${answered}`, ...linesOf(stats));
    const label = (id: ConnectionId): string => this.#names.get(`connection ${id}`) ?? 'unknown';
    const infos = this.#engine.connections().map((info) => {
      const { connection, direction, state, sessions, transactions, paused, openedAtMs, bytesIn, bytesOut } = info;
      return `${label(connection)} ${JSON.stringify({ direction, state, sessions, transactions, paused, openedAtMs, bytesIn, bytesOut })}`;
    });
    const sessions = this.#engine.sessions().map(({ session, connection, peer, ...rest }) => {
      const names = [this.#names.get(`session ${session}`), label(connection), peer === undefined ? '-' : label(peer)];
      return `session ${names.join(' ')} ${JSON.stringify(rest)}`;
    });
    this.lines.push(...infos.sort(), ...sessions.sort());
  }

  async end(): Promise<void> {
    for (const { peer } of this.#links) peer.destroy();
    for (const server of this.#servers) server.close();
    await this.#engine.stop();
  }

  async #serve(): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => {
      const link = this.#link(new Peer(socket), 'far');
      // The id comes with an event: the relay's end of it is known by its port.
      this.#names.set(`far port ${socket.remotePort}`, link.label);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  async #connect(name: Name): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    await within('connect', once(socket, 'connect'));
    const link = this.#link(new Peer(socket), name);
    this.#names.set(`near port ${socket.localPort}`, link.label);
    await until('a connection', () => {
      this.#name();
      return link.peer.connection !== 0;
    });
    if (name !== 'alice' && name !== 'carol') return;
    const session = this.#engine.openSession({
      uri: sessionOf(name),
      clientPath: [uriOf(name)],
      previousHop: { connection: link.peer.connection },
      expiresAtMs: this.#clock.nowMs + 1_800_500,
      exclusivePeer: name === 'carol',
    });
    this.#sessions.set(name, session);
    this.#names.set(`session ${session}`, link.label);
  }

  #link(peer: Peer, name: Name): Link {
    const count = this.#links.filter(({ label }) => label.startsWith(name)).length;
    const raw: Buffer[] = [];
    peer.recording = raw;
    const link = {
      label: `${name}${count}`,
      peer,
      raw,
      asked: [],
      leaving: false,
      tids: new Map<string, number>(),
      lastTid: 'none',
    };
    this.#links.push(link);
    this.#current.set(name, link);
    return link;
  }

  async #act(step: Step): Promise<void> {
    if (step.op === 'advance') {
      this.#clock.advance(step.ms);
      return;
    }
    const link = this.#current.get(step.peer);
    const alive = link !== undefined && !link.peer.closed;
    if (step.op === 'connect') {
      if (!alive && step.peer !== 'far') await this.#connect(step.peer);
      return;
    }
    if (!alive) return;
    switch (step.op) {
      case 'request':
        await this.#request(link, step);
        return;
      case 'answer':
        this.#answer(link, step);
        return;
      case 'long':
        await this.#long(link, step);
        return;
      case 'raw':
        link.peer.write(step.text);
        return;
      case 'end':
      case 'reset':
        this.#leave(link, step.op);
        return;
      case 'command':
        this.#command(link, step);
    }
  }

  #command(link: Link, step: Extract<Step, { op: 'command' }>): void {
    const engine = this.#engine;
    const session = this.#sessions.get(step.peer) ?? 0;
    if (step.what === 'closeSession') engine.closeSession(session, 'released');
    else if (step.what === 'extendSession') engine.extendSession(session, this.#clock.nowMs + 24_500);
    else if (step.what === 'closeConnection') engine.closeConnection(link.peer.connection, 'command');
    else if (step.what === 'identify') engine.identify(link.peer.connection, 'relay.example');
    else engine.setLimits({ ...this.#limits, messageBytes: step.what === 'smallMessages' ? 1000 : 0 });
  }

  async #request(link: Link, step: RequestStep): Promise<void> {
    const tid = this.#nextTid();
    const fill = (text: string): string => text.replaceAll('TID', tid).replaceAll('RELAY', link.lastTid);
    const from = uriOf(step.from ?? step.peer);
    const head = headOf(tid, step.method, step.to, from, step.headers);
    const tail = `-------${tid}${step.flag}\r\n`;
    let text = head + tail;
    if (step.body === SHARED) text = `${head}\r\n${tail}`;
    else if (step.body !== undefined) text = `${head}\r\n${fill(step.body)}\r\n${tail}`;
    const bytes = Buffer.from(text, 'latin1');
    if (step.cut > 0 && step.cut < bytes.length) {
      link.peer.write(bytes.subarray(0, step.cut));
      await this.#settled();
      if (link.peer.closed) return;
      link.peer.write(bytes.subarray(step.cut));
    } else link.peer.write(bytes);
  }

  #answer(link: Link, { which, status, how, headers }: AnswerStep): void {
    const request = link.asked[which % Math.max(1, link.asked.length)];
    if (request?.kind !== 'request') return;
    const other = this.#links.find((candidate) => candidate !== link && !candidate.peer.closed);
    let text = respondTo(request, status).replace(
      '\r\n-------',
      `\r\n${headers.map((line) => `${line}\r\n`).join('')}-------`,
    );
    if (how === 'forged') text = text.replaceAll(request.tid, `${request.tid.slice(0, 10)}000000000000`);
    if (how === 'misaddressed') text = text.replace(/^To-Path: \S+/m, `To-Path: ${RELAY}`);
    if (how === 'elsewhere') other?.peer.write(text);
    else link.peer.write(how === 'twice' ? text + text : text);
    if (how === 'good' || how === 'twice') link.asked.splice(link.asked.indexOf(request), 1);
  }

  async #long(link: Link, step: LongStep): Promise<void> {
    const tid = this.#nextTid();
    const head = headOf(tid, 'SEND', step.to, uriOf(step.peer), step.headers);
    const half = 'z'.repeat(step.size >> 1);
    link.peer.write(`${head}\r\n${half}`);
    await this.#settled();
    const target = this.#links.findLast(
      ({ label, peer }) => step.to.at(-1)?.includes(label.slice(0, -1)) && !peer.closed,
    );
    const other = this.#links.findLast((one) => one !== link && one !== target && !one.peer.closed);
    if (step.middle === 'other' || step.middle === 'pieces') {
      const headers = ['Message-ID: other', 'Content-Type: text/plain'];
      const between = this.#nextTid();
      other?.peer.write(
        `${headOf(between, 'SEND', step.to, uriOf('other'), headers)}\r\nbetween\r\n-------${between}$\r\n`,
      );
    } else if (step.middle === 'report') {
      const between = this.#nextTid();
      const path = [sessionOf('alice'), uriOf('alice')];
      const lines = ['Message-ID: other', 'Status: 000 200'];
      other?.peer.write(`${headOf(between, 'REPORT', path, uriOf('other'), lines)}-------${between}$\r\n`);
    } else if (step.middle === 'dies') this.#leave(link, 'reset');
    else if (step.middle === 'target' && target !== undefined) this.#leave(target, 'end');
    else if (step.middle === 'expires') this.#clock.advance(35_000);
    await this.#settled();
    if (link.peer.closed) return;
    // The id of the chunk that is open, which the rest must not hold as it is (R-083).
    const open = Buffer.concat(target?.raw ?? [])
      .toString('latin1')
      .match(/(?<=MSRP )[\w.-]{22}(?= SEND)/g)
      ?.at(-1);
    const fill = step.fill.replace('RELAY', `${open ?? 'none'}$`);
    const rest = fill.repeat(Math.ceil((step.size - half.length) / fill.length));
    if (step.middle === 'pieces') {
      for (let at = 0; at < rest.length && !link.peer.closed; at += 1700) {
        link.peer.write(rest.slice(at, at + 1700));
        await this.#settled();
      }
    } else link.peer.write(rest);
    await this.#settled();
    if (!link.peer.closed) link.peer.write(`\r\n-------${tid}${step.flag}\r\n`);
  }

  #leave(link: Link, how: 'end' | 'reset'): void {
    link.leaving = true;
    link.peer[how]();
  }

  #nextTid(): string {
    return `tid${++this.#tid}`;
  }

  /** Waits until nothing moves any more; decides what the control plane is asked, and waits again. */
  async #settled(): Promise<void> {
    for (let seen = 0; ;) {
      let calm = 0;
      await until('quiet', () => {
        this.#name();
        calm = this.#isQuiet() ? calm + 1 : 0;
        // What goes from one thread to another is in nobody's queue for a moment.
        return calm > 2 * (this.#workers - 1);
      });
      await this.#fence();
      const events = this.#events.slice(seen);
      seen = this.#events.length;
      if (!events.map((event) => this.#decide(event)).includes(true)) return;
    }
  }

  /** Everything that was written has been read, and everything that was queued has been written and received. */
  #isQuiet(): boolean {
    const { queuedBytes } = this.#engine.stats();
    const infos = this.#engine.connections();
    if (infos.some(({ state }) => state === 'connecting' || state === 'closing')) return false;
    // What is queued for a hop that nobody has decided about stays queued.
    const asking = infos.filter(({ state }) => state === 'asking');
    const waiting = asking.reduce((sum, info) => sum + info.queuedBytes, 0);
    if (queuedBytes !== waiting || infos.reduce((sum, info) => sum + info.queuedBytes, 0) !== waiting) return false;
    const byId = new Map(infos.map((info) => [info.connection, info]));
    return (
      infos.length - asking.length === this.#links.filter(({ peer }) => !peer.closed).length &&
      this.#links.every(({ peer, leaving }) => {
        const info = byId.get(peer.connection);
        if (info === undefined) return peer.closed && peer.connection !== 0;
        const read = info.bytesIn === peer.written || info.paused;
        return !leaving && !peer.closed && info.bytesOut === peer.received && read;
      })
    );
  }

  /** Events come behind what causes them: a session that cannot be opened ends with one, on each thread. */
  async #fence(): Promise<void> {
    const fences = Array.from({ length: this.#workers }, (_, worker) =>
      this.#engine.openSession({
        uri: `msrp://relay.example:2855/fence0123456789012${worker};tcp`,
        clientPath: [uriOf('fence')],
        previousHop: { connection: 2 ** 52 + worker },
        expiresAtMs: 1e12,
        exclusivePeer: false,
      }),
    );
    for (const session of fences) this.#fences.add(session);
    const isFence = (event: EngineEvent): boolean => event.type === 'sessionClosed' && this.#fences.has(event.session);
    await until('the fence', () => this.#events.filter(isFence).length === fences.length);
    const kept = this.#events.filter((event) => !isFence(event));
    this.#events.splice(0, this.#events.length, ...kept);
  }

  /** Gives connections the names of their peers as soon as both are known. */
  #name(): void {
    for (const event of this.#events) {
      if (event.type !== 'opened' || this.#names.has(`connection ${event.connection}`)) continue;
      const port = event.direction === 'in' ? `near port ${event.remote.port}` : `far port ${event.local.port}`;
      const label = this.#names.get(port);
      const link = this.#links.find((one) => one.label === label);
      if (label === undefined || link === undefined) continue;
      this.#names.set(`connection ${event.connection}`, label);
      link.peer.connection = event.connection;
    }
  }

  /** What the control plane says to an event. True: something follows from it. */
  #decide(event: EngineEvent): boolean {
    const engine = this.#engine;
    if (event.type === 'request') {
      if (event.method === 'NICKNAME') return false;
      const answer = event.method === 'AUTH' ? { status: 200, comment: 'OK' } : { status: 501, comment: 'No' };
      engine.answer(event.request, { ...answer, headers: [['Use-Path', sessionOf('any')]] });
      return true;
    }
    if (event.type !== 'hop') return false;
    const host = /^msrp:\/\/(\w+)\./.exec(event.uri)?.[1];
    const connectTo = (key: string, port: number): void =>
      engine.connectHop(event.hop, { key, candidates: [{ address: '127.0.0.1', port }], timeoutMs: 5000 });
    if (host === 'far' || host === 'near') connectTo('k', this.#target);
    else if (host === 'dead') connectTo('dead', this.#dead);
    else if (host === 'silent') return false;
    else engine.refuseHop(event.hop, 403);
    return true;
  }

  /** Writes down what has come since the last time. `unordered`: timers of one moment may fire in any order. */
  #note(title: string, unordered: boolean): void {
    this.lines.push(`# ${title}`);
    for (const link of this.#links) {
      const text = Buffer.concat(link.raw.splice(0)).toString('latin1');
      for (const [tid] of text.matchAll(/(?<=MSRP )[\w.-]{22}(?= )/g)) {
        link.tids.set(tid, link.tids.size + 1);
        if (!unordered) link.lastTid = tid;
      }
      const frames = this.#named(text, link, unordered).split(/(?<=\r\n-------[#\w.]+[$+#]\r\n)/);
      if (unordered) frames.sort();
      for (const frame of frames) if (frame !== '') this.lines.push(`${link.label} ${JSON.stringify(frame)}`);
      for (const frame of link.peer.frames.splice(0))
        if (frame.kind === 'request' && frame.method !== 'REPORT') link.asked.push(frame);
      if (link.peer.closed && !this.#names.has(`gone ${link.label}`)) {
        this.#names.set(`gone ${link.label}`, '');
        this.lines.push(`${link.label} closed`);
      }
    }
    const all = this.#events.splice(0);
    for (const link of this.#links) {
      for (const direction of ['in', 'out'] as const) {
        const frames = all
          .filter((event) => event.type === 'frame')
          .filter((frame) => frame.connection === link.peer.connection && frame.direction === direction)
          .map((frame) => this.#traceOf(frame, link, unordered));
        this.lines.push(...(unordered ? frames.sort() : frames));
      }
    }
    const events = all.filter(({ type }) => type !== 'frame').map((event) => this.#textOf(event));
    this.lines.push(...(unordered ? events.sort() : events));
  }

  #traceOf({ bytes, direction, bodyKept, bodyOctets }: FrameEvent, link: Link, unordered: boolean): string {
    const text = Buffer.from(bytes).toString('latin1');
    const [tid] = /(?<=^MSRP )[\w.-]{22}(?= )/.exec(text) ?? [];
    let named = this.#named(text, link, unordered);
    // Nobody has received it.
    if (tid !== undefined) named = named.replaceAll(tid, '#?');
    return `${link.label} traced ${direction} ${bodyKept}/${bodyOctets} ${JSON.stringify(named)}`;
  }

  /** With numbers for the transaction ids of the relay. A body may hold one that it has used towards somebody else. */
  #named(text: string, link: Link, unordered: boolean): string {
    let named = text;
    for (const { label, tids } of this.#links)
      for (const [tid, number] of tids)
        named = named.replaceAll(tid, unordered ? '#' : label === link.label ? `#${number}` : `#${label}.${number}`);
    return named;
  }

  #textOf(event: EngineEvent): string {
    const named: Record<string, unknown> = { ...event };
    for (const key of ['connection', 'hop', 'session', 'request', 'listener'] as const) {
      if (named[key] === undefined) continue;
      const name = `${key === 'hop' ? 'connection' : key} ${String(named[key] as number)}`;
      if (!this.#names.has(name)) this.#names.set(name, `${key}-${this.#names.size}`);
      named[key] = this.#names.get(name)?.replace(/-\d+$/, '');
    }
    for (const key of ['remote', 'local']) {
      const address = named[key] as { address: string; port: number } | undefined;
      if (address !== undefined) named[key] = `${address.address} ${address.port === 0 ? 0 : 'port'}`;
    }
    if (typeof named['detail'] === 'string') named['detail'] = named['detail'].replaceAll(/\b\d{4,5}\b/g, 'port');
    return `event ${JSON.stringify(Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1))))}`;
  }
}

function headOf(tid: string, method: string, to: readonly string[], from: string, headers: readonly string[]): string {
  const lines = [`MSRP ${tid} ${method}`, `To-Path: ${to.join(' ')}`, `From-Path: ${from}`, ...headers];
  return `${lines.join('\r\n')}\r\n`;
}

function linesOf(stats: Partial<EngineStats>): string[] {
  return Object.entries(stats)
    .map(([name, value]) => {
      if (typeof value === 'number') return `${name} ${value}`;
      const counts = Object.entries(value).filter(([, count]) => count !== 0);
      return `${name} ${JSON.stringify(Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1))))}`;
    })
    .sort();
}
