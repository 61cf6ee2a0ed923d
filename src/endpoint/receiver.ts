import { formatByteRange, parseByteRange } from '../syntax/byte-range.ts';
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

/** Where the octets of a large message go instead of memory, by position. */
export interface MessageSink {
  /** Octets from offset `position` (0…) on; a promise holds the sender back. Later ones win over earlier ones. */
  write(position: number, octets: Buffer): void | Promise<void>;
  /** All `size` octets are there. */
  end(size: number): void | Promise<void>;
  /** The message will not be completed. */
  abort(): void;
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
  /** A message was given up: by its sender (`#`), or because it stood still. */
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
}

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
  readonly #over = new Map<string, { aborted: boolean; atMs: number }>();
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
    const contentType = headerValue(request.headers, 'Content-Type');
    const limit = this.#limit(this.#options.receive !== undefined);
    if (issue || messageId === undefined || range === undefined) chunk.status = 400;
    else if (request.toPath.length !== 1 || !sameUriText(request.toPath[0] as string, this.#uri)) chunk.status = 481;
    else if (contentType !== undefined && !this.#accepts(contentType)) chunk.status = 415;
    else if ((range.total ?? 0) > limit || range.start > limit + 1) chunk.status = 413;
    else if (contentType !== undefined && !this.#over.has(messageId)) {
      chunk.partial = this.#partials.get(messageId) ?? this.#begin(request, messageId, contentType, range.total);
      if (chunk.partial === undefined) chunk.status = 413;
    }
  }

  onSendBody(octets: Buffer): void | Promise<void> {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    const at = chunk.start + chunk.octets;
    chunk.octets += octets.length;
    const { partial } = chunk;
    if (chunk.status !== 0 || partial === undefined) return undefined;
    partial.touchedMs = this.#environment.nowMs();
    const limit = this.#limit(partial.sink !== undefined);
    if (at - 1 + octets.length > limit) chunk.status = 413;
    else if (partial.sink === undefined) {
      const fits = this.#assemblyBytes() + octets.length <= (this.#options.maxAssemblyBytes ?? DEFAULT_ASSEMBLY_BYTES);
      if (!fits || !partial.assembly.add(at, octets)) chunk.status = 413;
    } else if (!partial.ranges.add(at, at + octets.length - 1)) chunk.status = 413;
    if (chunk.status !== 0) {
      this.#drop(partial, true);
      return undefined;
    }
    partial.received += octets.length;
    this.#events.onProgress(partial.head.messageId, partial.received, partial.head.total);
    return partial.sink?.write(at - 1, Buffer.from(octets));
  }

  onSendEnd(flag: '$' | '+' | '#'): void | Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk === undefined) return undefined;
    const { partial, request } = chunk;
    let done: void | Promise<void> = undefined;
    if (chunk.status === 0 && partial !== undefined) {
      if (flag === '#') this.#drop(partial, true);
      else if (flag === '$' && !partial.assembly.endAt(chunk.start, chunk.octets)) {
        chunk.status = 400;
        this.#drop(partial, true);
      }
      if (this.#isComplete(partial) && chunk.status === 0 && flag !== '#') done = this.#complete(partial, request);
    } else if (chunk.status === 0 && flag === '$') {
      // A message that is there already, sent again: its sender may have missed the REPORT (core C-088).
      const over = this.#over.get(headerValue(request.headers, 'Message-ID') ?? '');
      if (over?.aborted === false) this.#confirm(request, chunk.start - 1 + chunk.octets);
    }
    this.#respond(chunk);
    return done;
  }

  /** The connection has gone: nothing will be completed. */
  close(): void {
    for (const partial of this.#partials.values()) this.#drop(partial, true);
  }

  #begin(
    request: RequestFrame,
    messageId: string,
    contentType: string,
    total: number | undefined,
  ): Partial | undefined {
    if (this.#partials.size >= (this.#options.maxPartial ?? DEFAULT_PARTIAL)) return undefined;
    const head: IncomingHead = { messageId, contentType, fromPath: request.fromPath, headers: request.headers, total };
    const messageBytes = this.#options.maxMessageBytes ?? DEFAULT_MESSAGE_BYTES;
    const partial: Partial = {
      head,
      assembly: new MessageAssembly({ messageBytes, pieces: MAX_PIECES }),
      sink: this.#options.receive?.(head),
      ranges: new OctetRanges(MAX_PIECES),
      received: 0,
      touchedMs: this.#environment.nowMs(),
    };
    this.#partials.set(messageId, partial);
    return partial;
  }

  #isComplete({ assembly, sink, ranges }: Partial): boolean {
    if (sink === undefined) return assembly.complete;
    return assembly.total !== undefined && ranges.covers(assembly.total);
  }

  #complete(partial: Partial, request: RequestFrame): void | Promise<void> {
    const { head, assembly, sink } = partial;
    const octets = assembly.total as number;
    this.#forget(head.messageId, false);
    const body = sink === undefined ? Buffer.from(assembly.body()) : undefined;
    const finish = (): void => {
      this.#confirm(request, octets);
      this.#events.onMessage({ ...head, body, octets, text: () => body?.toString('utf8') ?? '' });
    };
    const ended = sink?.end(octets);
    if (ended instanceof Promise) return ended.then(finish);
    finish();
    return undefined;
  }

  /** REPORT of success, when it was asked for (core C-062…C-064). */
  #confirm(request: RequestFrame, octets: number): void {
    if ((headerValue(request.headers, 'Success-Report') ?? 'no').toLowerCase() !== 'yes') return;
    const headers: Header[] = [
      ['Message-ID', headerValue(request.headers, 'Message-ID') as string],
      ['Byte-Range', formatByteRange({ start: 1, end: octets, total: octets })],
      ['Status', '000 200 OK'],
    ];
    const tid = makeIdent(this.#environment);
    const frame = { tid, method: 'REPORT', toPath: request.fromPath, fromPath: [this.#uri], headers };
    this.#connection.post(encodeRequest(frame, undefined, '$').toString());
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
    for (const partial of this.#partials.values())
      if (nowMs - partial.touchedMs >= PARTIAL_IDLE_MS) this.#drop(partial, true);
    for (const [messageId, { atMs }] of this.#over) {
      if (nowMs - atMs < OVER_MS && this.#over.size <= MAX_OVER) break;
      this.#over.delete(messageId);
    }
  }

  #drop(partial: Partial, aborted: boolean): void {
    partial.sink?.abort();
    this.#forget(partial.head.messageId, aborted);
    this.#events.onAborted(partial.head.messageId);
  }

  #forget(messageId: string, aborted: boolean): void {
    this.#partials.delete(messageId);
    this.#over.delete(messageId);
    this.#over.set(messageId, { aborted, atMs: this.#environment.nowMs() });
  }
}

const DEFAULT_MESSAGE_BYTES = 16 * 1024 * 1024;
const DEFAULT_ASSEMBLY_BYTES = 16 * 1024 * 1024;
const DEFAULT_PARTIAL = 16;
const MAX_PIECES = 4096;
const PARTIAL_IDLE_MS = 120_000;
const OVER_MS = 60_000;
const MAX_OVER = 4096;
