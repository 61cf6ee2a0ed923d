/** An element of DER (X.690): its tag and its content. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** Tags that certificates and revocation lists are made of. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  objectId: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** `[0]` of a constructed type. */
  context0: 0xa0,
} as const;

/** Reads elements one behind the other. Throws a plain Error where there is none, or not the expected one. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which has one of these tags. */
  next(...tags: readonly number[]): Element {
    const [tag, first] = [this.#bytes[this.#at], this.#bytes[this.#at + 1]];
    if (tag === undefined || first === undefined || (tags.length > 0 && !tags.includes(tag)))
      throw new Error(`at octet ${this.#at}: unexpected element`);
    // Short form: the length. Long form: how many octets the length has.
    const octets = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || octets > 4) throw new Error(`at octet ${this.#at}: bad length`);
    const from = this.#at + 2 + octets;
    if (from > this.#bytes.length) throw new Error(`at octet ${this.#at}: cut off`);
    const length = octets === 0 ? first : this.#bytes.readUIntBE(this.#at + 2, octets);
    if (from + length > this.#bytes.length) throw new Error(`at octet ${this.#at}: cut off`);
    this.#at = from + length;
    return { tag, content: this.#bytes.subarray(from, this.#at) };
  }

  /** A reader of what is in the next element. */
  enter(...tags: readonly number[]): DerReader {
    return new DerReader(this.next(...tags).content);
  }
}
