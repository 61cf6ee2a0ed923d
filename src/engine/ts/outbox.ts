/**
 * Bytes that wait to be written to one connection, in segments.
 *
 * ```
 * [segment 0: full][segment 1: full] …  [tail: bytes……|room……]
 *                                        0      used  SEGMENT_BYTES
 * ```
 * INVARIANT: `bytes` counts what is queued and what was taken for a write that is not finished yet. The bound is kept by
 * the flow control of the sources (flow.ts), which stop reading above the high-water mark: one read per source at most
 * comes on top.
 */
export class Outbox {
  bytes = 0;
  /** Where the next bytes go: room is there after {@link room}, from `used` on. */
  tail: Buffer = NONE;
  used = 0;
  /** Segments that are done, and how much each holds. */
  readonly #full: Buffer[] = [];
  readonly #lengths: number[] = [];
  /** Segments that were taken and are not given back yet. */
  readonly #lent: Buffer[] = [];

  /** Makes sure that `tail` has room for `size` bytes behind `used`; `size` is at most {@link SEGMENT_BYTES}. */
  room(size: number): void {
    if (this.tail.length - this.used < size) this.#next();
  }

  /** Says that `size` bytes were put into `tail` at `used`. */
  wrote(size: number): void {
    this.used += size;
    this.bytes += size;
  }

  /** Appends `source[from..to)`, of any size. */
  append(source: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.used === this.tail.length) this.#next();
      const size = Math.min(to - at, this.tail.length - this.used);
      source.copy(this.tail, this.used, at, at + size);
      this.wrote(size);
      at += size;
    }
  }

  /** Appends text of characters up to U+00FF, a byte each. */
  appendLatin1(text: string): void {
    if (text.length > SEGMENT_BYTES) {
      this.append(Buffer.from(text, 'latin1'), 0, text.length);
      return;
    }
    this.room(text.length);
    this.tail.write(text, this.used, 'latin1');
    this.wrote(text.length);
  }

  /** Moves everything that `other` holds behind what is here. */
  appendAll(other: Outbox): void {
    const segments = other.take(Infinity);
    for (const segment of segments) {
      this.append(segment, 0, segment.length);
      other.written(segment.length);
    }
    other.release();
  }

  /** The queue when it is one segment, for the common write: no list is made. Undefined when it is more, or nothing. */
  single(): Buffer | undefined {
    return this.#full.length > 0 || this.used === 0 ? undefined : this.tail.subarray(0, this.used);
  }

  /** The bytes of {@link single} are with the kernel. */
  writtenSingle(): void {
    this.bytes -= this.used;
    this.used = 0;
    giveSegment(this.tail);
    this.tail = NONE;
  }

  /** What is queued, without taking it. */
  waiting(): Buffer[] {
    const full = this.#full.map((segment, i) => segment.subarray(0, this.#lengths[i]));
    return this.used === 0 ? full : [...full, this.tail.subarray(0, this.used)];
  }

  /** Takes segments of about `limit` bytes for a write, which must not be touched until {@link release}. */
  take(limit: number): Buffer[] {
    const taken: Buffer[] = [];
    let size = 0;
    while (size < limit && this.#full.length > 0) {
      const segment = this.#full.shift() as Buffer;
      const length = this.#lengths.shift() as number;
      size += length;
      taken.push(segment.subarray(0, length));
      this.#lent.push(segment);
    }
    if (size < limit && this.used > 0) {
      taken.push(this.tail.subarray(0, this.used));
      this.#lent.push(this.tail);
      this.tail = NONE;
      this.used = 0;
    }
    return taken;
  }

  /** `size` bytes that were taken are with the kernel. */
  written(size: number): void {
    this.bytes -= size;
  }

  /** Says that the socket has done with what was taken. */
  release(): void {
    for (const segment of this.#lent) giveSegment(segment);
    this.#lent.length = 0;
  }

  /** Drops what is queued; what was taken stays with the socket. */
  clear(): void {
    this.#full.length = 0;
    this.#lengths.length = 0;
    this.#lent.length = 0;
    this.tail = NONE;
    this.used = 0;
    this.bytes = 0;
  }

  #next(): void {
    if (this.used > 0) {
      this.#full.push(this.tail);
      this.#lengths.push(this.used);
    }
    this.tail = takeSegment();
    this.used = 0;
  }
}

/** A frame head and what else must lie in one piece fits easily; a larger body takes several segments. */
export const SEGMENT_BYTES = 32768;

const NONE = Buffer.alloc(0);

/** Free segments, shared by all outboxes: a quiet connection holds none and a busy one allocates none. */
const free: Buffer[] = [];
const KEPT_SEGMENTS = 512;

function takeSegment(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(SEGMENT_BYTES);
}

function giveSegment(segment: Buffer): void {
  // A queue that was cleared has none to give.
  if (segment.length === SEGMENT_BYTES && free.length < KEPT_SEGMENTS) free.push(segment);
}
