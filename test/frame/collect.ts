import { BIT, KIND, R, RECORD_WORDS, frameErrorName } from '../../src/frame/record.ts';
import type { Framer } from '../../src/frame/framer.ts';
import { decodeFrame } from '../../src/syntax/frame.ts';

/** What a stream of bytes came to, whatever the pieces: frames with their whole bodies, and at most one fatal error. */
export interface Collected {
  readonly frames: CollectedFrame[];
  /** Code and offset in the stream. */
  fatal?: { code: string; offset: number };
  /** Bytes at the end that belong to no frame yet. */
  rest: number;
  /** Most bytes that had to be kept between two reads. */
  mostKept: number;
  mostHeld: number;
  scans: number;
}

export interface CollectedFrame {
  readonly text: unknown;
  readonly issue: string;
  body: Buffer | undefined;
  flag: string;
  end: number;
}

/**
 * Feeds a decoder as a connection does: bytes arrive in pieces cut at `cuts`, what is not consumed is moved to the front of the
 * next buffer, at another offset.
 */
export function collect(framer: Framer, bytes: Buffer, cuts: readonly number[]): Collected {
  const records = new Uint32Array(3 * RECORD_WORDS);
  const result: Collected = { frames: [], rest: 0, mostKept: 0, mostHeld: 0, scans: 0 };
  let kept: Buffer = Buffer.alloc(0);
  let streamAt = 0;
  let open: CollectedFrame | undefined;
  const edges = [...new Set([...cuts.filter((cut) => cut > 0 && cut < bytes.length), bytes.length])].sort(
    (a, b) => a - b,
  );
  let before = 0;
  for (const edge of edges) {
    const shift = edge % 5;
    const input = Buffer.concat([Buffer.alloc(shift, 0x7e), kept, bytes.subarray(before, edge)]);
    before = edge;
    let from = shift;
    const base0 = streamAt - shift;
    for (;;) {
      result.scans++;
      const count = framer.scan(input, from, input.length, records);
      for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
        const word = (index: number): number => records[base + index] as number;
        if (word(R.KIND) === KIND.ERROR) {
          result.fatal = { code: frameErrorName(word(R.ISSUE)), offset: base0 + word(R.START) };
          return result;
        }
        const piece = input.subarray(word(R.BODY_START), word(R.BODY_END));
        if (word(R.KIND) === KIND.WHOLE || word(R.KIND) === KIND.HEAD) {
          const issue = word(R.ISSUE);
          const { body: _body, flag: _flag, ...text } = decodeFrame(input, records, base);
          open = {
            text,
            issue: issue === 0 ? '' : frameErrorName(issue),
            body: word(R.BITS) & BIT.HAS_BODY ? Buffer.from(piece) : undefined,
            flag: String.fromCharCode(word(R.FLAG)),
            end: base0 + word(R.END),
          };
          result.frames.push(open);
        } else if (open !== undefined) {
          open.body = Buffer.concat([open.body ?? Buffer.alloc(0), piece]);
          if (word(R.KIND) === KIND.END) {
            open.flag = String.fromCharCode(word(R.FLAG));
            open.end = base0 + word(R.END);
          }
        }
      }
      if (framer.consumed < from) throw new Error('consumed went backwards');
      const progress = framer.consumed > from;
      from = framer.consumed;
      if (from === input.length || count === 0 || !progress) break;
    }
    kept = Buffer.from(input.subarray(from));
    streamAt = base0 + from;
    if (framer.streaming) result.mostHeld = Math.max(result.mostHeld, kept.length);
    else result.mostKept = Math.max(result.mostKept, kept.length);
    if (framer.pending !== (kept.length > 0 && !framer.streaming)) throw new Error('pending is wrong');
  }
  result.rest = kept.length;
  return result;
}

/** Every offset of a stream. */
export function everywhere(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length }, (_, i) => i);
}
