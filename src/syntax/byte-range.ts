import { STAR } from '../frame/record.ts';

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

/**
 * Writes the numbers of the Byte-Range in `bytes[from..to)` to `records[at…at + 5]`: start, end, total, each as two words as in
 * the frame record. False when it is no Byte-Range, as {@link parseByteRange}; the numbers are those of `1-*`/`*` then.
 */
export function putByteRange(bytes: Uint8Array, from: number, to: number, records: Uint32Array, at: number): boolean {
  cursor = from;
  const start = readNumber(bytes, to);
  let good = start >= 1 && bytes[cursor++] === 0x2d;
  const end = good ? readNumber(bytes, to) : ANY;
  good &&= end !== MALFORMED && bytes[cursor++] === 0x2f;
  const total = good ? readNumber(bytes, to) : ANY;
  good &&= total !== MALFORMED && cursor === to;
  good &&= isByteRange(start, end === ANY ? undefined : end, total === ANY ? undefined : total);
  if (!good) {
    putNoByteRange(records, at);
    return false;
  }
  putNumber(records, at, start);
  putNumber(records, at + 2, end);
  putNumber(records, at + 4, total);
  return true;
}

/** Writes `1-*`/`*`, as {@link putByteRange}. */
export function putNoByteRange(records: Uint32Array, at: number): void {
  records[at] = 1;
  records[at + 1] = 0;
  putNumber(records, at + 2, ANY);
  putNumber(records, at + 4, ANY);
}

/** The number of two words that {@link putByteRange} has written; −1 for `*`. */
export function rangeNumber(records: Uint32Array, at: number): number {
  const upper = records[at + 1] as number;
  return upper === STAR ? ANY : upper * 0x1_0000_0000 + (records[at] as number);
}

function putNumber(records: Uint32Array, at: number, value: number): void {
  records[at] = value === ANY ? 0 : value >>> 0;
  records[at + 1] = value === ANY ? STAR : Math.floor(value / 0x1_0000_0000);
}

/** `*` as a number. */
const ANY = -1;
const MALFORMED = -2;

/** Where {@link readNumber} goes on. */
let cursor = 0;

function readNumber(bytes: Uint8Array, to: number): number {
  const first = cursor;
  if (first < to && bytes[first] === 0x2a) {
    cursor++;
    return ANY;
  }
  let value = 0;
  // 16 digits hold 2^53−1 and cannot lose the order of magnitude of anything larger.
  while (cursor < to && cursor - first < 17) {
    const digit = (bytes[cursor] as number) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    cursor++;
  }
  return cursor === first || cursor - first > 16 ? MALFORMED : value;
}

function isByteRange(start: number, end: number | undefined, total: number | undefined): boolean {
  if (!Number.isSafeInteger(start) || start < 1) return false;
  if (end !== undefined && (!Number.isSafeInteger(end) || end < start - 1)) return false;
  if (total === undefined) return true;
  return Number.isSafeInteger(total) && (end === undefined || end <= total);
}
