/* Made from native/addon/src by `npm run addon:types`. */

/** What a framer is made with; numbers as in `FramerOptions` of `src/frame/framer.ts`. Limits: 0 is no limit. */
export interface FramerSettings {
  /** Strict grammar instead of the tolerant profile. */
  strict: boolean
  /** Content of one line, in bytes. */
  lineBytes: number
  /** Header lines of one frame. */
  headerLines: number
  /** Header section, in bytes. */
  headerBytes: number
  /** Body of any frame but SEND, in bytes. */
  nonSendBodyBytes: number
  /** Body octets from which a SEND is streamed; `Infinity`: never. */
  streamAfterBytes: number
  /** URIs in one path. With it the framer decodes, too: all words of a record, and all checks. */
  pathUris?: number
}

/** The framer of one byte stream. */
export declare class Framer {
  /** A framer at the start of a stream. */
  constructor(settings: FramerSettings)
  /**
   * Makes the function that scans `bytes[from..to)` and writes records into `records`, which it keeps alive.
   *
   * It returns `consumed + 2^32 × (pending + 2 × streaming + 4 × count)`, or a negative code when it has done nothing:
   * −1 an argument is not of its type, or `bytes` lies in shared memory; −2 not `from ≤ to ≤ bytes.length`; −3 `records` is
   * gone or shares memory with `bytes`; −4 a scan is under way; −5 a fault of the addon. At most 65,536 records a call.
   */
  scanInto(records: Uint32Array): (bytes: Uint8Array, from: number, to: number) => number
  /** Drops the paths remembered of earlier frames. */
  forget(): void
}

/** Version of the binding and of the frame record, to be compared with that of `src/addon/contract.ts`. */
export declare function abiVersion(): number

/** Version of the addon, that of the package it belongs to. */
export declare function version(): string
