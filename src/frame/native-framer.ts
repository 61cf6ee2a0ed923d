import { DEFAULT_FRAME_LIMITS, STREAM_AFTER_BYTES } from './framer.ts';
import type { Framer, FramerOptions } from './framer.ts';

/** Class of the addon: the framer of one byte stream. */
export type AddonFramerClass = new (settings: AddonFramerSettings) => AddonFramer;

export interface AddonFramer {
  /** Makes the function that scans into `records`. */
  scanInto(records: Uint32Array): AddonScan;
  forget(): void;
}

/**
 * Scans `bytes[from..to)`. Returns `consumed + 2^32 × (pending + 2 × streaming + 4 × count)`: one number, since it is what
 * costs least to hand over. A negative one is a code of {@link SCAN_ERROR}, and nothing was done.
 */
export type AddonScan = (bytes: Uint8Array, from: number, to: number) => number;

interface AddonFramerSettings {
  strict: boolean;
  lineBytes: number;
  headerLines: number;
  headerBytes: number;
  nonSendBodyBytes: number;
  streamAfterBytes: number;
  /** Given: it decodes, too. */
  pathUris?: number;
}

/** Why the addon refuses a scan. */
export const SCAN_ERROR = {
  /** Not a Uint8Array, not a number, or memory that is shared with other threads. */
  ARGUMENT: -1,
  /** Not `from ≤ to ≤ bytes.length`. */
  RANGE: -2,
  /** The records were detached or cut short, or lie in the same memory as the bytes. */
  RECORDS: -3,
  /** A scan of this framer is under way. */
  BUSY: -4,
  /** The addon has a fault; it was caught. */
  FAULT: -5,
} as const;

/**
 * The framer of the addon. Throws a RangeError for arguments that {@link TsFramer} would misread: bounds beyond the bytes,
 * records that are gone.
 */
export class NativeFramer implements Framer {
  consumed = 0;
  pending = false;
  streaming = false;

  readonly #framer: AddonFramer;
  /** The records that `#scan` writes to: nearly always the same array, so it crosses the border once. */
  #records: Uint32Array | undefined;
  #scan: AddonScan = () => SCAN_ERROR.RECORDS;

  /** With `pathUris` it decodes, too. */
  constructor(addon: AddonFramerClass, options: FramerOptions & { readonly pathUris?: number } = {}) {
    const { strict = false, limits = DEFAULT_FRAME_LIMITS, streamAfterBytes = STREAM_AFTER_BYTES, pathUris } = options;
    this.#framer = new addon({
      strict,
      ...limits,
      streamAfterBytes,
      ...(pathUris === undefined ? {} : { pathUris }),
    });
  }

  scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    if (records !== this.#records) {
      this.#scan = this.#framer.scanInto(records);
      this.#records = records;
    }
    const result = this.#scan(bytes, from, to);
    if (result < 0) throw refusal(result);
    this.consumed = result >>> 0;
    const rest = (result - this.consumed) / 0x1_0000_0000;
    this.pending = (rest & 1) !== 0;
    this.streaming = (rest & 2) !== 0;
    return rest >>> 2;
  }

  forget(): void {
    this.#framer.forget();
  }
}

function refusal(code: number): Error {
  const name = Object.entries(SCAN_ERROR).find(([, value]) => value === code)?.[0];
  const text = `the native framer refuses a scan: ${name ?? code}`;
  return code === SCAN_ERROR.FAULT ? new Error(text) : new RangeError(text);
}
