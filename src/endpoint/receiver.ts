import { formatByteRange, parseByteRange } from '../syntax/byte-range.ts';
import type { ByteRange } from '../syntax/byte-range.ts';
import { encodeRequest, encodeResponse } from '../syntax/encode.ts';
import { headerValue } from '../syntax/frame.ts';
import type { Header, RequestFrame } from '../syntax/frame.ts';
import { statusComment } from '../syntax/status.ts';
import { sameUriText } from '../syntax/uri.ts';
import { makeIdent } from './environment.ts';
import type { EndpointEnvironment } from './environment.ts';
import type { PeerConnection } from './peer-connection.ts';
import { OctetRanges } from './octet-ranges.ts';
import { MessageAssembly } from './reassembly.ts';

/** What is known of a message when its first chunk begins. */
export interface IncomingHead {
  readonly messageId: string;
  readonly contentType: string;
  readonly fromPath: readonly string[];
  readonly headers: readonly Header[];
  /** Size in octets, if the sender says. */
  readonly total: number | undefined;
}

/** A whole message. */
export interface IncomingMessage extends IncomingHead {
  /** Undefined when it went into a sink. */
  readonly body: Buffer | undefined;
  readonly octets: number;
  /** The body as text (UTF-8). */
  text(): string;
}

/** Where the octets of a large message go instead of memory, by position. What it throws ends the message with 413. */
export interface MessageSink {
  /** Octets from offset `position` (0…) on; a promise holds the sender back. Later ones win over earlier ones. */
  write(position: number, octets: Buffer): void | Promise<void>;
  /** All `size` octets are there. */
  end(size: number): void | Promise<void>;
  /** The message will not be completed: what is there can go. */
  abort(): void | Promise<void>;
}

export interface ReceiverOptions {
  /** Content types that are accepted: `type/subtype`, `type/*`, `*`. Default everything (core C-142). */
  readonly acceptTypes?: readonly string[];
  /** Largest message in octets; 413 above. Default 16 MiB in memory; a sink is bounded by this only when it is given. */
  readonly maxMessageBytes?: number;
  /** Messages that may be incomplete at a time (core D-15). Default 16. */
  readonly maxPartial?: number;
  /** Octets of all incomplete messages together. Default 16 MiB. */
  readonly maxAssemblyBytes?: number;
  /** Chooses a sink for a message; undefined collects it in memory. */
  readonly receive?: (head: IncomingHead) => MessageSink | undefined;
}

export interface ReceiverEvents {
  onMessage(message: IncomingMessage): void;
  /** A message was given up: by its sender (`#`), because it stood still, or because it could not be stored. */
  onAborted(messageId: string): void;
  onProgress(messageId: string, octets: number, total: number | undefined): void;
}

/** A message of which not every octet has come. */
interface Partial {
  readonly head: IncomingHead;
  /** Without a sink it keeps the octets; with one only where they are. */
  readonly assembly: MessageAssembly;
  readonly sink: MessageSink | undefined;
  readonly ranges: OctetRanges;
  received: number;
  touchedMs: number;
  /** What the sink has not stored yet; never rejects. */
  stored: Promise<void> | undefined;
  /** Whole, while the sink is being ended. */
  ending: boolean;
  /** The last chunk that was answered. */
  answered: Chunk | undefined;
}

/** How a message ended. Chunks of a refused one are refused, too: their octets are thrown away. */
type Outcome = 'complete' | 'aborted' | 'refused';

/** The chunk that is coming in. */
interface Chunk {
  readonly request: RequestFrame;
  readonly failureReport: string;
  readonly start: number;
  partial: Partial | undefined;
  octets: number;
  /** 0 while it is good; else what it is answered with. */
  status: number;
}

/** Receives messages of one session: responses, reassembly and REPORTs of success (RFC 4975 sections 7.2 and 7.3). */
export class Receiver {
  readonly #connection: PeerConnection;
  readonly #environment: EndpointEnvironment;
  readonly #uri: string;
  readonly #events: ReceiverEvents;
  readonly #options: ReceiverOptions;
  readonly #partials = new Map<string, Partial>();
  /** Messages that are over, so that late or repeated chunks do not begin them again (core D-13, C-088). */
  readonly #over = new Map<string, { outcome: Outcome; atMs: number }>();
  #cancelSweep: (() => void) | undefined;
  #chunk: Chunk | undefined;

