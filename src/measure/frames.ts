import { KIND, R, RECORD_WORDS, frameErrorName } from '../frame/record.ts';
import type { FrameErrorName } from '../frame/record.ts';
import type { Framer } from '../frame/framer.ts';

/** What a capture holds. */
export interface Content {
  readonly frames: number;
  /** Frames that a check objects to. */
  readonly bad: number;
  /** Offset behind the last whole frame. */
  readonly end: number;
  /** Why nothing can be found behind `end`; undefined: the rest, if there is any, is the beginning of a frame. */
  readonly failure?: FrameErrorName;
}

/** Scans `bytes[0..to)` to its end; returns the number of records. The framer is at the start of a frame before and behind. */
export function scanAll(framer: Framer, bytes: Buffer, to: number, records: Uint32Array): number {
  let count = 0;
  for (let from = 0; from < to; from = framer.consumed) {
    const found = framer.scan(bytes, from, to, records);
    if (found === 0) break;
    count += found;
  }
  return count;
}

/**
 * Frames `bytes` with every framer, and says what they hold. Throws when two of them differ in a word of a record: what is not
 * the same need not be timed.
 */
export function agree(framers: readonly [Framer, ...Framer[]], bytes: Buffer): Content {
  const [first, ...others] = framers;
  const expected = new Uint32Array(BATCH * RECORD_WORDS);
  const actual = new Uint32Array(BATCH * RECORD_WORDS);
  let frames = 0;
  let bad = 0;
  let end = 0;
  while (end < bytes.length) {
    const count = first.scan(bytes, end, bytes.length, expected);
    for (const other of others) {
      compare(count, expected, other.scan(bytes, end, bytes.length, actual), actual, frames);
      if (other.consumed !== first.consumed) throw new Error(`behind frame ${frames + count}: consumed differs`);
    }
    if (count === 0) break;
    for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
      const issue = expected[base + R.ISSUE] as number;
      if (expected[base + R.KIND] === KIND.ERROR) return { frames, bad, end, failure: frameErrorName(issue) };
      frames++;
      if (issue !== 0) bad++;
      end = expected[base + R.END] as number;
    }
  }
  return { frames, bad, end };
}

function compare(count: number, expected: Uint32Array, found: number, actual: Uint32Array, before: number): void {
  if (found !== count) throw new Error(`behind frame ${before}: ${found} records instead of ${count}`);
  for (let i = 0; i < count * RECORD_WORDS; i++) {
    if (actual[i] === expected[i]) continue;
    const frame = before + Math.floor(i / RECORD_WORDS) + 1;
    throw new Error(`frame ${frame}, word ${i % RECORD_WORDS}: ${actual[i]} instead of ${expected[i]}`);
  }
}

/** Records of one call. */
export const BATCH = 128;
