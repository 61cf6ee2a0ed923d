import { METHOD, R } from '../../frame/record.ts';
import { rangeNumber } from '../../syntax/byte-range.ts';
import { REPORT, failureReportOf } from '../../syntax/header-value.ts';
import type { Connection } from './connection.ts';
import { holdIfFull } from './flow.ts';
import { countMessage, messageLimit } from './forward.ts';
import type { Plane } from './plane.ts';
import { report, respond, toSend } from './reply.ts';
import type { Route } from './route.ts';
import { FORWARD_TID_LENGTH } from './tid-source.ts';
import type { Transaction } from './transaction.ts';

/**
 * A SEND that is passed on while it comes in (relay R-080…R-084).
 *
 * On the way out it is a chunk of its own, or several: whatever else has to go to the same connection interrupts it, and it
 * goes on later with a new transaction id and the Byte-Range of the octets that follow.
 *
 * ```
 * closed ──open()──▶ open ──interrupt() '+'──▶ closed ──2048 octets held, or the end──▶ open … ──finish(flag)──▶
 * ```
 * INVARIANT: an open chunk has 2048 octets at least, so that it can be interrupted at any time (core C-050, R-081).
 */
export class SendStream {
  readonly #plane: Plane;
  readonly #source: Connection;
  readonly #tid: string;
  readonly #route: Route;
  readonly #failureReport: number;
  readonly #messageId: string;
  readonly #start: number;
  readonly #total: number;
  /** Headers before and behind where Byte-Range belongs. */
  readonly #before: Buffer;
  readonly #behind: Buffer;
  /** 0 while octets are passed on; else the status that the rest is refused with, at its end. */
  #status: number;
  /** A REPORT has told the sender already. */
  #reported = false;
  /** Octets that have come in. */
  #received = 0;
  /** Of the chunk on the way out. */
  #open = false;
  #outTid = Buffer.alloc(FORWARD_TID_LENGTH);
  #transaction: Transaction | undefined;
  #chunkStart: number;
  #chunkOctets = 0;
  /** Octets for the next chunk while there are too few to open it. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The last bytes of the chunk, once something in it looked like an end-line: a false one must not pass in two pieces. */
  #trail: Buffer | undefined;

  /** Takes the head over from its record; `status` other than 0 refuses the SEND. */
  constructor(
    plane: Plane,
    source: Connection,
    route: Route,
    bytes: Buffer,
    records: Uint32Array,
    base: number,
    status: number,
  ) {
    const word = (index: number): number => records[base + index] as number;
    this.#plane = plane;
    this.#source = source;
    this.#route = route;
    this.#status = status;
    this.#failureReport = failureReportOf(records, base);
    this.#tid = bytes.toString('latin1', word(R.TID_START), word(R.TID_END));
    this.#messageId = bytes.toString('latin1', word(R.MESSAGE_ID_START), word(R.MESSAGE_ID_END));
    this.#start = this.#chunkStart = rangeNumber(records, base + R.RANGE_START);
    this.#total = rangeNumber(records, base + R.RANGE_TOTAL);
    // Without a Byte-Range one is put in front: MIME headers must stay last.
    const line = word(R.BYTE_RANGE_LINE) || word(R.HEADERS_START);
    const behind = word(R.BYTE_RANGE_LINE) === 0 ? line : bytes.indexOf(10, line) + 1;
    this.#before = Buffer.from(bytes.subarray(word(R.HEADERS_START), line));
    this.#behind = Buffer.from(bytes.subarray(behind, word(R.HEADERS_END)));
  }

