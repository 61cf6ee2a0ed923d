import { chooseFramer } from '../addon/choose.ts';
import type { EngineWish } from '../addon/choose.ts';
import type { ErrorCode } from '../errors.ts';
import { KIND, R, RECORD_WORDS, frameErrorName } from '../frame/record.ts';
import type { FrameLimits, Framer } from '../frame/framer.ts';
import { decodeFrame } from '../syntax/frame.ts';
import type { Frame } from '../syntax/frame.ts';

/** A frame with where it lies in the input: bytes `start`…`end`. */
export interface ParsedFrame {
  readonly type: 'frame';
  readonly frame: Frame;
  readonly start: number;
  readonly end: number;
}

/** Something that is no frame. Not fatal: bytes `start`…`end` were skipped. Fatal: nothing more can be found. */
export interface ParseError {
  readonly type: 'error';
  readonly code: ErrorCode;
  readonly fatal: boolean;
  /** Of a fatal error, the offset of the offending byte or line. */
  readonly start: number;
  readonly end: number;
}

/** Bytes from `start` on that hold no whole frame. */
export interface IncompleteRest {
  readonly type: 'incomplete';
  readonly start: number;
  readonly end: number;
}

export type ParseResult = ParsedFrame | ParseError | IncompleteRest;

export interface ParseOptions {
  /** Strict grammar instead of the tolerant profile (core D-03). Default false. */
  readonly strict?: boolean;
  /** Default: those of core D-04. */
  readonly limits?: FrameLimits;
  /** `auto` (default): native code where it loads. `native`: throws `E_ADDON` where it does not. Frames are the same. */
  readonly engine?: EngineWish;
}

/**
 * Finds every frame of a capture that lies in memory. Bodies are views of `bytes`; nothing is thrown for bad input.
 *
 * Ends with an IncompleteRest when bytes are left over, or with a fatal ParseError.
 */
export function parse(bytes: Uint8Array, options: ParseOptions = {}): Generator<ParseResult, void, undefined> {
  const { engine = 'auto', ...framing } = options;
  const framer = chooseFramer(engine).make({ ...framing, streamAfterBytes: Infinity });
  return results(framer, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function* results(framer: Framer, input: Buffer): Generator<ParseResult, void, undefined> {
  const records = new Uint32Array(BATCH * RECORD_WORDS);
  let from = 0;
  while (from < input.length) {
    const count = framer.scan(input, from, input.length, records);
    for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
      const start = records[base + R.START] as number;
      if (records[base + R.KIND] === KIND.ERROR) {
        yield {
          type: 'error',
          code: frameErrorName(records[base + R.ISSUE] as number),
          fatal: true,
          start,
          end: input.length,
        };
        return;
      }
      const end = records[base + R.END] as number;
      const issue = records[base + R.ISSUE] as number;
      if (issue === 0) yield { type: 'frame', frame: decodeFrame(input, records, base), start, end };
      else yield { type: 'error', code: frameErrorName(issue), fatal: false, start, end };
    }
    from = framer.consumed;
    if (count === 0) break;
  }
  if (from < input.length) yield { type: 'incomplete', start: from, end: input.length };
}

/** Records of one scan. */
const BATCH = 64;
