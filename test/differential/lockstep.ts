import type { Framer } from '../../src/frame/framer.ts';
import { KIND, R, RECORD_WORDS } from '../../src/frame/record.ts';

/** Two framers said different things of the same bytes. */
export class Difference extends Error {}

/** What was in the records compared so far. */
export const seen = { kinds: new Set<number>(), issues: new Set<number>(), bits: 0 };

/** Records of one scan: few, so that scans stop because there is no room for more. */
const CAPACITY = 3;
const left = new Uint32Array(CAPACITY * RECORD_WORDS);
const right = new Uint32Array(CAPACITY * RECORD_WORDS);

/**
 * A stream in memory at two places, so that a part shown again is shown at another offset, as it is when a connection moves what
 * is left over to the front of its buffer.
 */
export class Placed {
  readonly bytes: Buffer;
  readonly length: number;
  readonly #second: number;

  constructor(stream: Buffer) {
    this.length = stream.length;
    this.#second = stream.length + SHIFT;
    this.bytes = Buffer.concat([stream, Buffer.alloc(SHIFT, 0x7e), stream]);
  }

  /** Where the stream begins for the scan with that number. */
  base(scan: number): number {
    return (scan & 1) === 0 ? 0 : this.#second;
  }
}

const SHIFT = 5;

/**
 * Shows a stream to both framers, cut at `edges` (ascending, the length of the stream last), and compares all that they say:
 * count, what was consumed, state, every word of every record. Throws a {@link Difference}. Returns whether both have come to
 * the end of a frame, so that another stream may follow.
 */
export function compare(one: Framer, other: Framer, stream: Placed, edges: Iterable<number>): boolean {
  let scans = 0;
  let at = 0;
  let lost = false;
  for (const edge of edges) {
    for (;;) {
      const base = stream.base(scans++);
      left.fill(0xdead);
      right.fill(0xdead);
      const count = one.scan(stream.bytes, base + at, base + edge, left);
      const count2 = other.scan(stream.bytes, base + at, base + edge, right);
      if (count !== count2) throw new Difference(`${count} records and ${count2}, cut at ${edge}`);
      for (let i = 0; i < count * RECORD_WORDS; i++) if (left[i] !== right[i]) throw new Difference(describe(i, edge));
      for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
        seen.kinds.add(left[base + R.KIND] as number);
        seen.issues.add(left[base + R.ISSUE] as number);
        seen.bits |= left[base + R.BITS] as number;
      }
      if (one.consumed !== other.consumed) throw new Difference(`consumed ${one.consumed} and ${other.consumed}`);
      if (one.pending !== other.pending || one.streaming !== other.streaming)
        throw new Difference(
          `pending ${one.pending} and ${other.pending}, streaming ${one.streaming} and ${other.streaming}`,
        );
      const progress = one.consumed - base > at;
      at = one.consumed - base;
      if (count > 0 && left[(count - 1) * RECORD_WORDS + R.KIND] === KIND.ERROR) lost = true;
      if (count === 0 || !progress || at === edge) break;
    }
  }
  return !lost && !one.pending && !one.streaming && at === stream.length;
}

function describe(index: number, edge: number): string {
  const base = index - (index % RECORD_WORDS);
  const name = Object.entries(R).find(([, word]) => word === index - base)?.[0] ?? index - base;
  const row = (words: Uint32Array): string => Array.from(words.subarray(base, base + RECORD_WORDS)).join(' ');
  return `${name} is ${left[index]} and ${right[index]}, cut at ${edge}\n${row(left)}\n${row(right)}`;
}

/** Bytes up to which a stream is cut everywhere. */
export const CUT_EVERYWHERE = 512;

/** Edges behind each of the first {@link CUT_EVERYWHERE} bytes, and at the end. */
export function* cutsEverywhere(length: number): Iterable<number> {
  for (let edge = 1; edge < Math.min(length, CUT_EVERYWHERE); edge++) yield edge;
  yield length;
}

/** Edges of pieces of 1 to 97 bytes. */
export function* pieces(length: number, random: number): Iterable<number> {
  let edge = 0;
  let state = random >>> 0;
  while (edge < length) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    edge = Math.min(length, edge + 1 + ((state >>> 16) % 97));
    yield edge;
  }
}
