/**
 * The frame record: what a framer says about the bytes it was shown, as numbers in a caller-owned `Uint32Array`.
 *
 * Every record has {@link RECORD_WORDS} words. Offsets are absolute in the scanned buffer; a pair `X_START`, `X_END`
 * delimits the value of a header without the white space around it, and both are 0 when the header is absent.
 *
 * ```
 * START                    LINE_END   TO_START..TO_END   FROM_START..FROM_END
 * │                        │          │                  │
 * MSRP tid SEND \r\n To-Path: msrp://… \r\n From-Path: msrp://… \r\n
 *      └TID┘└WORD┘
 * Message-ID: …\r\n … Content-Type: …\r\n  \r\n  body…  \r\n-------tid$\r\n
 * │                                        │     │    │                │└ FLAG before END
 * HEADERS_START                  HEADERS_END  BODY_START..BODY_END     END
 * ```
 */
export const RECORD_WORDS = 52;

/** Word indices of a record. */
export const R = {
  /** One of {@link KIND}. */
  KIND: 0,
  /** Bits of {@link BIT}. */
  BITS: 1,
  START: 2,
  /** First byte behind the frame (whole, end), or behind the piece of the body (head, body). */
  END: 3,
  TID_START: 4,
  TID_END: 5,
  /** Third word of the start line: method or status code. */
  WORD_START: 6,
  WORD_END: 7,
  /** Offset of the CRLF of the start line. */
  LINE_END: 8,
  /** One of {@link METHOD} of a request, the status code of a response. */
  METHOD: 9,
  TO_START: 10,
  TO_END: 11,
  FROM_START: 12,
  FROM_END: 13,
  /** First header line behind To-Path and From-Path (behind whichever comes last, when they are misplaced). */
  HEADERS_START: 14,
  /** Empty line, or end-line of a frame without a body. */
  HEADERS_END: 15,
  BODY_START: 16,
  BODY_END: 17,
  /** Continuation flag, as a byte: `$` `+` `#`; 0 while unknown (head, body). */
  FLAG: 18,
  /** First structural objection: a {@link FRAME_ERROR}, 0 for none. Not fatal: the frame is delimited all the same. */
  ISSUE: 19,
  MESSAGE_ID_START: 20,
  MESSAGE_ID_END: 21,
  SUCCESS_REPORT_START: 22,
  SUCCESS_REPORT_END: 23,
  FAILURE_REPORT_START: 24,
  FAILURE_REPORT_END: 25,
  BYTE_RANGE_START: 26,
  BYTE_RANGE_END: 27,
  STATUS_START: 28,
  STATUS_END: 29,
  CONTENT_TYPE_START: 30,
  CONTENT_TYPE_END: 31,
  EXPIRES_START: 32,
  EXPIRES_END: 33,
  MIN_EXPIRES_START: 34,
  MIN_EXPIRES_END: 35,
  MAX_EXPIRES_START: 36,
  MAX_EXPIRES_END: 37,
  USE_PATH_START: 38,
  USE_PATH_END: 39,
  /** First byte of the Byte-Range header line (not only its value), to replace it when re-chunking. 0: absent. */
  BYTE_RANGE_LINE: 40,
  // From here on: what a decoder adds to WHOLE and HEAD (a framer alone leaves zeros). Its ISSUE is the one that comes first
  // in the order of all checks, structural or not (core D-05).
  /** Session-id of the first URI of To-Path; both 0 when it has none, or when a path is bad. */
  SESSION_START: 41,
  SESSION_END: 42,
  /** Success-Report and, from bit 8 on, Failure-Report: numbers of `REPORT`, with their defaults; 0 for none of them. */
  REPORTS: 43,
  /**
   * Byte-Range as numbers of two words, the lower 32 bits first; upper word {@link STAR}: `*`. When it is
   * absent, and in a frame with an ISSUE: `1-*`/`*`.
   */
  RANGE_START: 44,
  RANGE_END: 46,
  RANGE_TOTAL: 48,
} as const;

/** Upper word of a number that stands for `*`. */
export const STAR = 0xffffffff;

export const KIND = {
  /** A frame that lies whole in the scanned bytes. */
  WHOLE: 1,
  /** The header section of a SEND whose body is passed on as it arrives, with its first piece: BODY_START..BODY_END. */
  HEAD: 2,
  /** A piece of the body of the open SEND: BODY_START..BODY_END. */
  BODY: 3,
  /** The last piece of the body of the open SEND (maybe empty), and its end: FLAG, END. */
  END: 4,
  /** The boundary of frames is lost: ISSUE is the code, START the offset of the offending byte. Nothing follows. */
  ERROR: 5,
} as const;

export const BIT = {
  RESPONSE: 1,
  /** An empty line follows the headers: there is a body, maybe of no octets. */
  HAS_BODY: 2,
  /** To-Path and From-Path lines are byte for byte those of the last frame of the same kind that had NEW_PATHS. */
  SAME_PATHS: 4,
  /** The body holds CRLF and seven hyphens somewhere: another transaction id might collide with it. */
  DASHES: 8,
  /** A header stands behind Content-Type. */
  CONTENT_TYPE_NOT_LAST: 16,
  /** A MIME header (`Content-*`, `MIME-*`) other than Content-Type occurs. */
  MIME_HEADER: 32,
  /** A space follows the status code, so there is a comment, maybe empty. */
  COMMENT: 64,
  /** The paths are in their place, and others than before: later frames of the same kind are compared with these. */
  NEW_PATHS: 128,
} as const;

/** Methods known by number; any other is OTHER. */
export const METHOD = { OTHER: 0, SEND: 1, REPORT: 2, AUTH: 3, NICKNAME: 4 } as const;

/** Numbers of the error codes that a framer raises, and their names in `errors.ts`. */
export const FRAME_ERROR = {
  E_START_LINE: 1,
  E_TID: 2,
  E_METHOD: 3,
  E_STATUS: 4,
  E_LINE_ENDING: 5,
  E_HEADER_CHAR: 6,
  E_HEADER_SYNTAX: 7,
  E_LIMIT: 8,
  E_END_LINE: 9,
  E_RESPONSE_BODY: 10,
  E_PATH_MISSING: 11,
  E_PATH_ORDER: 12,
  E_DUPLICATE_HEADER: 13,
  E_URI: 14,
  E_HEADER_VALUE: 15,
  E_CONTENT: 16,
} as const;

export type FrameErrorName = keyof typeof FRAME_ERROR;

const NAMES = Object.keys(FRAME_ERROR) as FrameErrorName[];

/** Name of a {@link FRAME_ERROR} number (1…16). */
export function frameErrorName(code: number): FrameErrorName {
  const name = NAMES[code - 1];
  if (name === undefined) throw new RangeError(`no frame error ${code}`);
  return name;
}