  /** Octets of the body that have come in: `bytes[from..to)`. `dashes`: something in them looks like an end-line. */
  push(bytes: Buffer, from: number, to: number, dashes: boolean): void {
    this.#received += to - from;
    if (this.#start - 1 + this.#received > messageLimit(this.#plane)) this.fail(413);
    if (this.#status !== 0 || from === to) return;
    const target = this.#target();
    if (!target.usable || target.shedding) {
      this.fail(408);
      return;
    }
    if (dashes && this.#trail === undefined) this.#trail = NOTHING;
    if (!this.#open) {
      this.#hold(bytes, from, to);
      if (this.#heldBytes < MIN_CHUNK_OCTETS) return;
      this.#openChunk();
    } else this.#pass(bytes, from, to);
    holdIfFull(this.#plane, this.#source, target);
  }

  /** The end of the SEND has come in: the last chunk gets its flag, the sender its response. */
  finish(flag: number): void {
    const { incoming } = this.#source;
    if (incoming === this) this.#source.incoming = undefined;
    if (this.#status === 0 && !this.#target().usable) this.fail(408);
    if (this.#status !== 0) {
      this.#refuse();
      return;
    }
    // Nothing is left to be said when the chunk was interrupted at its very end and more chunks follow anyway.
    if (!this.#open && (this.#heldBytes > 0 || flag !== PLUS)) this.#openLast();
    if (this.#open) this.#closeChunk(flag);
    this.#source.probation = false;
    countMessage(this.#route, this.#received);
    if (this.#failureReport === REPORT.YES) this.#respond(200);
    holdIfFull(this.#plane, this.#source, this.#target());
  }

  /** Ends the chunk on the way out so that something else can be written; there is nothing to wait for. */
  interrupt(): void {
    if (!this.#open) return;
    this.#plane.counters.interruptions++;
    this.#closeChunk(PLUS);
  }

  /** Ends the chunk on the way out so that it can be written: to a connection that takes whole frames only. */
  pauseChunk(): void {
    if (this.#open) this.#closeChunk(PLUS);
  }

  /**
   * A response (its tid is `bytes[from..to)`) to the chunk that is still on its way out: some answer once they have seen its head.
   * Good news are all that was waited for; bad ones end the chunk, and the rest of the SEND is refused. False when it
   * answers nothing.
   */
  answered(bytes: Buffer, from: number, to: number, status: number, isOurs: (route: Route) => boolean): boolean {
    if (!this.#open || this.#transaction === undefined) return false;
    if (bytes.compare(this.#outTid, 0, FORWARD_TID_LENGTH, from, to) !== 0 || !isOurs(this.#route)) return false;
    this.#dropTransaction();
    if (status < 200 || status > 299) this.fail(status);
    return true;
  }

  /** The sender has died in the middle: whoever has the first part is told that no more comes. */
  sourceLost(): void {
    if (this.#status !== 0 || !this.#target().usable) return;
    if (!this.#open) this.#openLast();
    this.#closeChunk(HASH);
    this.#status = 408;
  }

  /** The connection that the open chunk went to has closed: the sender is told how far it got. */
  targetLost(): void {
    this.#open = false;
    this.#dropTransaction();
    if (this.#status !== 0) return;
    this.#status = 408;
    if (this.#failureReport === REPORT.NO) return;
    this.#reported = true;
    this.#report(408);
  }

  /** What comes of this SEND from now on is read and dropped; its receiver gets `#`. */
  fail(status: number): void {
    if (this.#status !== 0) return;
    if (this.#open) this.#closeChunk(HASH);
    this.#held = [];
    this.#heldBytes = 0;
    this.#status = status;
  }

  #target(): Connection {
    let target = this.#route.target as Connection;
    while (target.movedTo !== undefined) target = target.movedTo;
    return target;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    // A copy: the read buffer is used again.
    this.#held.push(Buffer.from(bytes.subarray(from, to)));
    this.#heldBytes += to - from;
  }

  /** Begins a chunk with what is held. */
  #openChunk(): void {
    const plane = this.#plane;
    const target = this.#target();
    target.outgoing?.interrupt();
    this.#chunkStart += this.#chunkOctets;
    this.#chunkOctets = 0;
    this.#transaction = this.#failureReport === REPORT.NO ? undefined : plane.transactions.take();
    if (this.#transaction === undefined) plane.tids.write(this.#outTid, 0, 0, 0);
    else plane.transactions.writeTid(this.#transaction, plane.tids, this.#outTid, 0);
    const { outbox } = target;
    outbox.appendLatin1('MSRP ');
    outbox.append(this.#outTid, 0, FORWARD_TID_LENGTH);
    outbox.append(this.#route.sendHead, 0, this.#route.sendHead.length);
    outbox.append(this.#before, 0, this.#before.length);
    outbox.appendLatin1(`Byte-Range: ${this.#chunkStart}-*/${this.#total < 0 ? '*' : this.#total}\r\n`);
    outbox.append(this.#behind, 0, this.#behind.length);
    outbox.appendLatin1('\r\n');
    this.#open = true;
    target.outgoing = this;
    plane.touch(target);
    if (this.#trail !== undefined) this.#trail = NOTHING;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const piece of held) {
      if (this.#open) this.#pass(piece, 0, piece.length);
      else this.#hold(piece, 0, piece.length);
    }
    if (!this.#open && this.#heldBytes >= MIN_CHUNK_OCTETS) this.#openChunk();
  }

  /** Begins the last chunk with what is held, however little: it may take some more to come to it. */
  #openLast(): void {
    do this.#openChunk();
    while (!this.#open && this.#heldBytes > 0);
  }

  /** Appends octets to the open chunk, and to further ones where the target wants them short. */
  #pass(bytes: Buffer, from: number, to: number): void {
    const target = this.#target();
    const most = target.chunkOctets - this.#chunkOctets;
    if (to - from > most) {
      this.#passShort(bytes, from, to, target.chunkOctets);
      return;
    }
    if (this.#trail !== undefined) {
      const collision = this.#collision(bytes, from, to);
      if (collision >= 0) {
        // The body holds the id of this very chunk: it ends before that, and goes on under another one.
        this.#pass(bytes, from, collision);
        this.#closeChunk(PLUS);
        this.#hold(bytes, collision, to);
        if (this.#heldBytes >= MIN_CHUNK_OCTETS) this.#openChunk();
        return;
      }
    }
    target.outbox.append(bytes, from, to);
    this.#chunkOctets += to - from;
    this.#plane.touch(target);
  }

  /** More octets than the open chunk can take: each chunk gets as many as it may have. */
  #passShort(bytes: Buffer, from: number, to: number, most: number): void {
    let at = from;
    while (at < to) {
      if (this.#open && this.#chunkOctets >= most) this.#closeChunk(PLUS);
      if (!this.#open) {
        const few = this.#heldBytes + to - at < MIN_CHUNK_OCTETS;
        if (few || this.#heldBytes > 0) {
          this.#hold(bytes, at, to);
          if (!few) this.#openChunk();
          return;
        }
        this.#openChunk();
      }
      const end = Math.min(to, at + most - this.#chunkOctets);
      this.#pass(bytes, at, end);
      at = end;
    }
  }

  /** Offset in `bytes[from..to)` before which the open chunk must end, −1 when the body does not hold its id. */
  #collision(bytes: Buffer, from: number, to: number): number {
    const trail = this.#trail as Buffer;
    const text = Buffer.concat([trail, bytes.subarray(from, to)]);
    const hit = text.indexOf(this.#outTid);
    this.#trail = text.subarray(Math.max(0, text.length - TRAIL_BYTES));
    if (hit < 0) return -1;
    this.#trail = NOTHING;
    return Math.max(from, from + hit - trail.length);
  }

  #closeChunk(flag: number): void {
    const plane = this.#plane;
    const target = this.#target();
    const { outbox } = target;
    outbox.appendLatin1('\r\n-------');
    outbox.append(this.#outTid, 0, FORWARD_TID_LENGTH);
    outbox.appendLatin1(`${String.fromCharCode(flag)}\r\n`);
    plane.touch(target);
    plane.counters.framesOut[METHOD.SEND]!++;
    this.#open = false;
    if (target.outgoing === this) target.outgoing = undefined;
    const transaction = this.#transaction;
    this.#transaction = undefined;
    if (transaction === undefined) return;
    transaction.source = this.#source;
    transaction.target = target;
    transaction.route = this.#route;
    transaction.isSend = true;
    transaction.isAuth = false;
    transaction.timed = this.#failureReport === REPORT.YES;
    transaction.messageId = this.#messageId;
    transaction.start = this.#chunkStart;
    transaction.octets = this.#chunkOctets;
    transaction.total = this.#total;
    transaction.startedMs = plane.nowMs;
    transaction.deadlineMs = plane.nowMs + plane.limits.transactionMs;
    transaction.queuedUpTo = target.queuedTotal;
    plane.transactions.open(transaction);
  }

  #dropTransaction(): void {
    if (this.#transaction !== undefined) this.#plane.transactions.release(this.#transaction);
    this.#transaction = undefined;
  }

  #report(status: number): void {
    const { toPath, fromPath } = this.#route;
    const [messageId, start, octets, total] = [this.#messageId, this.#chunkStart, this.#chunkOctets, this.#total];
    report(this.#plane, this.#source, { toPath, fromPath, messageId, start, octets, total }, status);
  }

  #refuse(): void {
    this.#plane.counters.reject(`STATUS_${this.#status}`);
    // A sender that waits for a response must get one, even if a REPORT has come before it.
    if (this.#failureReport === REPORT.YES || (this.#failureReport === REPORT.PARTIAL && !this.#reported))
      this.#respond(this.#status);
    else this.#plane.counters.dropped++;
  }

  #respond(status: number): void {
    const { toPath, fromPath } = this.#route;
    if (toPath.length === 0 || fromPath.length === 0) this.#plane.counters.dropped++;
    else respond(this.#plane, this.#source, status, toSend(this.#tid, toPath, fromPath));
  }
}

/** Smallest piece that a message may be cut into (core C-050). */
const MIN_CHUNK_OCTETS = 2048;

/** A transaction id split over two pieces lies in this many last bytes of the first, but for one. */
const TRAIL_BYTES = FORWARD_TID_LENGTH - 1;

const PLUS = 0x2b;
const HASH = 0x23;
const NOTHING = Buffer.alloc(0);
