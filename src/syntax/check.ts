import { BIT, FRAME_ERROR, R } from '../frame/record.ts';
import { putByteRange, putNoByteRange } from './byte-range.ts';
import {
  REPORT,
  failureReportOf,
  isContentType,
  isMessageId,
  isSeconds,
  parseStatus,
  reportValue,
} from './header-value.ts';
import { parsePath } from './path.ts';

/**
 * The checks of a delimited frame that do not decide its boundary (core D-05), in the order of the test vectors: structure,
 * URIs of To-Path and From-Path, other header values in order of appearance, agreement of body and Content-Type.
 *
 * One checker belongs to one byte stream: what it found of the paths holds for the next frame with the same ones.
 */
export class FrameChecker {
  readonly #strict: boolean;
  readonly #pathUris: number;
  /** Of the last request and the last response with NEW_PATHS. */
  readonly #paths: readonly [CheckedPaths, CheckedPaths] = [
    { good: false, session: 0, sessionEnd: 0 },
    { good: false, session: 0, sessionEnd: 0 },
  ];
  /** The last good one: it seldom changes. */
  #contentType = NOTHING;
  /** −1: there was none. */
  #contentTypeLength = -1;

  constructor(strict: boolean, pathUris: number) {
    this.#strict = strict;
    this.#pathUris = pathUris;
  }

  /** Checks the frame (or head) of the record at `base`: fills its words from SESSION_START on, and its final ISSUE. */
  check(bytes: Buffer, records: Uint32Array, base: number): void {
    const bits = records[base + R.BITS] as number;
    const paths = this.#paths[bits & BIT.RESPONSE] as CheckedPaths;
    // Who may be answered depends on these even when the rest is wrong.
    records[base + R.REPORTS] = reportsOf(bytes, records, base);
    // Paths that are not in their place are no measure for the frames that follow.
    if ((bits & BIT.NEW_PATHS) !== 0) this.#newPaths(bytes, records, base, paths);
    const inPlace = (bits & (BIT.NEW_PATHS | BIT.SAME_PATHS)) !== 0;
    if (inPlace && paths.good && paths.sessionEnd !== 0) {
      const to = records[base + R.TO_START] as number;
      records[base + R.SESSION_START] = to + paths.session;
      records[base + R.SESSION_END] = to + paths.sessionEnd;
    }
    let issue = records[base + R.ISSUE] as number;
    if (issue === 0) issue = paths.good ? this.#values(bytes, records, base) : FRAME_ERROR.E_URI;
    if (issue === 0) issue = this.#content(bits, records, base);
    if (issue === 0) return;
    records[base + R.ISSUE] = issue;
    putNoByteRange(records, base + R.RANGE_START);
  }

  #newPaths(bytes: Buffer, records: Uint32Array, base: number, paths: CheckedPaths): void {
    const start = records[base + R.TO_START] as number;
    const end = records[base + R.TO_END] as number;
    paths.good =
      this.#isPath(bytes, start, end) &&
      this.#isPath(bytes, records[base + R.FROM_START] as number, records[base + R.FROM_END] as number);
    paths.session = paths.sessionEnd = 0;
    if (!paths.good) return;
    // Of a good URI: what stands between the first slash of its own behind `//` and the next semicolon, if there is one.
    let at = bytes.indexOf(SLASH, start) + 2;
    while (at < end && bytes[at] !== SPACE && bytes[at] !== SLASH) at++;
    if (at === end || bytes[at] === SPACE) return;
    paths.session = at + 1 - start;
    paths.sessionEnd = bytes.indexOf(SEMICOLON, at) - start;
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

  /** Offset of the first bad value, 0 for none. Byte-Range becomes numbers on the way. */
  #firstBadValue(bytes: Buffer, records: Uint32Array, base: number): number {
    let bad = firstBadReport(records, base);
    let to = records[base + R.MESSAGE_ID_END] as number;
    if (to !== 0 && !isMessageId(bytes, records[base + R.MESSAGE_ID_START] as number, to, this.#strict)) {
      bad = earlier(bad, records[base + R.MESSAGE_ID_START] as number);
    }
    to = records[base + R.BYTE_RANGE_END] as number;
    const start = records[base + R.BYTE_RANGE_START] as number;
    if (to === 0) putNoByteRange(records, base + R.RANGE_START);
    else if (!putByteRange(bytes, start, to, records, base + R.RANGE_START)) bad = earlier(bad, start);
    to = records[base + R.STATUS_END] as number;
    if (to !== 0 && parseStatus(bytes.toString('latin1', records[base + R.STATUS_START], to)) === undefined) {
      bad = earlier(bad, records[base + R.STATUS_START] as number);
    }
    to = records[base + R.CONTENT_TYPE_END] as number;
    if (to !== 0 && !this.#isContentType(bytes, records[base + R.CONTENT_TYPE_START] as number, to)) {
      bad = earlier(bad, records[base + R.CONTENT_TYPE_START] as number);
    }
    for (let word: number = R.EXPIRES_START; word <= R.MAX_EXPIRES_START; word += 2) {
      to = records[base + word + 1] as number;
      if (to !== 0 && !isSeconds(bytes.toString('latin1', records[base + word], to))) {
        bad = earlier(bad, records[base + word] as number);
      }
    }
    return bad;
  }

  #isContentType(bytes: Buffer, from: number, to: number): boolean {
    const length = to - from;
    if (length === this.#contentTypeLength) {
      let same = 0;
      while (same < length && bytes[from + same] === this.#contentType[same]) same++;
      if (same === length) return true;
    }
    if (!isContentType(bytes.toString('utf8', from, to), this.#strict)) return false;
    if (length > MEMORABLE_BYTES) return true;
    if (this.#contentType.length < length) this.#contentType = new Uint8Array(MEMORABLE_BYTES);
    this.#contentType.set(bytes.subarray(from, to));
    this.#contentTypeLength = length;
    return true;
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

/** What was found of a To-Path and its From-Path; the session-id relative to the start of To-Path's value, 0 for none. */
interface CheckedPaths {
  good: boolean;
  session: number;
  sessionEnd: number;
}

/** Success-Report and Failure-Report, with the defaults of RFC 4975 section 7.1.1 (core C-042). */
function reportsOf(bytes: Buffer, records: Uint32Array, base: number): number {
  const success = records[base + R.SUCCESS_REPORT_END] as number;
  const failure = records[base + R.FAILURE_REPORT_END] as number;
  return (
    (success === 0 ? REPORT.NO : reportValue(bytes, records[base + R.SUCCESS_REPORT_START] as number, success)) |
    ((failure === 0 ? REPORT.YES : reportValue(bytes, records[base + R.FAILURE_REPORT_START] as number, failure)) << 8)
  );
}

/** Offset of the first bad one of both, 0 for none. Only Failure-Report may be `partial`. */
function firstBadReport(records: Uint32Array, base: number): number {
  const success = (records[base + R.REPORTS] as number) & 0xff;
  let bad = 0;
  if (success === 0 || success === REPORT.PARTIAL) bad = records[base + R.SUCCESS_REPORT_START] as number;
  if (failureReportOf(records, base) === 0) bad = earlier(bad, records[base + R.FAILURE_REPORT_START] as number);
  return bad;
}

/** The smaller of an offset, 0 for none, and another one. */
function earlier(bad: number, at: number): number {
  return bad === 0 ? at : Math.min(bad, at);
}

const SPACE = 0x20;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const NOTHING = new Uint8Array(0);
/** Longest Content-Type that is remembered. */
const MEMORABLE_BYTES = 128;
