import { createReadStream, statSync } from 'node:fs';
import { MsrpError } from '../errors.ts';
import { formatByteRange, parseByteRange } from '../syntax/byte-range.ts';
import { encodeEnd, encodeHead } from '../syntax/encode.ts';
import { headerValue } from '../syntax/frame.ts';
import type { Header, RequestFrame, ResponseFrame } from '../syntax/frame.ts';
import { parseStatus } from '../syntax/header-value.ts';
import { makeIdent } from './environment.ts';
import type { EndpointEnvironment } from './environment.ts';
import { OctetRanges } from './octet-ranges.ts';
import type { PeerConnection } from './peer-connection.ts';

/** What can be sent. A file is read while it is sent. */
export type SendBody = string | Uint8Array | AsyncIterable<Uint8Array> | { readonly file: string };

export interface SendOptions {
  /** The peer's path as in its SDP, in order: its relays, then the peer. Text separates the URIs by spaces. */
  readonly to: string | readonly string[];
  readonly contentType: string;
  readonly body: SendBody;
  /** Ask the receiver for a REPORT of success, and wait for it. Default false. */
  readonly successReport?: boolean;
  /** RFC 4975 section 7.1.1. Default `yes`. */
  readonly failureReport?: 'yes' | 'no' | 'partial';
  readonly messageId?: string;
  /** Octets of one chunk, 2048 or more (core C-051). Default 16384. */
  readonly chunkBytes?: number;
  /** Further headers, such as Content-Disposition. */
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

/** A message under way. */
interface Outgoing {
  readonly messageId: string;
  failed: MsrpError | undefined;
  /** Octets confirmed by REPORTs. */
  readonly confirmed: OctetRanges;
  wake: () => void;
}

/** Sends messages over one connection, each chunk by chunk (RFC 4975 section 7.1). */
export class Sender {
  readonly #connection: PeerConnection;
  readonly #environment: EndpointEnvironment;
  readonly #uri: string;
  readonly #outgoing = new Map<string, Outgoing>();

  constructor(connection: PeerConnection, environment: EndpointEnvironment, uri: string) {
    this.#connection = connection;
    this.#environment = environment;
    this.#uri = uri;
  }

