import { MsrpError } from '../errors.ts';
import { BIT, KIND, R, RECORD_WORDS, frameErrorName } from '../frame/record.ts';
import { TsDecoder } from '../syntax/decoder.ts';
import { encodeResponse } from '../syntax/encode.ts';
import { decodeFrame, headerValue } from '../syntax/frame.ts';
import type { Frame, RequestFrame, ResponseFrame } from '../syntax/frame.ts';
import { statusComment } from '../syntax/status.ts';
import type { EndpointEnvironment } from './environment.ts';
import type { EndpointTransport } from './transport.ts';

/** What a connection tells its owner. A SEND comes as head, body pieces and end; anything else whole. */
export interface PeerHandler {
  onSendHead(head: RequestFrame, issue: boolean): void;
  /** A promise stops reading until it is settled. */
  onSendBody(bytes: Buffer): void | Promise<void>;
  onSendEnd(flag: '$' | '+' | '#'): void | Promise<void>;
  /** `issue`: something is wrong in it, but not what it takes to answer it. */
  onRequest(request: RequestFrame, issue: boolean): void;
  onClose(error: MsrpError | undefined): void;
}

/** A request of ours that waits for its response. */
export interface Transaction {
  /** Rejects with `E_TIMEOUT` or with what has ended the connection. Need not be listened to. */
  readonly answer: Promise<ResponseFrame>;
  /** Its last octet was handed over: from now on its time runs (core C-071). */
  readonly written: () => void;
}

/** One connection of an endpoint: frames in, bytes out, and responses matched to requests. */
export class PeerConnection {
  readonly #transport: EndpointTransport;
  readonly #environment: EndpointEnvironment;
  readonly #framer = new TsDecoder();
  readonly #records = new Uint32Array(32 * RECORD_WORDS);
  readonly #waiting = new Map<
    string,
    { resolve: (response: ResponseFrame) => void; reject: (error: MsrpError) => void }
  >();
  #handler: PeerHandler | undefined;
  /** Whoever closes it waits until nothing is left of it. */
  #onGone: () => void = () => undefined;
  #rest: Buffer = Buffer.alloc(0);
  #closed = false;
  #turn: Promise<void> = Promise.resolve();
  /** Octets of answers that are not written yet. */
  #postedBytes = 0;
  /** Why nothing is read: bodies that are not stored yet; answers that the peer does not read. */
  #storing = false;
  #unread: (() => void) | undefined;
  #drained: Promise<void> | undefined;
  #letDrain: (() => void) | undefined;

