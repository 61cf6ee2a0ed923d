import { BIT, R } from '../frame/record.ts';
import { parsePath } from './path.ts';

/** A header as received: name in its own spelling, value without the white space around it. */
export type Header = readonly [name: string, value: string];

/** What requests and responses have in common. */
interface FrameParts {
  readonly tid: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  /** All headers after To-Path and From-Path, in order. */
  readonly headers: readonly Header[];
  /** The body, a view of the parsed bytes; undefined when there is none (which differs from an empty one, core C-018). */
  readonly body: Buffer | undefined;
  readonly flag: '$' | '+' | '#';
}

/** A request (RFC 4975 section 9). */
export interface RequestFrame extends FrameParts {
  readonly kind: 'request';
  readonly method: string;
}

/** A response. Its comment is undefined when no space follows the code. */
export interface ResponseFrame extends FrameParts {
  readonly kind: 'response';
  readonly status: number;
  readonly comment: string | undefined;
}

export type Frame = RequestFrame | ResponseFrame;

/**
 * Makes a frame of the record at `base`, which must be WHOLE (or a HEAD: then `body` is its first piece).
 *
 * Its head becomes one text, and the fields are parts of it: a call for each field costs several times as much.
 */
export function decodeFrame(bytes: Buffer, records: Uint32Array, base: number): Frame {
  const word = (index: number): number => records[base + index] as number;
  const start = word(R.START);
  const head = bytes.toString('latin1', start, word(R.HEADERS_END));
  const text = (from: number, to: number): string => head.slice(word(from) - start, word(to) - start);
  const bits = word(R.BITS);
  // The paths of a frame without an issue have been checked; of others, only good ones are told.
  const path = word(R.ISSUE) === 0 ? splitPath : goodPath;
  const parts: FrameParts = {
    tid: text(R.TID_START, R.TID_END),
    toPath: path(text(R.TO_START, R.TO_END)),
    fromPath: path(text(R.FROM_START, R.FROM_END)),
    headers: headersOf(head, word(R.HEADERS_START) - start, bytes, start),
    body: (bits & BIT.HAS_BODY) === 0 ? undefined : bytes.subarray(word(R.BODY_START), word(R.BODY_END)),
    flag: String.fromCharCode(word(R.FLAG)) as Frame['flag'],
  };
  if ((bits & BIT.RESPONSE) === 0) return { kind: 'request', method: text(R.WORD_START, R.WORD_END), ...parts };
  const comment =
    (bits & BIT.COMMENT) === 0 ? undefined : bytes.toString('utf8', word(R.WORD_END) + 1, word(R.LINE_END));
  return { kind: 'response', status: word(R.METHOD), comment, ...parts };
}

/** URI texts of a path value, none when it is bad. */
export function readPath(bytes: Buffer, from: number, to: number): string[] {
  return goodPath(bytes.toString('latin1', from, to));
}

/** Headers of lines that have been checked: `bytes[from..to)` holds whole lines. */
export function readHeaders(bytes: Buffer, from: number, to: number): Header[] {
  return headersOf(bytes.toString('latin1', from, to), 0, bytes, from);
}

/** Headers of `lines` from `from` on, which stand in `bytes` at `offset`. */
function headersOf(lines: string, from: number, bytes: Buffer, offset: number): Header[] {
  const headers: Header[] = [];
  const isAscii = !NON_ASCII.test(lines);
  let line = from;
  while (line < lines.length) {
    const end = lines.indexOf('\r\n', line);
    const colon = lines.indexOf(':', line);
    let first = colon + 1;
    let last = end;
    while (first < last && isBlank(lines.charCodeAt(first))) first++;
    while (last > first && isBlank(lines.charCodeAt(last - 1))) last--;
    const value = isAscii ? lines.slice(first, last) : bytes.toString('utf8', offset + first, offset + last);
    headers.push([lines.slice(line, colon), value]);
    line = end + 2;
  }
  return headers;
}

const NON_ASCII = /[\u0080-\u00ff]/;

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** URI texts of a path value that has been checked. */
function splitPath(value: string): string[] {
  return value.includes(' ') ? value.split(/ +/) : [value];
}

function goodPath(value: string): string[] {
  return parsePath(value, 0, false) ?? [];
}

/** Value of the first header of that name, whatever its case. */
export function headerValue(headers: readonly Header[], name: string): string | undefined {
  const lower = name.toLowerCase();
  return headers.find(([key]) => key.toLowerCase() === lower)?.[1];
}
