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

/** Makes a frame of the record at `base`, which must be WHOLE (or a HEAD: then `body` is its first piece). */
export function decodeFrame(bytes: Buffer, records: Uint32Array, base: number): Frame {
  const word = (index: number): number => records[base + index] as number;
  const bits = word(R.BITS);
  const parts: FrameParts = {
    tid: bytes.toString('latin1', word(R.TID_START), word(R.TID_END)),
    toPath: readPath(bytes, word(R.TO_START), word(R.TO_END)),
    fromPath: readPath(bytes, word(R.FROM_START), word(R.FROM_END)),
    headers: readHeaders(bytes, word(R.HEADERS_START), word(R.HEADERS_END)),
    body: (bits & BIT.HAS_BODY) === 0 ? undefined : bytes.subarray(word(R.BODY_START), word(R.BODY_END)),
    flag: String.fromCharCode(word(R.FLAG)) as Frame['flag'],
  };
  if ((bits & BIT.RESPONSE) === 0) {
    return { kind: 'request', method: bytes.toString('latin1', word(R.WORD_START), word(R.WORD_END)), ...parts };
  }
  const comment =
    (bits & BIT.COMMENT) === 0 ? undefined : bytes.toString('utf8', word(R.WORD_END) + 1, word(R.LINE_END));
  return { kind: 'response', status: word(R.METHOD), comment, ...parts };
}

/** URI texts of a path value that has been checked. */
export function readPath(bytes: Buffer, from: number, to: number): string[] {
  return parsePath(bytes.toString('latin1', from, to), 0, false) ?? [];
}

/** Headers of lines that have been checked: `bytes[from..to)` holds whole lines. */
export function readHeaders(bytes: Buffer, from: number, to: number): Header[] {
  const headers: Header[] = [];
  let line = from;
  while (line < to) {
    const end = bytes.indexOf(10, line) - 1;
    const colon = bytes.indexOf(58, line);
    headers.push([
      bytes.toString('latin1', line, colon),
      bytes.toString('utf8', colon + 1, end).replace(/^[ \t]+|[ \t]+$/g, ''),
    ]);
    line = end + 2;
  }
  return headers;
}

/** Value of the first header of that name, whatever its case. */
export function headerValue(headers: readonly Header[], name: string): string | undefined {
  const lower = name.toLowerCase();
  return headers.find(([key]) => key.toLowerCase() === lower)?.[1];
}
