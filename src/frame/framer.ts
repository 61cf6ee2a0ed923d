/** Limits of a framer in bytes and lines (core D-04); 0 is no limit. */
export interface FrameLimits {
  /** Content of one line, CRLF not counted. Default 8192. */
  readonly lineBytes: number;
  /** Header lines with To-Path and From-Path. Default 64. */
  readonly headerLines: number;
  /** Header section: start line and header lines with their CRLF. Default 65536. */
  readonly headerBytes: number;
  /** Body of any frame but SEND. Default 10240. */
  readonly nonSendBodyBytes: number;
}

export const DEFAULT_FRAME_LIMITS: FrameLimits = {
  lineBytes: 8192,
  headerLines: 64,
  headerBytes: 65536,
  nonSendBodyBytes: 10240,
};

/** Smallest piece of a message that a sender may cut (RFC 4975 section 5.1). */
export const STREAM_AFTER_BYTES = 2048;

export interface FramerOptions {
  /** Strict grammar instead of the tolerant profile (core D-03). Default false. */
  readonly strict?: boolean;
  readonly limits?: FrameLimits;
  /**
   * Body octets of a SEND that must be at hand before it is streamed (HEAD, BODY …, END) instead of reported WHOLE.
   * Default {@link STREAM_AFTER_BYTES}. `Infinity`: always WHOLE.
   */
  readonly streamAfterBytes?: number;
}

/**
 * Finds the frames of one byte stream (RFC 4975 section 9, core C-001…C-025). Pure: no clock, no socket, no copy.
 *
 * Both implementations (TypeScript and native) give the same records for the same bytes, however these were split.
 */
export interface Framer {
  /**
   * Scans `bytes[from..to)` and writes records from the start of `records`; returns how many.
   *
   * The scan stops at `to`, when `records` is full, or at an ERROR record; it may stop behind any other record, too, so one
   * that has given records and has not come to `to` is called again. {@link consumed} says up to where the bytes are done
   * with: the caller shows the bytes from there again, with what has arrived since, in the next call (moved to wherever it
   * likes). A framer remembers how far it has looked and does not look at them a second time.
   */
  scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number;

  /** Offset behind the last byte that need not be shown again, after {@link scan}. */
  readonly consumed: number;

  /** True while a header section (or a frame not yet streamed) is incomplete: bytes beyond `consumed` are at hand. */
  readonly pending: boolean;

  /** True between the HEAD and the END record of a SEND. */
  readonly streaming: boolean;

  /** Drops what is remembered of paths: the next frame of each kind that has its paths in place has NEW_PATHS. */
  forget(): void;
}
