import { MsrpError } from '../errors.ts';
import { escapePeer } from '../log/escape.ts';
import { formatByteRange, parseByteRange } from '../syntax/byte-range.ts';
import { encodeEnd, encodeHead, encodeRequest } from '../syntax/encode.ts';
import { headerValue } from '../syntax/frame.ts';
import type { Header, RequestFrame, ResponseFrame } from '../syntax/frame.ts';
import { isContentType, isMessageId, parseStatus } from '../syntax/header-value.ts';
import { makeIdent } from './environment.ts';
import type { EndpointEnvironment } from './environment.ts';
import { Outgoing } from './outgoing.ts';
import type { PeerConnection } from './peer-connection.ts';
import { openBody } from './send-body.ts';
import type { BodyChunk, ChunkSource, SendBody } from './send-body.ts';

export type { SendBody } from './send-body.ts';

export interface SendOptions {
  /** The peer's path as in its SDP, in order: its relays, then the peer. Text separates the URIs by spaces. */
  readonly to: string | readonly string[];
  readonly contentType: string;
  readonly body: SendBody;
  /** Ask the receiver for a REPORT of success, and wait for it. Default false. */
  readonly successReport?: boolean;
  /** RFC 4975 section 7.1.1. Default `yes`. */
  readonly failureReport?: 'yes' | 'no' | 'partial';
  /** An ident (core C-023). Default: a random one. */
  readonly messageId?: string;
  /** Octets of one chunk, 2048 (core C-051) to 1048576. Default 16384. */
  readonly chunkBytes?: number;
  /** Further headers, such as Content-Disposition; not those that the sender writes itself. */
  readonly headers?: readonly Header[];
  /** Aborts the message: the receiver gets `#`. */
  readonly signal?: AbortSignal;
  /** Octets that the next hop has accepted so far, and the size when it is known. */
  readonly onProgress?: (octets: number, total: number | undefined) => void;
  /** Time for a REPORT of success to come, in ms. Default 60000. */
  readonly reportTimeoutMs?: number;
}

export interface SendResult {
  readonly messageId: string;
  readonly octets: number;
  /** The receiver has confirmed every octet. Always true with `successReport`, else false. */
  readonly confirmed: boolean;
}

/** Sends messages over one connection, each chunk by chunk (RFC 4975 section 7.1). */
export class Sender {
  readonly #connection: PeerConnection;
  readonly #environment: EndpointEnvironment;
  readonly #uri: string;
  readonly #onFailed: (messageId: string, error: MsrpError) => void;
  readonly #outgoing = new Map<string, Outgoing>();
  /** Messages that were sent well, oldest first: a REPORT may still say otherwise. */
  readonly #sent = new Set<string>();

  /** `onFailed` hears of messages that fail after `send` has resolved. */
  constructor(
    connection: PeerConnection,
    environment: EndpointEnvironment,
    uri: string,
    onFailed: (messageId: string, error: MsrpError) => void,
  ) {
    this.#connection = connection;
    this.#environment = environment;
    this.#uri = uri;
    this.#onFailed = onFailed;
  }