  constructor(transport: EndpointTransport, environment: EndpointEnvironment) {
    this.#transport = transport;
    this.#environment = environment;
    transport.attach({
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => this.#onDrain(),
      onEnd: (error) =>
        this.#close(error === undefined ? undefined : new MsrpError('E_CLOSED', error.message, { cause: error })),
      onGone: () => this.#onGone(),
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Undefined where it cannot be known. */
  get localAddress(): { readonly address: string; readonly port: number } | undefined {
    return this.#transport.local;
  }

  set handler(handler: PeerHandler) {
    this.#handler = handler;
  }

  /** Writes one frame; resolves when there is room for more. */
  async write(bytes: Uint8Array | string): Promise<void> {
    if (this.#closed) throw new MsrpError('E_CLOSED');
    if (this.#transport.write(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)) return;
    this.#drained ??= new Promise((resolve) => {
      this.#letDrain = resolve;
    });
    await this.#drained;
    if (this.#isClosed()) throw new MsrpError('E_CLOSED');
  }

  /**
   * Writes without waiting: answers, REPORTs and AUTH. A peer that makes us answer and does not read is not read from either,
   * so what is kept for it is bounded.
   */
  post(data: string | Uint8Array): void {
    if (this.#closed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    this.#postedBytes += bytes.length;
    this.#transport.write(bytes, () => {
      this.#postedBytes -= bytes.length;
      if (this.#unread === undefined || this.#postedBytes > MAX_POSTED_BYTES / 2) return;
      this.#unread();
      this.#unread = undefined;
      this.#flow();
    });
    if (this.#unread !== undefined || this.#postedBytes <= MAX_POSTED_BYTES) return;
    this.#unread = this.#environment.setTimer(TRANSACTION_MS, () =>
      this.destroy(new MsrpError('E_TIMEOUT', 'the peer does not read what it is sent')),
    );
    this.#flow();
  }

  /** Takes turns: several messages share the connection chunk by chunk (core C-054). */
  async inTurn<T>(write: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let next: () => void = () => undefined;
    this.#turn = new Promise((resolve) => {
      next = resolve;
    });
    await before;
    try {
      return await write();
    } finally {
      next();
    }
  }

  /** Expects the response to a transaction before it is written, since an error may be answered before its end. */
  expect(tid: string, timeoutMs = TRANSACTION_MS): Transaction {
    let cancel: () => void = () => undefined;
    let settled = false;
    const answer = new Promise<ResponseFrame>((resolve, reject) => {
      if (this.#closed) {
        settled = true;
        reject(new MsrpError('E_CLOSED'));
        return;
      }
      const settle = (): void => {
        settled = true;
        cancel();
        this.#waiting.delete(tid);
      };
      this.#waiting.set(tid, {
        resolve: (response) => {
          settle();
          resolve(response);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
    });
    // Whoever has lost interest in the answer has lost interest in why there is none.
    answer.catch(() => undefined);
    const late = (): void =>
      this.#waiting.get(tid)?.reject(new MsrpError('E_TIMEOUT', `no response within ${timeoutMs} ms`, { status: 408 }));
    return {
      answer,
      written: () => {
        if (!settled) cancel = this.#environment.setTimer(timeoutMs, late);
      },
    };
  }

  /** Ends the connection behind what was written. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#environment.setTimer(CLOSE_MS, () => this.#transport.destroy());
      this.#onGone = () => {
        cancel();
        resolve();
      };
      this.#transport.end();
    });
  }

  /** Ends the connection at once; what waits for answers fails with `error`. */
  destroy(error?: MsrpError): void {
    this.#transport.destroy();
    this.#close(error);
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #onDrain(): void {
    this.#letDrain?.();
    this.#drained = this.#letDrain = undefined;
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const busy: Promise<void>[] = [];
    let from = 0;
    for (;;) {
      const count = this.#framer.scan(bytes, from, bytes.length, this.#records);
      for (let base = 0; base < count * RECORD_WORDS && !this.#isClosed(); base += RECORD_WORDS)
        this.#onRecord(bytes, base, busy);
      const progress = this.#framer.consumed > from;
      from = this.#framer.consumed;
      if (count === 0 || !progress || from === bytes.length || this.#isClosed()) break;
    }
    this.#rest = from === bytes.length ? NOTHING : Buffer.from(bytes.subarray(from));
    if (busy.length === 0) return;
    // Where bodies go is slower than the network: nothing is read meanwhile.
    this.#storing = true;
    this.#flow();
    void Promise.allSettled(busy).then(() => {
      this.#storing = false;
      this.#flow();
    });
  }

  /** Reads, unless there is a reason not to. */
  #flow(): void {
    if (this.#storing || this.#unread !== undefined) this.#transport.pause();
    else if (!this.#closed) this.#transport.resume();
  }

  #onRecord(bytes: Buffer, base: number, busy: Promise<void>[]): void {
    const records = this.#records;
    const kind = records[base + R.KIND];
    const handler = this.#handler;
    const note = (result: void | Promise<void> | undefined): void => {
      if (result instanceof Promise) busy.push(result);
    };
    if (kind === KIND.ERROR) {
      const code = frameErrorName(records[base + R.ISSUE] as number);
      this.#transport.destroy();
      this.#close(new MsrpError('E_CLOSED', `the peer has sent what is no MSRP (${code})`));
      return;
    }
    const body = (): Buffer => bytes.subarray(records[base + R.BODY_START], records[base + R.BODY_END]);
    if (kind === KIND.WHOLE || kind === KIND.HEAD) {
      const issue = records[base + R.ISSUE] !== 0;
      const frame: Frame = decodeFrame(bytes, records, base);
      if (frame.kind === 'response') {
        // What is wrong in a response is for those to judge who need it; what it says of the request is in its first line.
        this.#waiting.get(frame.tid)?.resolve(frame);
        return;
      }
      if (frame.method !== 'SEND') {
        handler?.onRequest(frame, issue);
        return;
      }
      handler?.onSendHead(frame, issue);
      if ((records[base + R.BITS] as number) & BIT.HAS_BODY) note(handler?.onSendBody(body()));
      if (kind === KIND.WHOLE) note(handler?.onSendEnd(frame.flag));
      return;
    }
    if (records[base + R.BODY_END] !== records[base + R.BODY_START]) note(handler?.onSendBody(body()));
    if (kind === KIND.END)
      note(handler?.onSendEnd(String.fromCharCode(records[base + R.FLAG] as number) as '$' | '+' | '#'));
  }

  #close(error: MsrpError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unread?.();
    this.#onDrain();
    for (const { reject } of Array.from(this.#waiting.values())) reject(error ?? new MsrpError('E_CLOSED'));
    this.#handler?.onClose(error);
  }
}

/** Answers a request with an error, where an answer is wanted and possible (core C-070, C-073, C-074, D-12). */
export function refuse(connection: PeerConnection, request: RequestFrame, status: number): void {
  const { tid, toPath, fromPath } = request;
  if ((headerValue(request.headers, 'Failure-Report') ?? '').toLowerCase() === 'no') return;
  if (toPath.length === 0 || fromPath.length === 0) return;
  const back = request.method === 'SEND' ? fromPath.slice(0, 1) : fromPath;
  connection.post(
    encodeResponse({ tid, status, comment: statusComment(status), toPath: back, fromPath: toPath.slice(0, 1) }),
  );
}

const TRANSACTION_MS = 30_000;
const CLOSE_MS = 2000;
/** Answers that may wait for the peer to read them. */
const MAX_POSTED_BYTES = 262_144;
const NOTHING = Buffer.alloc(0);
