import type { Framer, FramerOptions } from '../frame/framer.ts';
import { KIND, R, RECORD_WORDS } from '../frame/record.ts';
import { TsFramer } from '../frame/ts-framer.ts';
import { FrameChecker } from './check.ts';

export interface DecoderOptions extends FramerOptions {
  /** URIs in one path; 0 is no limit. Default {@link PATH_URIS} (core D-04). */
  readonly pathUris?: number;
}

export const PATH_URIS = 16;

/** Makes the framer of one byte stream that also decodes: see the words of a record from SESSION_START on. */
export type DecoderFactory = (options: DecoderOptions) => Framer;

/**
 * The framer in TypeScript with the checks of delimited frames (core D-05) in the same call: WHOLE and HEAD records have all
 * words, and an ISSUE that says what is wrong first in the order of all checks.
 */
export class TsDecoder extends TsFramer {
  readonly #checker: FrameChecker;

  constructor(options: DecoderOptions = {}) {
    super(options);
    this.#checker = new FrameChecker(options.strict ?? false, options.pathUris ?? PATH_URIS);
  }

  override scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    const count = super.scan(bytes, from, to, records);
    for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
      if ((records[base + R.KIND] as number) <= KIND.HEAD) this.#checker.check(bytes, records, base);
    }
    return count;
  }
}
