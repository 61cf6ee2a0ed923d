/** A Byte-Range: octets of a message, counted from 1 (RFC 4975 section 7.1.1, core C-022, C-044…C-047). */
export interface ByteRange {
  /** Number of the first octet, 1…2^53−1. */
  readonly start: number;
  /** Number of the last octet, start−1 when there is none; undefined for `*`. */
  readonly end: number | undefined;
  /** Size of the whole message; undefined for `*`. */
  readonly total: number | undefined;
}

/** Parses a Byte-Range value; undefined when it is malformed or out of bounds (core D-14). */
export function parseByteRange(text: string): ByteRange | undefined {
  const match = /^([0-9]{1,16})-(?:\*|([0-9]{1,16}))\/(?:\*|([0-9]{1,16}))$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = match[2] === undefined ? undefined : Number(match[2]);
  const total = match[3] === undefined ? undefined : Number(match[3]);
  return isByteRange(start, end, total) ? { start, end, total } : undefined;
}

/** Writes a Byte-Range value. */
export function formatByteRange(range: ByteRange): string {
  return `${range.start}-${range.end ?? '*'}/${range.total ?? '*'}`;
}

/** Numbers of a Byte-Range read from bytes, so that a frame costs no object: −1 stands for `*`. */
export class ByteRangeReader {
  start = 1;
  end = -1;
  total = -1;

  /** Reads `bytes[from..to)`; false when it is no Byte-Range, as {@link parseByteRange}. */
  read(bytes: Uint8Array, from: number, to: number): boolean {
    this.#at = from;
    this.start = this.#number(bytes, to);
    if (this.start < 1 || bytes[this.#at++] !== 0x2d) return false;
    this.end = this.#number(bytes, to);
    if (this.end === MALFORMED || bytes[this.#at++] !== 0x2f) return false;
    this.total = this.#number(bytes, to);
    if (this.total === MALFORMED || this.#at !== to) return false;
    return isByteRange(
      this.start,
      this.end === STAR ? undefined : this.end,
      this.total === STAR ? undefined : this.total,
    );
  }

  #at = 0;

  #number(bytes: Uint8Array, to: number): number {
    let at = this.#at;
    if (at < to && bytes[at] === 0x2a) {
      this.#at = at + 1;
      return STAR;
    }
    const first = at;
    let value = 0;
    // 16 digits hold 2^53−1 and cannot lose the order of magnitude of anything larger.
    for (; at < to && at - first < 17; at++) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    this.#at = at;
    return at === first || at - first > 16 ? MALFORMED : value;
  }
}

const STAR = -1;
const MALFORMED = -2;

function isByteRange(start: number, end: number | undefined, total: number | undefined): boolean {
  if (!Number.isSafeInteger(start) || start < 1) return false;
  if (end !== undefined && (!Number.isSafeInteger(end) || end < start - 1)) return false;
  if (total === undefined) return true;
  return Number.isSafeInteger(total) && (end === undefined || end <= total);
}
