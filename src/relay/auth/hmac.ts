import { hash } from 'node:crypto';

/**
 * HMAC-SHA-256 (RFC 2104) under one key, by two hashes of the platform: an object for each code, as `createHmac` makes one, costs
 * twice as much as the hashing, and a storm of AUTHs asks for three codes a session.
 */
export class HmacSha256 {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** The key is at most one block, 64 bytes. */
  constructor(key: Uint8Array) {
    if (key.length > BLOCK_BYTES) throw new RangeError('the key is longer than a block');
    const block = Buffer.alloc(BLOCK_BYTES);
    block.set(key);
    this.#inner = block.map((byte) => byte ^ 0x36) as Buffer;
    this.#outer = block.map((byte) => byte ^ 0x5c) as Buffer;
  }

  /** The code of a message, 32 bytes. */
  of(message: Uint8Array): Buffer {
    const inner = hash('sha256', Buffer.concat([this.#inner, message]), 'buffer');
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'buffer');
  }
}

const BLOCK_BYTES = 64;
