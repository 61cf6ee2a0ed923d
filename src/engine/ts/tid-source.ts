import { TID_ALPHABET } from '../../syntax/tid.ts';

/**
 * Transaction ids of forwarded requests:
 *
 * ```
 * SSSSGGrrrrrrrrrrrrrrrr    S slot (24 bits), G generation (12 bits), r random (96 bits)
 * ```
 * Slot and generation lead from a response to its transaction without hashing; the random part keeps a body, whoever wrote
 * it, from holding the id (core C-030, relay ).
 */
export class TidSource {
  readonly #random: (into: Uint8Array) => void;
  readonly #pool = new Uint8Array(8192);
  #left = 0;

  constructor(random: (into: Uint8Array) => void) {
    this.#random = random;
  }

  /** Writes a new id of {@link FORWARD_TID_LENGTH} bytes at `at`. Slot 0 stands for "no transaction". */
  write(into: Buffer, at: number, slot: number, generation: number): void {
    if (this.#left < RANDOM_LENGTH) {
      this.#random(this.#pool);
      this.#left = this.#pool.length;
    }
    // A first character of the last two of the alphabet is not allowed; so many slots there never are.
    into[at] = TID_ALPHABET[(slot >>> 18) & 63] as number;
    into[at + 1] = TID_ALPHABET[(slot >>> 12) & 63] as number;
    into[at + 2] = TID_ALPHABET[(slot >>> 6) & 63] as number;
    into[at + 3] = TID_ALPHABET[slot & 63] as number;
    into[at + 4] = TID_ALPHABET[(generation >>> 6) & 63] as number;
    into[at + 5] = TID_ALPHABET[generation & 63] as number;
    const pool = this.#pool;
    let from = this.#left - RANDOM_LENGTH;
    this.#left = from;
    for (let i = at + 6; i < at + FORWARD_TID_LENGTH; i++)
      into[i] = TID_ALPHABET[(pool[from++] as number) & 63] as number;
  }
}

export const FORWARD_TID_LENGTH = 22;
const RANDOM_LENGTH = 16;
/** Slots that an id can name. */
export const MAX_SLOTS = 62 * 2 ** 18;

/** The slot named by the id at `at`, −1 when it is none of ours. */
export function slotOfTid(bytes: Uint8Array, at: number): number {
  const a = VALUE[bytes[at] as number] as number;
  const b = VALUE[bytes[at + 1] as number] as number;
  const c = VALUE[bytes[at + 2] as number] as number;
  const d = VALUE[bytes[at + 3] as number] as number;
  return (a | b | c | d) < 0 ? -1 : (a << 18) | (b << 12) | (c << 6) | d;
}

const VALUE = new Int8Array(256).fill(-1);
for (const [value, byte] of TID_ALPHABET.entries()) VALUE[byte] = value;