  constructor(parts: {
    connection: PeerConnection;
    environment: EndpointEnvironment;
    uri: string;
    events: ReceiverEvents;
    options: ReceiverOptions;
  }) {
    this.#connection = parts.connection;
    this.#environment = parts.environment;
    this.#uri = parts.uri;
    this.#events = parts.events;
    this.#options = parts.options;
  }

  onSendHead(request: RequestFrame, issue: boolean): void {
    this.#sweep();
    const failureReport = (headerValue(request.headers, 'Failure-Report') ?? 'yes').toLowerCase();
    const range = parseByteRange(headerValue(request.headers, 'Byte-Range') ?? '1-*/*');
    const chunk: Chunk = { request, failureReport, start: range?.start ?? 1, partial: undefined, octets: 0, status: 0 };
    this.#chunk = chunk;
    const messageId = headerValue(request.headers, 'Message-ID');
    if (issue || messageId === undefined || range === undefined) chunk.status = 400;
    else if (request.toPath.length !== 1 || !sameUriText(request.toPath[0] as string, this.#uri)) chunk.status = 481;
    // Without a body it binds or keeps alive, whatever its headers say (core C-035, D-03 e).
    else if (request.body !== undefined) this.#place(chunk, messageId, range);
  }

  onSendBody(octets: Buffer): void | Promise<void> {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    const at = chunk.start + chunk.octets;
    chunk.octets += octets.length;
    const { partial } = chunk;
    if (chunk.status !== 0 || partial === undefined || partial.ending) return undefined;
    partial.touchedMs = this.#environment.nowMs();
    if (!this.#fits(partial, at, octets)) {
      this.#drop(partial, 'refused');
      return undefined;
    }
    const stored = this.#store(partial, at - 1, octets);
    if (chunk.status !== 0) return undefined;
    partial.received += octets.length;
    this.#events.onProgress(partial.head.messageId, partial.received, partial.head.total);
    return stored;
  }

  onSendEnd(flag: '$' | '+' | '#'): void | Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk === undefined) return undefined;
    const { partial } = chunk;
    if (partial === undefined || chunk.status !== 0 || partial.ending) {
      this.#respond(chunk);
      if (partial === undefined && chunk.status === 0 && flag === '$') this.#confirmAgain(chunk);
      return undefined;
    }
    if (flag === '#') this.#drop(partial, 'aborted');
    else if (flag === '$' && !partial.assembly.endAt(chunk.start, chunk.octets)) {
      this.#drop(partial, 'refused');
      chunk.status = 400;
    }
    partial.answered = chunk;
    this.#respond(chunk);
    if (flag === '#' || chunk.status !== 0 || !this.#isComplete(partial)) return undefined;
    return this.#complete(partial, chunk.request);
  }

  /** The connection has gone: nothing will be completed but what is whole already. */
  close(): void {
    this.#chunk = undefined;
    for (const partial of Array.from(this.#partials.values())) if (!partial.ending) this.#drop(partial, 'aborted');
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  /** Finds the message that a chunk belongs to, or begins it. */
  #place(chunk: Chunk, messageId: string, range: ByteRange): void {
    const over = this.#over.get(messageId);
    if (over !== undefined) {
      if (over.outcome === 'refused') chunk.status = 413;
      return;
    }
    const contentType = headerValue(chunk.request.headers, 'Content-Type') as string;
    if (!this.#accepts(contentType)) {
      chunk.status = 415;
      return;
    }
    chunk.partial = this.#partials.get(messageId) ?? this.#begin(chunk.request, messageId, contentType, range);
    if (chunk.partial === undefined) {
      this.#forget(messageId, 'refused');
      chunk.status = 413;
    } else if (this.#exceeds(range, chunk.partial.sink !== undefined)) this.#drop(chunk.partial, 'refused');
  }

  /** True when a range announces more than is accepted: refused before anything is kept (core C-090, D-14). */
  #exceeds({ start, total = 0 }: ByteRange, sink: boolean): boolean {
    const limit = this.#limit(sink);
    return total > limit || start > limit + 1;
  }

  /** Undefined when it is refused. */
  #begin(request: RequestFrame, messageId: string, contentType: string, range: ByteRange): Partial | undefined {
    if (this.#partials.size >= (this.#options.maxPartial ?? DEFAULT_PARTIAL)) return undefined;
    const { receive, maxMessageBytes = DEFAULT_MESSAGE_BYTES } = this.#options;
    if (this.#exceeds(range, receive !== undefined)) return undefined;
    const { fromPath, headers } = request;
    const head: IncomingHead = { messageId, contentType, fromPath, headers, total: range.total };
    let sink: MessageSink | undefined;
    try {
      sink = receive?.(head);
    } catch {
      return undefined;
    }
    const partial: Partial = {
      head,
      assembly: new MessageAssembly({ messageBytes: maxMessageBytes, pieces: MAX_PIECES }),
      sink,
      ranges: new OctetRanges(MAX_PIECES),
      received: 0,
      touchedMs: this.#environment.nowMs(),
      stored: undefined,
      ending: false,
      answered: undefined,
    };
    this.#partials.set(messageId, partial);
    this.#sweepLater();
    return partial;
  }

  /** Enters octets, unless they exceed a limit (core D-15). */
  #fits(partial: Partial, at: number, octets: Buffer): boolean {
    if (at - 1 + octets.length > this.#limit(partial.sink !== undefined)) return false;
    if (partial.sink !== undefined) return partial.ranges.add(at, at + octets.length - 1);
    const limit = this.#options.maxAssemblyBytes ?? DEFAULT_ASSEMBLY_BYTES;
    return this.#assemblyBytes() + octets.length <= limit && partial.assembly.add(at, octets);
  }

  /** Gives octets to the sink. */
  #store(partial: Partial, position: number, octets: Buffer): Promise<void> | undefined {
    if (partial.sink === undefined) return undefined;
    let written: void | Promise<void>;
    try {
      written = partial.sink.write(position, Buffer.from(octets));
    } catch {
      this.#cannotStore(partial);
      return undefined;
    }
    if (!(written instanceof Promise)) return undefined;
    const stored = written.catch(() => this.#cannotStore(partial));
    partial.stored = partial.stored === undefined ? stored : partial.stored.then(() => stored);
    return stored;
  }

  /** The sink has failed. A chunk that has been answered with 200 fails by a REPORT (core section 4, C-066). */
  #cannotStore(partial: Partial): void {
    if (this.#partials.get(partial.head.messageId) !== partial) return;
    const { answered } = partial;
    const current = this.#chunk?.partial === partial;
    this.#drop(partial, 'refused');
    if (current || answered === undefined || answered.failureReport === 'no') return;
    const { request, start, octets } = answered;
    const range = { start, end: start - 1 + octets, total: partial.head.total };
    this.#report(request, range, '000 413 Cannot be stored');
  }

  #isComplete({ assembly, sink, ranges }: Partial): boolean {
    if (sink === undefined) return assembly.complete;
    return assembly.total !== undefined && ranges.covers(assembly.total);
  }

  #complete(partial: Partial, request: RequestFrame): void | Promise<void> {
    const { head, assembly, sink } = partial;
    const octets = assembly.total as number;
    const finish = (body: Buffer | undefined): void => {
      this.#forget(head.messageId, 'complete');
      this.#confirm(request, octets);
      this.#events.onMessage({ ...head, body, octets, text: () => body?.toString('utf8') ?? '' });
    };
    if (sink === undefined) {
      finish(assembly.body());
      return undefined;
    }
    partial.ending = true;
    const end = async (): Promise<void> => {
      await partial.stored;
      // What could not be stored has been dropped.
      if (this.#partials.get(head.messageId) !== partial) return;
      try {
        await sink.end(octets);
      } catch {
        this.#cannotStore(partial);
        return;
      }
      finish(undefined);
    };
    return end();
  }

  /** A message that is there already, sent again: its sender may have missed the REPORT (core C-088). */
  #confirmAgain({ request, start, octets }: Chunk): void {
    const over = this.#over.get(headerValue(request.headers, 'Message-ID') ?? '');
    if (over?.outcome === 'complete') this.#confirm(request, start - 1 + octets);
  }

  /** REPORT of success, when it was asked for (core C-062…C-064). */
  #confirm(request: RequestFrame, octets: number): void {
    if ((headerValue(request.headers, 'Success-Report') ?? 'no').toLowerCase() !== 'yes') return;
    this.#report(request, { start: 1, end: octets, total: octets }, '000 200 OK');
  }

  #report(request: RequestFrame, range: ByteRange, status: string): void {
    const headers: Header[] = [
      ['Message-ID', headerValue(request.headers, 'Message-ID') as string],
      ['Byte-Range', formatByteRange(range)],
      ['Status', status],
    ];
    const tid = makeIdent(this.#environment);
    const frame = { tid, method: 'REPORT', toPath: request.fromPath, fromPath: [this.#uri], headers };
    this.#connection.post(encodeRequest(frame, undefined, '$'));
  }

  /** The response, as the matrix of core section 4 has it. */
  #respond({ request, failureReport, status }: Chunk): void {
    if (failureReport === 'no' || (failureReport === 'partial' && status === 0)) return;
    if (request.fromPath.length === 0 || request.toPath.length === 0) return;
    const code = status === 0 ? 200 : status;
    const { tid } = request;
    const toPath = request.fromPath.slice(0, 1);
    const fromPath = status === 481 ? request.toPath.slice(0, 1) : [this.#uri];
    this.#connection.post(encodeResponse({ tid, status: code, comment: statusComment(code), toPath, fromPath }));
  }

  /** Largest message: what goes into a sink is bounded only when that was asked for. */
  #limit(sink: boolean): number {
    return this.#options.maxMessageBytes ?? (sink ? Infinity : DEFAULT_MESSAGE_BYTES);
  }

  #accepts(contentType: string): boolean {
    const types = this.#options.acceptTypes ?? ['*'];
    const type = (contentType.split(';')[0] as string).trim().toLowerCase();
    return types.some((pattern) => {
      const wanted = pattern.toLowerCase();
      return wanted === '*' || wanted === type || (wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1)));
    });
  }

  #assemblyBytes(): number {
    let bytes = 0;
    for (const { assembly } of this.#partials.values()) bytes += assembly.bytes;
    return bytes;
  }

  /** Messages that stand still are given up (core D-15), and what is over is forgotten after a while (D-13). */
  #sweep(): void {
    const nowMs = this.#environment.nowMs();
    for (const partial of Array.from(this.#partials.values()))
      if (!partial.ending && nowMs - partial.touchedMs >= PARTIAL_IDLE_MS) this.#drop(partial, 'refused');
    for (const [messageId, { atMs }] of this.#over) {
      if (nowMs - atMs < OVER_MS && this.#over.size <= MAX_OVER) break;
      this.#over.delete(messageId);
    }
  }

  /** Sweeps when the first message may have stood still for too long, even when nothing comes in any more. */
  #sweepLater(): void {
    if (this.#cancelSweep !== undefined || this.#partials.size === 0) return;
    const oldestMs = Math.min(...Array.from(this.#partials.values(), ({ touchedMs }) => touchedMs));
    const delayMs = Math.max(1, oldestMs + PARTIAL_IDLE_MS - this.#environment.nowMs());
    this.#cancelSweep = this.#environment.setTimer(delayMs, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #drop(partial: Partial, outcome: 'aborted' | 'refused'): void {
    const { messageId } = partial.head;
    if (outcome === 'refused' && this.#chunk?.partial === partial) this.#chunk.status = 413;
    this.#forget(messageId, outcome);
    void (async () => {
      await partial.stored;
      await partial.sink?.abort();
    })().catch(() => undefined);
    this.#events.onAborted(messageId);
  }

  #forget(messageId: string, outcome: Outcome): void {
    this.#partials.delete(messageId);
    this.#over.delete(messageId);
    this.#over.set(messageId, { outcome, atMs: this.#environment.nowMs() });
  }
}

const DEFAULT_MESSAGE_BYTES = 16 * 1024 * 1024;
const DEFAULT_ASSEMBLY_BYTES = 16 * 1024 * 1024;
const DEFAULT_PARTIAL = 16;
const MAX_PIECES = 4096;
const PARTIAL_IDLE_MS = 120_000;
const OVER_MS = 60_000;
const MAX_OVER = 4096;
