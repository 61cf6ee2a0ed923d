import type { Header } from './frame.ts';

/** A request to be written (RFC 4975 section 7.1). Header names and values must not hold CR or LF. */
export interface RequestParts {
  readonly tid: string;
  readonly method: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  /** In order; Content-Type, where there is a body, must be last (core C-016). */
  readonly headers: readonly Header[];
}

/** Start line and headers of a request, up to where the body (with its empty line) or the end-line follows. */
export function encodeHead(request: RequestParts): string {
  let text = `MSRP ${request.tid} ${request.method}\r\n${encodePaths(request.toPath, request.fromPath)}`;
  for (const [name, value] of request.headers) text += `${name}: ${value}\r\n`;
  return text;
}

/** The end-line (core C-019); the CRLF that ends a body is not part of it. */
export function encodeEnd(tid: string, flag: '$' | '+' | '#'): string {
  return `-------${tid}${flag}\r\n`;
}

/** A whole request. With a body its headers must end in Content-Type, and the body must not hold the end-line (core C-031). */
export function encodeRequest(request: RequestParts, body: Uint8Array | undefined, flag: '$' | '+' | '#'): Buffer {
  const head = Buffer.from(body === undefined ? encodeHead(request) : `${encodeHead(request)}\r\n`);
  const end = encodeEnd(request.tid, flag);
  if (body === undefined) return Buffer.concat([head, Buffer.from(end)]);
  return Buffer.concat([head, body, Buffer.from(`\r\n${end}`)]);
}

export interface ResponseParts {
  readonly tid: string;
  readonly status: number;
  readonly comment: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  readonly headers?: readonly Header[];
}

/** A whole response (RFC 4975 section 7.2); never a body, always flag `$` (core C-020). */
export function encodeResponse(response: ResponseParts): string {
  let text = `MSRP ${response.tid} ${response.status}${response.comment === '' ? '' : ` ${response.comment}`}\r\n`;
  text += encodePaths(response.toPath, response.fromPath);
  for (const [name, value] of response.headers ?? []) text += `${name}: ${value}\r\n`;
  return text + encodeEnd(response.tid, '$');
}

function encodePaths(toPath: readonly string[], fromPath: readonly string[]): string {
  return `To-Path: ${toPath.join(' ')}\r\nFrom-Path: ${fromPath.join(' ')}\r\n`;
}