  /**
   * Sends one message along `toPath`. Rejects with `E_REFUSED` (and the status), `E_TIMEOUT`, `E_CLOSED`, `E_ABORTED` (by the
   * caller, or because the body cannot be read) or `E_ARGUMENT`.
   */
  async send(toPath: readonly string[], options: SendOptions): Promise<SendResult> {
    checkOptions(options);
    const { signal, successReport = false, failureReport = 'yes', chunkBytes = DEFAULT_CHUNK_BYTES } = options;
    if (signal?.aborted === true) throw new MsrpError('E_ABORTED');
    if (this.#connection.closed) throw new MsrpError('E_CLOSED');
    const messageId = options.messageId ?? makeIdent(this.#environment);
    if (this.#outgoing.has(messageId)) throw new MsrpError('E_ARGUMENT', 'a message with that messageId is under way');
    const outgoing = new Outgoing();
    this.#outgoing.set(messageId, outgoing);
    const abort = (): void => outgoing.fail(new MsrpError('E_ABORTED'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const body = await openBody(options.body, chunkBytes);
      const { total } = body;
      const fields: ChunkFields = { toPath, messageId, total, successReport, failureReport, options };
      const octets = await this.#sendChunks(fields, outgoing, body).finally(() => body.close());
      if (successReport) await this.#confirmed(outgoing, octets, options.reportTimeoutMs ?? REPORT_TIMEOUT_MS);
      if (failureReport !== 'no') this.#remember(messageId);
      return { messageId, octets, confirmed: successReport };
    } finally {
      outgoing.settled = true;
      signal?.removeEventListener('abort', abort);
      this.#outgoing.delete(messageId);
    }
  }

  /** An empty SEND: binds the connection at the peer, keeps it alive (core C-121, C-035, D-11). */
  async bind(toPath: readonly string[]): Promise<void> {
    const tid = makeIdent(this.#environment);
    const headers: Header[] = [
      ['Message-ID', makeIdent(this.#environment)],
      ['Byte-Range', '1-0/0'],
    ];
    const head = encodeHead({ tid, method: 'SEND', toPath, fromPath: [this.#uri], headers });
    const { answer, written } = this.#connection.expect(tid);
    await this.#connection.inTurn(() => this.#connection.write(head + encodeEnd(tid, '$')));
    written();
    throwUnlessOk(await answer);
  }

  /** A REPORT has come in (core C-091, D-16). One about a message that is not known is ignored (C-069). */
  onReport(request: RequestFrame): void {
    const messageId = headerValue(request.headers, 'Message-ID') ?? '';
    const status = parseStatus(headerValue(request.headers, 'Status') ?? '');
    if (status?.namespace !== '000') return;
    const outgoing = this.#outgoing.get(messageId);
    if (status.code >= 200 && status.code <= 299) {
      if (outgoing === undefined) return;
      // One that does not say which octets means them all.
      const text = headerValue(request.headers, 'Byte-Range') ?? `1-${Number.MAX_SAFE_INTEGER}/*`;
      const range = parseByteRange(text);
      if (range === undefined) return;
      outgoing.reported = true;
      outgoing.confirmed.add(range.start, range.end ?? range.total ?? range.start - 1);
      outgoing.wake();
      return;
    }
    const error = new MsrpError('E_REFUSED', `REPORT ${status.code}`, { status: status.code });
    if (outgoing !== undefined) outgoing.fail(error);
    else this.#failLate(messageId, error);
  }

  /** Everything under way has failed: the connection is gone. */
  fail(error: MsrpError): void {
    for (const outgoing of this.#outgoing.values()) outgoing.fail(error);
  }

  async #sendChunks(fields: ChunkFields, outgoing: Outgoing, body: ChunkSource): Promise<number> {
    try {
      for (;;) {
        const chunk = (await outgoing.unlessFailed(body.next()))?.value;
        if (chunk === undefined || outgoing.failed !== undefined) break;
        await outgoing.unlessFailed(this.#sendChunk(fields, outgoing, chunk));
        // So many chunks may be without an answer; behind the last one, none.
        const window = chunk.last ? 0 : WINDOW_CHUNKS - 1;
        while (outgoing.unanswered > window && outgoing.failed === undefined) await outgoing.changed();
        if (chunk.last && outgoing.failed === undefined) return outgoing.handedOver;
      }
    } catch (error) {
      outgoing.fail(error instanceof MsrpError ? error : new MsrpError('E_ABORTED', String(error), { cause: error }));
    }
    // Abandoned: the receiver need not wait for the rest (core C-034, C-092).
    if (outgoing.begun && !outgoing.ended) {
      const { frame } = this.#chunkFrame(fields, outgoing.handedOver + 1, NOTHING, '#');
      this.#connection.post(frame);
    }
    throw outgoing.failed ?? new MsrpError('E_CLOSED');
  }

  /** Hands one chunk over when it is its turn; resolves when there is room for more. */
  async #sendChunk(fields: ChunkFields, outgoing: Outgoing, { octets, last }: BodyChunk): Promise<void> {
    await this.#connection.inTurn(async () => {
      if (outgoing.failed !== undefined) return;
      const { tid, frame } = this.#chunkFrame(fields, outgoing.handedOver + 1, octets, last ? '$' : '+');
      outgoing.begun = true;
      outgoing.ended = last;
      outgoing.handedOver += octets.length;
      if (fields.failureReport === 'no') {
        await this.#connection.write(frame);
        fields.options.onProgress?.(outgoing.handedOver, fields.total);
        return;
      }
      const { answer, written } = this.#connection.expect(tid);
      this.#onAnswer(fields, outgoing, octets.length, answer);
      await this.#connection.write(frame);
      written();
    });
  }

  #onAnswer(fields: ChunkFields, outgoing: Outgoing, octets: number, answer: Promise<ResponseFrame>): void {
    const counts = fields.failureReport === 'yes';
    if (counts) outgoing.unanswered++;
    const settle = (error?: MsrpError): void => {
      if (counts) outgoing.unanswered--;
      if (error === undefined) outgoing.wake();
      else if (!outgoing.settled) outgoing.fail(error);
      else if (error.code === 'E_REFUSED') this.#failLate(fields.messageId, error);
    };
    answer.then(
      (response) => {
        try {
          throwUnlessOk(response);
        } catch (error) {
          settle(error as MsrpError);
          return;
        }
        outgoing.accepted += octets;
        settle();
        if (!outgoing.settled) fields.options.onProgress?.(outgoing.accepted, fields.total);
      },
      // Without a response is how `partial` succeeds (core C-070).
      (error: MsrpError) => settle(!counts && error.code === 'E_TIMEOUT' ? undefined : error),
    );
  }

  #chunkFrame(
    fields: ChunkFields,
    start: number,
    octets: Buffer,
    flag: '$' | '+' | '#',
  ): { tid: string; frame: Buffer } {
    const { toPath, messageId, total, successReport, failureReport, options } = fields;
    let tid = makeIdent(this.#environment);
    // The end-line must not occur in the body (core C-031).
    while (octets.includes(tid)) tid = makeIdent(this.#environment);
    // A chunk of more than 2048 octets must be interruptible, so its end is left open (core C-049).
    const end = octets.length > MIN_CHUNK_BYTES ? undefined : start - 1 + octets.length;
    const headers: Header[] = [['Message-ID', messageId]];
    if (successReport) headers.push(['Success-Report', 'yes']);
    if (failureReport !== 'yes') headers.push(['Failure-Report', failureReport]);
    headers.push(['Byte-Range', formatByteRange({ start, end, total })]);
    headers.push(...(options.headers ?? []), ['Content-Type', options.contentType]);
    const request = { tid, method: 'SEND', toPath, fromPath: [this.#uri], headers };
    return { tid, frame: encodeRequest(request, octets, flag) };
  }

  /** Waits until REPORTs of success cover every octet (core C-064). */
  async #confirmed(outgoing: Outgoing, octets: number, timeoutMs: number): Promise<void> {
    let late = false;
    const cancel = this.#environment.setTimer(timeoutMs, () => {
      late = true;
      outgoing.wake();
    });
    try {
      while (!outgoing.reported || !outgoing.confirmed.covers(octets)) {
        if (outgoing.failed !== undefined) throw outgoing.failed;
        if (late) throw new MsrpError('E_TIMEOUT', 'no REPORT of success');
        await outgoing.changed();
      }
    } finally {
      cancel();
    }
  }

  #failLate(messageId: string, error: MsrpError): void {
    if (this.#sent.delete(messageId)) this.#onFailed(messageId, error);
  }

  #remember(messageId: string): void {
    this.#sent.add(messageId);
    const [oldest] = this.#sent;
    if (this.#sent.size > MAX_SENT && oldest !== undefined) this.#sent.delete(oldest);
  }
}

interface ChunkFields {
  readonly toPath: readonly string[];
  readonly messageId: string;
  readonly total: number | undefined;
  readonly successReport: boolean;
  readonly failureReport: 'yes' | 'no' | 'partial';
  readonly options: SendOptions;
}

/** Smallest chunk but for the last, and largest that need not be interruptible. */
const MIN_CHUNK_BYTES = 2048;
const DEFAULT_CHUNK_BYTES = 16384;
/** A chunk is in memory, and what is answered meanwhile waits for its end (core C-053). */
const MAX_CHUNK_BYTES = 1_048_576;
const WINDOW_CHUNKS = 32;
/** Messages of which a late failure is still told. */
const MAX_SENT = 1024;
const REPORT_TIMEOUT_MS = 60_000;
const NOTHING = Buffer.alloc(0);

/** Nothing that the caller gives may end a header line and begin another. */
function checkOptions({ chunkBytes = DEFAULT_CHUNK_BYTES, contentType, messageId, headers = [] }: SendOptions): void {
  if (!Number.isInteger(chunkBytes) || chunkBytes < MIN_CHUNK_BYTES || chunkBytes > MAX_CHUNK_BYTES)
    throw new MsrpError('E_ARGUMENT', `chunkBytes must be ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES}`);
  if (!isContentType(contentType, false)) throw new MsrpError('E_ARGUMENT', 'contentType is no media type');
  if (messageId !== undefined && !isMessageId(Buffer.from(messageId), 0, Buffer.byteLength(messageId), true))
    throw new MsrpError('E_ARGUMENT', 'messageId must be 4 to 32 letters, digits and .-+%=, a letter or digit first');
  for (const [name, value] of headers) {
    if (!HEADER_NAME.test(name) || OWN_HEADERS.has(name.toLowerCase()))
      throw new MsrpError('E_ARGUMENT', `header ${JSON.stringify(name)} cannot be set`);
    if (!HEADER_VALUE.test(value)) throw new MsrpError('E_ARGUMENT', `the value of header ${name} cannot be sent`);
  }
}

const HEADER_NAME = /^[A-Za-z][!#-'*+\-.0-9A-Z^-~]*$/;
const HEADER_VALUE = /^[\t -~\u0080-\u{10ffff}]*$/u;
/** Headers of which there is one, and which the sender writes itself, or must not write (core C-021, C-060). */
const OWN_HEADERS = new Set(
  'to-path from-path message-id success-report failure-report byte-range status content-type content-transfer-encoding'.split(
    ' ',
  ),
);

function throwUnlessOk({ status, comment = '' }: ResponseFrame): void {
  if (status >= 200 && status <= 299) return;
  throw new MsrpError('E_REFUSED', `${status} ${escapePeer(comment)}`.trim(), { status });
}
