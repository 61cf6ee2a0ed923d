/**
 * The one table of errors: each code names the layer that raises it and how it ends.
 *
 * A code ends in exactly one of: `status` (a wire response or REPORT with that code), `close` (the connection is closed
 * with that reason), `refuse` (the process does not start, or the reload is rejected) or `fail` (a library call rejects).
 */
const TABLE = {
  // frame and syntax: categories of the test vectors, core D-05
  E_START_LINE: { layer: 'frame', ends: 'close', text: 'not an MSRP start line' },
  E_TID: { layer: 'frame', ends: 'close', text: 'bad transaction id' },
  E_METHOD: { layer: 'frame', ends: 'close', text: 'bad method' },
  E_STATUS: { layer: 'frame', ends: 'close', text: 'bad status code' },
  E_LINE_ENDING: { layer: 'frame', ends: 'close', text: 'line does not end in CRLF' },
  E_HEADER_CHAR: { layer: 'frame', ends: 'close', text: 'forbidden byte in a header line' },
  E_HEADER_SYNTAX: { layer: 'frame', ends: 'close', text: 'malformed header line' },
  E_LIMIT: { layer: 'frame', ends: 'close', text: 'frame exceeds a limit' },
  E_END_LINE: { layer: 'frame', ends: 'close', text: 'malformed end-line' },
  E_PATH_MISSING: { layer: 'frame', ends: 'status', status: 400, text: 'To-Path or From-Path missing' },
  E_PATH_ORDER: {
    layer: 'frame',
    ends: 'status',
    status: 400,
    text: 'To-Path and From-Path must come first, in that order',
  },
  E_DUPLICATE_HEADER: { layer: 'frame', ends: 'status', status: 400, text: 'header may occur only once' },
  E_RESPONSE_BODY: { layer: 'frame', ends: 'status', status: 400, text: 'a response has no body' },
  E_URI: { layer: 'syntax', ends: 'status', status: 400, text: 'bad MSRP URI' },
  E_HEADER_VALUE: { layer: 'syntax', ends: 'status', status: 400, text: 'bad header value' },
  E_CONTENT: { layer: 'syntax', ends: 'status', status: 400, text: 'body and Content-Type do not agree' },
  // configuration
  E_CONFIG: { layer: 'config', ends: 'refuse', text: 'configuration is not valid' },
  E_CONFIG_READ: { layer: 'config', ends: 'refuse', text: 'configuration cannot be read' },
  E_LISTEN: { layer: 'listen', ends: 'refuse', text: 'cannot listen' },
  E_CONTROL: { layer: 'control', ends: 'refuse', text: 'control interface cannot be started' },
  E_TLS_MATERIAL: { layer: 'tls', ends: 'refuse', text: 'certificate or key cannot be used' },
  E_USERS: { layer: 'relay', ends: 'refuse', text: 'users file is not valid' },
  E_HOOKS: { layer: 'relay', ends: 'refuse', text: 'hooks module is not valid' },
  E_ADDON: { layer: 'engine', ends: 'refuse', text: 'native code cannot be used' },
  E_ENGINE: { layer: 'engine', ends: 'refuse', text: 'engine cannot run' },
  // endpoint
  E_CONNECT: { layer: 'endpoint', ends: 'fail', text: 'connection failed' },
  E_CLOSED: { layer: 'endpoint', ends: 'fail', text: 'connection closed' },
  E_AUTH: { layer: 'endpoint', ends: 'fail', text: 'authentication failed' },
  E_TIMEOUT: { layer: 'endpoint', ends: 'fail', text: 'no answer in time' },
  E_REFUSED: { layer: 'endpoint', ends: 'fail', text: 'the peer refused the request' },
  E_ABORTED: { layer: 'endpoint', ends: 'fail', text: 'aborted' },
  E_ARGUMENT: { layer: 'endpoint', ends: 'fail', text: 'bad argument' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorLayer = 'frame' | 'syntax' | 'engine' | 'relay' | 'listen' | 'control' | 'tls' | 'config' | 'endpoint';

/** How an error ends. `status`: on the wire; `close`: the connection; `refuse`: start or reload; `fail`: a call rejects. */
export interface ErrorRow {
  readonly layer: ErrorLayer;
  readonly ends: 'status' | 'close' | 'refuse' | 'fail';
  /** Wire status (RFC 4975 section 10) of a row that ends in `status`. */
  readonly status?: number;
  readonly text: string;
}

export type ErrorCode = keyof typeof TABLE;

/** All codes with layer, ending and text. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = TABLE;

/** An error of msrpd with a code from the table. `detail` says what exactly was wrong. */
export class MsrpError extends Error {
  readonly code: ErrorCode;
  readonly layer: ErrorLayer;
  /** Wire status that goes with the error: that of the table, or the one received from the peer. */
  readonly status: number | undefined;
  /** Offset into the input in bytes, where the error has one. */
  readonly offset: number | undefined;

  constructor(code: ErrorCode, detail?: string, options?: { status?: number; offset?: number; cause?: unknown }) {
    const row: ErrorRow = TABLE[code];
    super(
      detail === undefined ? row.text : `${row.text}: ${detail}`,
      options?.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = 'MsrpError';
    this.code = code;
    this.layer = row.layer;
    this.status = options?.status ?? row.status;
    this.offset = options?.offset;
  }
}
