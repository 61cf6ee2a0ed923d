import { EndLineSearch } from './end-line.ts';
import { DEFAULT_FRAME_LIMITS, STREAM_AFTER_BYTES } from './framer.ts';
import type { FrameLimits, Framer, FramerOptions } from './framer.ts';
import {
  BYTE_CLASS,
  CONTROL,
  HIGH,
  IDENT_CHAR,
  LF,
  PLAIN,
  TOKEN_CHAR,
  badUtf8,
  isMimeName,
  knownHeader,
} from './line.ts';
import { BIT, FRAME_ERROR, KIND, METHOD, R, RECORD_WORDS } from './record.ts';

/** Where the framer is in the byte stream. */
const AT = { START_LINE: 0, HEADERS: 1, BODY: 2, STREAM: 3, DEAD: 4 } as const;

/** To-Path and From-Path lines of the last frame of a kind, so that the next with the same ones need not be looked at. */
interface PathBlock {
  bytes: Buffer;
  length: number;
  toStart: number;
  toEnd: number;
  fromStart: number;
  fromEnd: number;
}

/** The framer in TypeScript: one pass over the bytes, nothing allocated for a frame that lies whole in them. */
export class TsFramer implements Framer {
  consumed = 0;
  pending = false;

  readonly #strict: boolean;
  readonly #limits: FrameLimits;
  readonly #streamAfter: number;
  readonly #search = new EndLineSearch();
  /** Paths of the last request and of the last response. */
  readonly #paths: [PathBlock, PathBlock] = [emptyPaths(), emptyPaths()];

  #at: number = AT.START_LINE;
  /** Record of the frame that is not complete yet, with offsets as they were in the last call. */
  #draft = EMPTY;
  #tid = EMPTY_BYTES;
  #tidLength = 0;
  /** Of the frame at hand: mask of known headers seen, first structural objection, header lines. */
  #seen = 0;
  #issue = 0;
  #lines = 0;
  /** Relative to the frame's start: where the current line begins, and the first byte not looked at yet. */
  #line = 0;
  #looked = 0;
  /** Of the current line: first byte that may not stand in it (offset + 1), and whether it has bytes above 0x7f. */
  #control = 0;
  #high = false;

  constructor(options: FramerOptions = {}) {
    this.#strict = options.strict ?? false;
    this.#limits = options.limits ?? DEFAULT_FRAME_LIMITS;
    this.#streamAfter = options.streamAfterBytes ?? STREAM_AFTER_BYTES;
  }

  get streaming(): boolean {
    return this.#at === AT.STREAM;
  }

  forget(): void {
    this.#paths[0].length = this.#paths[1].length = 0;
  }

  scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    const capacity = Math.floor(records.length / RECORD_WORDS);
    let count = 0;
    let at = from;
    this.pending = false;
    while (at < to && count < capacity && this.#at !== AT.DEAD) {
      const base = count * RECORD_WORDS;
      const next =
        this.#at === AT.STREAM ? this.#stream(bytes, at, to, records, base) : this.#frame(bytes, at, to, records, base);
      if (next < 0) {
        this.pending = this.#at !== AT.STREAM;
        if (!this.pending) at = -next - 1;
        break;
      }
      count++;
      at = next;
    }
    this.consumed = at;
    return count;
  }

  /** A piece of a streamed body. Returns the offset behind what was used, or −1 − offset when there is nothing to say. */
  #stream(bytes: Buffer, from: number, to: number, records: Uint32Array, base: number): number {
    const search = this.#search;
    search.search(bytes, from, to, this.#tid, 0, this.#tidLength);
    if (search.found < 0 && search.hold === from) return -1 - from;
    records.fill(0, base, base + RECORD_WORDS);
    records[base + R.BITS] = BIT.HAS_BODY | (search.dashes ? BIT.DASHES : 0);
    records[base + R.START] = from;
    records[base + R.BODY_START] = from;
    if (search.found < 0) {
      records[base + R.KIND] = KIND.BODY;
      records[base + R.BODY_END] = search.hold;
      records[base + R.END] = search.hold;
      return search.hold;
    }
    const end = search.found + 9 + this.#tidLength + 3;
    records[base + R.KIND] = KIND.END;
    records[base + R.BODY_END] = search.found;
    records[base + R.FLAG] = bytes[end - 3] as number;
    records[base + R.END] = end;
    this.#at = AT.START_LINE;
    return end;
  }

  /** A frame from its start. Returns the offset behind it (or behind its head and first piece), −1 when it is incomplete. */
  #frame(bytes: Buffer, start: number, to: number, records: Uint32Array, base: number): number {
    if (this.#at === AT.START_LINE && this.#looked === 0) {
      records.fill(0, base, base + RECORD_WORDS);
      records[base + R.START] = start;
      this.#line = 0;
      this.#control = 0;
      this.#high = false;
      this.#seen = 0;
      this.#issue = 0;
      this.#lines = 0;
    } else this.#restore(start, records, base);

    while (this.#at !== AT.BODY) {
      const lineEnd = this.#lineEnd(bytes, start, to, records, base);
      if (lineEnd === INCOMPLETE) return this.#keep(records, base);
      if (lineEnd === FAILED) return to;
      const line = start + this.#line;
      this.#line = this.#looked = lineEnd + 2 - start;
      let bad: number;
      if (this.#at === AT.START_LINE) {
        bad = this.#startLine(bytes, line, lineEnd, records, base);
        if (bad === 0) this.#knownPaths(bytes, start, to, records, base);
      } else if (lineEnd === line) {
        this.#emptyLine(line, records, base);
        continue;
      } else if (isEndLineStart(bytes, line, lineEnd)) {
        return this.#bodyless(bytes, line, lineEnd, records, base);
      } else bad = this.#header(bytes, line, lineEnd, records, base);
      if (bad !== 0)
        return this.#fail(
          bad,
          this.#control === 0 || bad !== FRAME_ERROR.E_HEADER_CHAR ? line : this.#control - 1,
          records,
          base,
          to,
        );
      this.#control = 0;
      this.#high = false;
    }
    return this.#body(bytes, start, to, records, base);
  }

  /** Looks for the end of the current line; notes bytes that may not stand in it. Returns the offset of its CRLF. */
  #lineEnd(bytes: Buffer, start: number, to: number, records: Uint32Array, base: number): number {
    const line = start + this.#line;
    const limit = this.#limits.lineBytes === 0 ? this.#limits.headerBytes || Infinity : this.#limits.lineBytes;
    let i = start + this.#looked;
    if (this.#at === AT.START_LINE && i < start + PREFIX.length) {
      // Foreign protocols are refused as soon as they show (core D-06).
      const upTo = Math.min(to, start + PREFIX.length);
      for (; i < upTo; i++) {
        if (bytes[i] !== PREFIX[i - start]) return this.#fail(FRAME_ERROR.E_START_LINE, i, records, base, FAILED);
      }
    }
    for (; ; i++) {
      // Nearly every byte is plain: a loop of its own, with nothing else in it.
      while (i < to && BYTE_CLASS[bytes[i] as number] === PLAIN) i++;
      if (i >= to) break;
      const kind = BYTE_CLASS[bytes[i] as number] as number;
      if (kind === HIGH) this.#high = true;
      else if (kind === CONTROL) this.#control ||= i + 1;
      else {
        if (i - line > limit) break;
        if (kind === LF) return this.#fail(FRAME_ERROR.E_LINE_ENDING, i, records, base, FAILED);
        if (i + 1 >= to) break;
        if (bytes[i + 1] !== 10) return this.#fail(FRAME_ERROR.E_LINE_ENDING, i, records, base, FAILED);
        return i;
      }
    }
    if (i - line > limit) return this.#fail(FRAME_ERROR.E_LIMIT, line, records, base, FAILED);
    this.#looked = i - start;
    return INCOMPLETE;
  }

  /** `MSRP SP tid SP (method | code [SP comment])`. Returns an error code or 0. */
  #startLine(bytes: Buffer, line: number, end: number, records: Uint32Array, base: number): number {
    if (this.#badBytes(bytes, line, end)) return FRAME_ERROR.E_HEADER_CHAR;
    const tidStart = line + PREFIX.length;
    let i = tidStart;
    while (i < end && bytes[i] !== 32) i++;
    const tidEnd = i;
    if (tidEnd === tidStart) return FRAME_ERROR.E_START_LINE;
    const length = tidEnd - tidStart;
    if (length < 4 || length > 32 || IDENT_CHAR[bytes[tidStart] as number] !== 3) return FRAME_ERROR.E_TID;
    for (let k = tidStart + 1; k < tidEnd; k++) if (IDENT_CHAR[bytes[k] as number] === 0) return FRAME_ERROR.E_TID;
    const wordStart = tidEnd + 1;
    i = wordStart;
    while (i < end && bytes[i] !== 32) i++;
    if (i <= wordStart) return FRAME_ERROR.E_START_LINE;
    records[base + R.TID_START] = tidStart;
    records[base + R.TID_END] = tidEnd;
    records[base + R.WORD_START] = wordStart;
    records[base + R.WORD_END] = i;
    records[base + R.LINE_END] = end;
    records[base + R.HEADERS_START] = end + 2;
    const first = bytes[wordStart] as number;
    if (first >= 48 && first <= 57) {
      const status = threeDigits(bytes, wordStart, i);
      if (status < 0) return FRAME_ERROR.E_STATUS;
      records[base + R.METHOD] = status;
      records[base + R.BITS] = i < end ? BIT.RESPONSE | BIT.COMMENT : BIT.RESPONSE;
    } else {
      for (let k = wordStart; k < i; k++) {
        const byte = bytes[k] as number;
        if ((byte < 65 || byte > 90) && (byte !== 0x5f || k === wordStart || this.#strict)) return FRAME_ERROR.E_METHOD;
      }
      if (i < end) return FRAME_ERROR.E_START_LINE;
      records[base + R.METHOD] = methodNumber(bytes, wordStart, i);
    }
    this.#at = AT.HEADERS;
    return 0;
  }

  /** Takes To-Path and From-Path over from the frame before when they are byte for byte the same. */
  #knownPaths(bytes: Buffer, start: number, to: number, records: Uint32Array, base: number): void {
    const bits = records[base + R.BITS] as number;
    const paths = this.#paths[bits & BIT.RESPONSE] as PathBlock;
    const at = start + this.#line;
    const { headerBytes, headerLines } = this.#limits;
    if (paths.length === 0 || to - at < paths.length) return;
    if ((headerBytes !== 0 && this.#line + paths.length > headerBytes) || (headerLines !== 0 && headerLines < 2))
      return;
    if (paths.bytes.compare(bytes, at, at + paths.length, 0, paths.length) !== 0) return;
    records[base + R.TO_START] = at + paths.toStart;
    records[base + R.TO_END] = at + paths.toEnd;
    records[base + R.FROM_START] = at + paths.fromStart;
    records[base + R.FROM_END] = at + paths.fromEnd;
    records[base + R.HEADERS_START] = at + paths.length;
    records[base + R.BITS] = bits | BIT.SAME_PATHS;
    this.#seen = 3;
    this.#lines = 2;
    this.#line = this.#looked = at + paths.length - start;
  }

  /** One header line. Returns an error code or 0. */
  #header(bytes: Buffer, line: number, end: number, records: Uint32Array, base: number): number {
    if (this.#badBytes(bytes, line, end)) return FRAME_ERROR.E_HEADER_CHAR;
    const { headerLines, headerBytes } = this.#limits;
    this.#lines++;
    if (headerLines !== 0 && this.#lines > headerLines) return FRAME_ERROR.E_LIMIT;
    if (headerBytes !== 0 && this.#line > headerBytes) return FRAME_ERROR.E_LIMIT;
    let i = line;
    while (i < end && TOKEN_CHAR[bytes[i] as number] === 1) i++;
    const nameEnd = i;
    if (i === line || bytes[i] !== 58 || !isAlpha(bytes[line] as number)) return FRAME_ERROR.E_HEADER_SYNTAX;
    let valueStart = i + 1;
    let valueEnd = end;
    if (this.#strict) {
      if (bytes[valueStart] !== 32) return FRAME_ERROR.E_HEADER_SYNTAX;
      valueStart++;
    } else {
      while (valueStart < end && isBlank(bytes[valueStart] as number)) valueStart++;
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1] as number)) valueEnd--;
    }
    if ((this.#seen & CONTENT_TYPE_BIT) !== 0)
      records[base + R.BITS] = (records[base + R.BITS] as number) | BIT.CONTENT_TYPE_NOT_LAST;
    const known = knownHeader(bytes, line, nameEnd);
    if (known === undefined) {
      if (isMimeName(bytes, line, nameEnd))
        records[base + R.BITS] = (records[base + R.BITS] as number) | BIT.MIME_HEADER;
      return 0;
    }
    if ((this.#seen & known.bit) !== 0) {
      this.#issue = objection(this.#issue, FRAME_ERROR.E_DUPLICATE_HEADER);
      return 0;
    }
    this.#seen |= known.bit;
    if (known.word === 0) return 0;
    records[base + known.word] = valueStart;
    records[base + known.word + 1] = valueEnd;
    if (known.word === R.BYTE_RANGE_START) records[base + R.BYTE_RANGE_LINE] = line;
    else if (known.word === R.TO_START || known.word === R.FROM_START) this.#path(bytes, known.bit, end, records, base);
    return 0;
  }

  /** Order of the paths, and their bytes for {@link #knownPaths}. */
  #path(bytes: Buffer, bit: number, end: number, records: Uint32Array, base: number): void {
    if (this.#lines !== bit) this.#issue = objection(this.#issue, FRAME_ERROR.E_PATH_ORDER);
    records[base + R.HEADERS_START] = end + 2;
    if (bit !== FROM_PATH_BIT || this.#issue !== 0 || this.#seen !== 3) return;
    const bits = records[base + R.BITS] as number;
    records[base + R.BITS] = bits | BIT.NEW_PATHS;
    const from = (records[base + R.LINE_END] as number) + 2;
    const paths = this.#paths[bits & BIT.RESPONSE] as PathBlock;
    const length = end + 2 - from;
    if (paths.bytes.length < length) paths.bytes = Buffer.allocUnsafeSlow(length);
    bytes.copy(paths.bytes, 0, from, from + length);
    paths.length = length;
    paths.toStart = (records[base + R.TO_START] as number) - from;
    paths.toEnd = (records[base + R.TO_END] as number) - from;
    paths.fromStart = (records[base + R.FROM_START] as number) - from;
    paths.fromEnd = (records[base + R.FROM_END] as number) - from;
  }

  #emptyLine(line: number, records: Uint32Array, base: number): void {
    records[base + R.HEADERS_END] = line;
    records[base + R.BODY_START] = line + 2;
    records[base + R.BITS] = (records[base + R.BITS] as number) | BIT.HAS_BODY;
    this.#at = AT.BODY;
    // The CRLF of the empty line may be that of the end-line, too: an empty body (core D-03 f).
    if (!this.#strict) this.#looked -= 2;
  }

  /** The end-line of a frame without a body, at `line..end`. */
  #bodyless(bytes: Buffer, line: number, end: number, records: Uint32Array, base: number): number {
    const tidStart = records[base + R.TID_START] as number;
    const length = (records[base + R.TID_END] as number) - tidStart;
    const flag = bytes[end - 1] as number;
    const bits = records[base + R.BITS] as number;
    const exact =
      end - line === 7 + length + 1 &&
      bytes.compare(bytes, tidStart, tidStart + length, line + 7, line + 7 + length) === 0 &&
      (flag === 0x24 || ((flag === 0x2b || flag === 0x23) && ((bits & BIT.RESPONSE) === 0 || !this.#strict)));
    if (!exact) return this.#fail(FRAME_ERROR.E_END_LINE, line, records, base, end);
    records[base + R.HEADERS_END] = line;
    return this.#whole(flag, end + 2, records, base);
  }

  #body(bytes: Buffer, start: number, to: number, records: Uint32Array, base: number): number {
    const bodyStart = records[base + R.BODY_START] as number;
    const tidStart = records[base + R.TID_START] as number;
    const tidEnd = records[base + R.TID_END] as number;
    const bits = records[base + R.BITS] as number;
    const isSend = (bits & BIT.RESPONSE) === 0 && records[base + R.METHOD] === METHOD.SEND;
    const search = this.#search;
    search.search(bytes, start + this.#looked, to, bytes, tidStart, tidEnd);
    if (search.dashes) records[base + R.BITS] = bits | BIT.DASHES;
    const limit = this.#limits.nonSendBodyBytes;
    const sure = search.found >= 0 ? search.found : search.hold;
    if (!isSend && limit !== 0 && sure - bodyStart > limit) {
      return this.#fail(FRAME_ERROR.E_LIMIT, bodyStart, records, base, to);
    }
    if (search.found >= 0) {
      records[base + R.BODY_END] = Math.max(bodyStart, search.found);
      const rest = search.found + 9 + tidEnd - tidStart;
      const flag = bytes[rest] as number;
      if (this.#strict && (bits & BIT.RESPONSE) !== 0 && flag !== 0x24) {
        return this.#fail(FRAME_ERROR.E_END_LINE, search.found + 2, records, base, to);
      }
      return this.#whole(flag, rest + 3, records, base);
    }
    if (!isSend || search.hold - bodyStart < this.#streamAfter) {
      this.#looked = search.hold - start;
      return this.#keep(records, base);
    }
    records[base + R.KIND] = KIND.HEAD;
    records[base + R.BODY_END] = search.hold;
    records[base + R.END] = search.hold;
    records[base + R.ISSUE] = this.#structure(records, base);
    this.#tidLength = tidEnd - tidStart;
    if (this.#tid.length === 0) this.#tid = new Uint8Array(32);
    this.#tid.set(bytes.subarray(tidStart, tidEnd));
    this.#looked = 0;
    this.#at = AT.STREAM;
    return search.hold;
  }

  #whole(flag: number, end: number, records: Uint32Array, base: number): number {
    records[base + R.KIND] = KIND.WHOLE;
    records[base + R.FLAG] = flag;
    records[base + R.END] = end;
    records[base + R.ISSUE] = this.#structure(records, base);
    this.#looked = 0;
    this.#at = AT.START_LINE;
    return end;
  }

  /** The structural objection that comes first in the order of checks, 0 for none. */
  #structure(records: Uint32Array, base: number): number {
    const bits = records[base + R.BITS] as number;
    if ((bits & BIT.RESPONSE) !== 0 && (bits & BIT.HAS_BODY) !== 0) return FRAME_ERROR.E_RESPONSE_BODY;
    if ((this.#seen & 3) !== 3) return FRAME_ERROR.E_PATH_MISSING;
    return this.#issue;
  }

  #badBytes(bytes: Buffer, line: number, end: number): boolean {
    if (this.#high) {
      const bad = badUtf8(bytes, line, end);
      if (bad >= 0 && (this.#control === 0 || bad < this.#control - 1)) this.#control = bad + 1;
    }
    return this.#control !== 0;
  }

  #fail<T extends number>(code: number, at: number, records: Uint32Array, base: number, result: T): T {
    records.fill(0, base, base + RECORD_WORDS);
    records[base + R.KIND] = KIND.ERROR;
    records[base + R.ISSUE] = code;
    records[base + R.START] = at;
    this.#at = AT.DEAD;
    return result;
  }

  /** Keeps the record of an incomplete frame until more bytes are there. */
  #keep(records: Uint32Array, base: number): number {
    if (this.#draft.length === 0) this.#draft = new Uint32Array(RECORD_WORDS);
    this.#draft.set(records.subarray(base, base + RECORD_WORDS));
    return -1;
  }

  /** Puts the kept record back; the frame may lie elsewhere now. */
  #restore(start: number, records: Uint32Array, base: number): void {
    const draft = this.#draft;
    const moved = start - (draft[R.START] as number);
    records.set(draft, base);
    records[base + R.START] = start;
    if (this.#control !== 0) this.#control += moved;
    if (moved === 0) return;
    for (let word: number = R.TID_START; word <= R.BYTE_RANGE_LINE; word++) {
      if (word === R.METHOD || word === R.FLAG || word === R.ISSUE) continue;
      const value = records[base + word] as number;
      // 0 is "absent": no header value lies at the start of the frame.
      if (value !== 0) records[base + word] = value + moved;
    }
  }
}

const PREFIX = Buffer.from('MSRP ');
const EMPTY = new Uint32Array(0);
const EMPTY_BYTES = new Uint8Array(0);
/** Results of `#lineEnd` that are no offsets. */
const INCOMPLETE = -1;
const FAILED = -2;

const FROM_PATH_BIT = 2;
const CONTENT_TYPE_BIT = 1 << 7;

function emptyPaths(): PathBlock {
  return { bytes: NO_PATHS, length: 0, toStart: 0, toEnd: 0, fromStart: 0, fromEnd: 0 };
}
const NO_PATHS = Buffer.alloc(0);

/** Of two structural objections the one that is checked first: order before duplicates. */
function objection(has: number, adds: number): number {
  return has === 0 ? adds : Math.min(has, adds);
}

function isEndLineStart(bytes: Uint8Array, line: number, end: number): boolean {
  if (bytes[line] !== 0x2d || end - line < 7) return false;
  for (let i = line + 1; i < line + 7; i++) if (bytes[i] !== 0x2d) return false;
  return true;
}

function isAlpha(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}

function threeDigits(bytes: Uint8Array, from: number, to: number): number {
  if (to - from !== 3) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = (bytes[i] as number) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function methodNumber(bytes: Uint8Array, from: number, to: number): number {
  for (const [name, number] of METHODS) {
    if (name.length !== to - from) continue;
    let i = 0;
    while (i < name.length && bytes[from + i] === name[i]) i++;
    if (i === name.length) return number;
  }
  return METHOD.OTHER;
}

const METHODS: readonly (readonly [name: Uint8Array, number: number])[] = [
  [Buffer.from('SEND'), METHOD.SEND],
  [Buffer.from('REPORT'), METHOD.REPORT],
  [Buffer.from('AUTH'), METHOD.AUTH],
  [Buffer.from('NICKNAME'), METHOD.NICKNAME],
];