  /** Sends one message along `toPath`. Rejects with `E_REFUSED` (and the status), `E_TIMEOUT`, `E_CLOSED` or `E_ABORTED`. */
  async send(toPath: readonly string[], options: SendOptions): Promise<SendResult> {
    const { signal, successReport = false, failureReport = 'yes', chunkBytes = DEFAULT_CHUNK_BYTES } = options;
    if (chunkBytes < MIN_CHUNK_BYTES)
      throw new MsrpError('E_ARGUMENT', `chunkBytes must be ${MIN_CHUNK_BYTES} or more`);
    if (signal?.aborted === true) throw new MsrpError('E_ABORTED');
    const messageId = options.messageId ?? makeIdent(this.#environment);
    const outgoing: Outgoing = {
      messageId,
      failed: undefined,
      confirmed: new OctetRanges(MAX_REPORTED_PIECES),
      wake: () => undefined,
    };
    this.#outgoing.set(messageId, outgoing);
    const total = sizeOf(options.body);
    const abort = (): void => {
      outgoing.failed ??= new MsrpError('E_ABORTED');
      outgoing.wake();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const fields: ChunkFields = { toPath, messageId, total, successReport, failureReport, options };
      const octets = await this.#sendChunks(fields, outgoing, chunkBytes);
      if (successReport) await this.#confirmed(outgoing, octets, options.reportTimeoutMs ?? REPORT_TIMEOUT_MS);
      return { messageId, octets, confirmed: successReport };
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#outgoing.delete(messageId);
    }
  }

  /** Sends a SEND without a body: binds a connection to a session, keeps it alive (core C-121, C-035, D-11). */
  async bind(toPath: readonly string[]): Promise<void> {
    const tid = makeIdent(this.#environment);
    const headers: Header[] = [
      ['Message-ID', makeIdent(this.#environment)],
      ['Byte-Range', '1-0/0'],
    ];
    const answer = this.#connection.response(tid);
    const head = encodeHead({ tid, method: 'SEND', toPath, fromPath: [this.#uri], headers });
    await this.#connection.inTurn(() => this.#connection.write(head + encodeEnd(tid, '$')));
    throwUnlessOk(await answer);
  }

  /** A REPORT has come in (core C-091); false when it belongs to no message of this sender. */
  onReport(request: RequestFrame): boolean {
    const outgoing = this.#outgoing.get(headerValue(request.headers, 'Message-ID') ?? '');
    const status = parseStatus(headerValue(request.headers, 'Status') ?? '');
    if (outgoing === undefined || status?.namespace !== '000') return false;
    if (status.code >= 200 && status.code <= 299) {
      const range = parseByteRange(headerValue(request.headers, 'Byte-Range') ?? '');
      if (range !== undefined) outgoing.confirmed.add(range.start, range.end ?? range.total ?? range.start - 1);
    } else outgoing.failed ??= new MsrpError('E_REFUSED', `REPORT ${status.code}`, { status: status.code });
    outgoing.wake();
    return true;
  }

  /** Everything under way has failed: the connection is gone. */
  fail(error: MsrpError): void {
    for (const outgoing of this.#outgoing.values()) {
      outgoing.failed ??= error;
      outgoing.wake();
    }
  }

  async #sendChunks(fields: ChunkFields, outgoing: Outgoing, chunkBytes: number): Promise<number> {
    const answers = new Set<Promise<void>>();
    let start = 1;
    let accepted = 0;
    for await (const { octets, last } of chunksOf(fields.options.body, chunkBytes)) {
      if (outgoing.failed !== undefined) break;
      const tid = await this.#sendChunk(fields, start, octets, last ? '$' : '+');
      start += octets.length;
      if (fields.failureReport === 'no') fields.options.onProgress?.(start - 1, fields.total);
      else {
        const answer = this.#connection
          .response(tid)
          .then((response) => {
            throwUnlessOk(response);
            accepted += octets.length;
            fields.options.onProgress?.(accepted, fields.total);
          })
          .catch((error: unknown) => {
            // Without a response is how `partial` succeeds (core C-070).
            const silent = fields.failureReport === 'partial' && (error as MsrpError).code === 'E_TIMEOUT';
            if (!silent) outgoing.failed ??= error as MsrpError;
          })
          .finally(() => answers.delete(answer));
        if (fields.failureReport === 'yes') answers.add(answer);
      }
      // So many chunks may be without an answer: then one must come first.
      while (answers.size >= WINDOW_CHUNKS && outgoing.failed === undefined)
        await Promise.race([...answers, untilWoken(outgoing)]);
      if (last && outgoing.failed === undefined) {
        await Promise.race([Promise.all(answers), untilFailed(outgoing)]);
        if (outgoing.failed === undefined) return start - 1;
        throw failureOf(outgoing);
      }
    }
    // Abandoned: the receiver need not wait for the rest (core C-034, C-092).
    if (!this.#connection.closed) await this.#sendChunk(fields, start, NOTHING, '#').catch(() => undefined);
    throw failureOf(outgoing);
  }

  /** Writes one chunk, when it is its turn; returns its transaction id. */
  async #sendChunk(fields: ChunkFields, start: number, octets: Buffer, flag: '$' | '+' | '#'): Promise<string> {
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
    const head = Buffer.from(`${encodeHead({ tid, method: 'SEND', toPath, fromPath: [this.#uri], headers })}\r\n`);
    const frame = Buffer.concat([head, octets, Buffer.from(`\r\n${encodeEnd(tid, flag)}`)]);
    await this.#connection.inTurn(() => this.#connection.write(frame));
    return tid;
  }

  /** Waits until REPORTs of success cover every octet (core C-064). */
  async #confirmed(outgoing: Outgoing, octets: number, timeoutMs: number): Promise<void> {
    let late = false;
    const cancel = this.#environment.setTimer(timeoutMs, () => {
      late = true;
      outgoing.wake();
    });
    try {
      while (!outgoing.confirmed.covers(octets)) {
        if (outgoing.failed !== undefined) throw failureOf(outgoing);
        if (late) throw new MsrpError('E_TIMEOUT', 'no REPORT of success');
        await untilWoken(outgoing);
      }
    } finally {
      cancel();
    }
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
const WINDOW_CHUNKS = 32;
const MAX_REPORTED_PIECES = 4096;
const REPORT_TIMEOUT_MS = 60_000;
const NOTHING = Buffer.alloc(0);

function untilWoken(outgoing: Outgoing): Promise<void> {
  return new Promise((resolve) => {
    const before = outgoing.wake;
    outgoing.wake = () => {
      before();
      resolve();
    };
  });
}

async function untilFailed(outgoing: Outgoing): Promise<void> {
  while (outgoing.failed === undefined) await untilWoken(outgoing);
}

function failureOf(outgoing: Outgoing): MsrpError {
  return outgoing.failed ?? new MsrpError('E_CLOSED');
}

function throwUnlessOk({ status, comment }: ResponseFrame): void {
  if (status >= 200 && status <= 299) return;
  throw new MsrpError('E_REFUSED', `${status} ${comment ?? ''}`.trim(), { status });
}

/** Size of a body; undefined when it shows only at the end. */
function sizeOf(body: SendBody): number | undefined {
  if (typeof body === 'string') return Buffer.byteLength(body);
  if (body instanceof Uint8Array) return body.length;
  return 'file' in body ? statSync(body.file).size : undefined;
}

/** Cuts a body into chunks; the last one is known as such, and there is always one. */
async function* chunksOf(body: SendBody, chunkBytes: number): AsyncGenerator<{ octets: Buffer; last: boolean }> {
  let held: Buffer | undefined;
  for await (const octets of cut(body, chunkBytes)) {
    if (held !== undefined) yield { octets: held, last: false };
    held = octets;
  }
  yield { octets: held ?? NOTHING, last: true };
}

async function* cut(body: SendBody, chunkBytes: number): AsyncGenerator<Buffer> {
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const all =
      typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < all.length; at += chunkBytes) yield all.subarray(at, at + chunkBytes);
    return;
  }
  let rest: Buffer = NOTHING;
  const pieces: AsyncIterable<Uint8Array> = 'file' in body ? createReadStream(body.file) : body;
  for await (const piece of pieces) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    let at = 0;
    for (; rest.length - at >= chunkBytes; at += chunkBytes) yield rest.subarray(at, at + chunkBytes);
    rest = rest.subarray(at);
  }
  if (rest.length > 0) yield rest;
}
