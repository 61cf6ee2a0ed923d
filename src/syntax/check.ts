import { BIT, FRAME_ERROR, R } from '../frame/record.ts';
import { ByteRangeReader } from './byte-range.ts';
import { REPORT, isContentType, isMessageId, isSeconds, parseStatus, reportValue } from './header-value.ts';
import { parsePath } from './path.ts';

export interface CheckOptions {
  /** Strict grammar (core D-03). Default false. */
  readonly strict?: boolean;
  /** URIs in one path; 0 is no limit. Default 16 (core D-04). */
  readonly pathUris?: number;
}

/**
 * The checks of a delimited frame that do not decide its boundary (core D-05), in the order of the test vectors: structure,
 * URIs of To-Path and From-Path, other header values in order of appearance, agreement of body and Content-Type.
 *
 * One checker belongs to one byte stream: what it found of the paths holds for the next frame with the same ones.
 */
export class FrameChecker {
  /** Byte-Range of the frame last checked; `1-*`/`*` when it has none. */
  readonly range = new ByteRangeReader();
  /** {@link REPORT} numbers of the frame last checked, with the defaults of RFC 4975 section 7.1.1 (core C-042). */
  successReport: number = REPORT.NO;
  failureReport: number = REPORT.YES;

  readonly #strict: boolean;
  readonly #pathUris: number;
  /** Whether the paths of the last request and of the last response were good. */
  readonly #goodPaths: [boolean, boolean] = [false, false];
  /** The last good one: it seldom changes. */
  #contentType: string | undefined;

  constructor(options: CheckOptions = {}) {
    this.#strict = options.strict ?? false;
    this.#pathUris = options.pathUris ?? 16;
  }

  /** Checks the frame (or head) of the record at `base`; a {@link FRAME_ERROR} number, 0 when nothing is wrong. */
  check(bytes: Buffer, records: Uint32Array, base: number): number {
    const issue = records[base + R.ISSUE] as number;
    const bits = records[base + R.BITS] as number;
    const kind = bits & BIT.RESPONSE;
    this.range.start = 1;
    this.range.end = this.range.total = -1;
    // Who may be answered depends on these even when the rest is wrong.
    this.#reports(bytes, records, base);
    // Bad paths that are not in their place are no measure for the frames that follow.
    if ((bits & BIT.NEW_PATHS) !== 0) this.#goodPaths[kind] = this.#pathsAreGood(bytes, records, base);
    if (issue !== 0) return issue;
    if (!this.#goodPaths[kind]) return FRAME_ERROR.E_URI;
    const bad = this.#values(bytes, records, base);
    return bad !== 0 ? bad : this.#content(bits, records, base);
  }

  /** Success-Report and Failure-Report, with their defaults; 0 for a value that is none. */
  #reports(bytes: Buffer, records: Uint32Array, base: number): void {
    const success = records[base + R.SUCCESS_REPORT_END] as number;
    const failure = records[base + R.FAILURE_REPORT_END] as number;
    this.successReport =
      success === 0 ? REPORT.NO : reportValue(bytes, records[base + R.SUCCESS_REPORT_START] as number, success);
    this.failureReport =
      failure === 0 ? REPORT.YES : reportValue(bytes, records[base + R.FAILURE_REPORT_START] as number, failure);
  }

  #pathsAreGood(bytes: Buffer, records: Uint32Array, base: number): boolean {
    return (
      this.#isPath(bytes, records[base + R.TO_START] as number, records[base + R.TO_END] as number) &&
      this.#isPath(bytes, records[base + R.FROM_START] as number, records[base + R.FROM_END] as number)
    );
  }

  #isPath(bytes: Buffer, from: number, to: number): boolean {
    return parsePath(bytes.toString('latin1', from, to), this.#pathUris, this.#strict) !== undefined;
  }

  /** Header values. The only one that is no E_HEADER_VALUE is Use-Path, so order matters for that one alone. */
  #values(bytes: Buffer, records: Uint32Array, base: number): number {
    const usePath = records[base + R.USE_PATH_END] as number;
    const badUsePath = usePath !== 0 && !this.#isPath(bytes, records[base + R.USE_PATH_START] as number, usePath);
    const bad = this.#firstBadValue(bytes, records, base);
    if (badUsePath && (bad === 0 || (records[base + R.USE_PATH_START] as number) < bad)) return FRAME_ERROR.E_URI;
    return bad === 0 ? 0 : FRAME_ERROR.E_HEADER_VALUE;
  }

  /** Offset of the first bad value, 0 for none. */
  #firstBadValue(bytes: Buffer, records: Uint32Array, base: number): number {
    let bad = 0;
    let to = records[base + R.MESSAGE_ID_END] as number;
    if (to !== 0 && !isMessageId(bytes, records[base + R.MESSAGE_ID_START] as number, to, this.#strict)) {
      bad = earlier(bad, records[base + R.MESSAGE_ID_START] as number);
    }
    if (this.successReport === 0 || this.successReport === REPORT.PARTIAL) {
      bad = earlier(bad, records[base + R.SUCCESS_REPORT_START] as number);
    }
    if (this.failureReport === 0) bad = earlier(bad, records[base + R.FAILURE_REPORT_START] as number);
    to = records[base + R.BYTE_RANGE_END] as number;
    if (to !== 0 && !this.range.read(bytes, records[base + R.BYTE_RANGE_START] as number, to)) {
      bad = earlier(bad, records[base + R.BYTE_RANGE_START] as number);
    }
    to = records[base + R.STATUS_END] as number;
    if (to !== 0 && parseStatus(bytes.toString('latin1', records[base + R.STATUS_START], to)) === undefined) {
      bad = earlier(bad, records[base + R.STATUS_START] as number);
    }
    to = records[base + R.CONTENT_TYPE_END] as number;
    if (to !== 0) {
      const text = bytes.toString('utf8', records[base + R.CONTENT_TYPE_START], to);
      if (text !== this.#contentType) {
        if (isContentType(text, this.#strict)) this.#contentType = text;
        else bad = earlier(bad, records[base + R.CONTENT_TYPE_START] as number);
      }
    }
    for (let word: number = R.EXPIRES_START; word <= R.MAX_EXPIRES_START; word += 2) {
      to = records[base + word + 1] as number;
      if (to !== 0 && !isSeconds(bytes.toString('latin1', records[base + word], to))) {
        bad = earlier(bad, records[base + word] as number);
      }
    }
    return bad;
  }

  #content(bits: number, records: Uint32Array, base: number): number {
    const contentType = records[base + R.CONTENT_TYPE_START] !== 0;
    if ((bits & BIT.HAS_BODY) !== 0) {
      if (!contentType) return FRAME_ERROR.E_CONTENT;
      return this.#strict && (bits & BIT.CONTENT_TYPE_NOT_LAST) !== 0 ? FRAME_ERROR.E_CONTENT : 0;
    }
    return this.#strict && (contentType || (bits & BIT.MIME_HEADER) !== 0) ? FRAME_ERROR.E_CONTENT : 0;
  }
}

function earlier(bad: number, at: number): number {
  return bad === 0 ? at : Math.min(bad, at);
}
