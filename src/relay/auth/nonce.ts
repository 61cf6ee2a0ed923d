import { timingSafeEqual } from 'node:crypto';
import { HmacSha256 } from './hmac.ts';

/** What a nonce is worth. `stale`: it was ours, and its time is over or its count was used (R-031, D-35). */
export type NonceVerdict = 'good' | 'stale' | 'foreign';

/** Time and randomness of the nonces, passed in. */
export interface NonceEnvironment {
  nowMs(): number;
  random(into: Uint8Array): void;
}

/**
 * Stateless nonces: time, random bytes, and an HMAC over both, the realm and the connection. Any node with the same secret can
 * finish an AUTH that another has begun; kept is only the highest count of nonces that were used, for as long as they live.
 *
 * ```
 * base64url( time 8 │ random 12 │ HMAC-SHA256(secret, time random realm connection) 16 )
 * ```
 */
export class NonceSource {
  readonly #environment: NonceEnvironment;
  readonly #hmac: HmacSha256;
  #lifetimeMs: number;
  /** Nonces born until then stay dead whatever their lifetime becomes: their counts may have been forgotten. */
  #deadBornMs = -Infinity;
  /** Highest count by nonce, oldest first. */
  readonly #counts = new Map<string, { count: number; readonly bornMs: number }>();

  constructor(environment: NonceEnvironment, lifetimeMs: number, secret?: Uint8Array) {
    this.#environment = environment;
    this.#lifetimeMs = lifetimeMs;
    const key = new Uint8Array(32);
    if (secret === undefined) environment.random(key);
    this.#hmac = new HmacSha256(secret ?? key);
  }

  set lifetimeMs(value: number) {
    this.#deadBornMs = Math.max(this.#deadBornMs, this.#environment.nowMs() - this.#lifetimeMs);
    this.#lifetimeMs = value;
  }

  /** A fresh nonce. `binding` names the connection when the AUTH is direct; a nonce is good for that one only. */
  make(realm: string, binding: string): string {
    const parts = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
    parts.writeBigUInt64BE(BigInt(Math.floor(this.#environment.nowMs())));
    this.#environment.random(parts.subarray(TIME_BYTES));
    return Buffer.concat([parts, this.#mac(parts, realm, binding)]).toString('base64url');
  }

  /** Judges a nonce without using it up. */
  check(nonce: string, realm: string, binding: string): NonceVerdict {
    if (nonce.length !== NONCE_LENGTH) return 'foreign';
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES || bytes.toString('base64url') !== nonce)
      return 'foreign';
    const parts = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(bytes.subarray(parts.length), this.#mac(parts, realm, binding))) return 'foreign';
    return this.#isOver(this.#bornMs(bytes)) ? 'stale' : 'good';
  }

  /**
   * Uses a good nonce with that count, which must be higher than any before (replay, D-35). False: seen already, or too many
   * nonces are in use to tell; the answer is a new nonce with `stale=true` both times.
   */
  use(nonce: string, count: number): boolean {
    const used = this.#counts.get(nonce);
    if (used !== undefined) {
      if (count <= used.count) return false;
      used.count = count;
      return true;
    }
    if (this.#counts.size >= MAX_USED) {
      for (const [key, { bornMs }] of this.#counts) {
        // They stand in the order of their first use; those that are over go at the next sweep at the latest.
        if (!this.#isOver(bornMs)) break;
        this.#counts.delete(key);
      }
      if (this.#counts.size >= MAX_USED) return false;
    }
    this.#counts.set(nonce, { count, bornMs: this.#bornMs(Buffer.from(nonce, 'base64url')) });
    return true;
  }

  /** Forgets the counts of nonces whose time is over. */
  sweep(): void {
    for (const [nonce, { bornMs }] of this.#counts) if (this.#isOver(bornMs)) this.#counts.delete(nonce);
  }

  #isOver(bornMs: number): boolean {
    return bornMs <= this.#deadBornMs || bornMs + this.#lifetimeMs <= this.#environment.nowMs();
  }

  #bornMs(bytes: Buffer): number {
    return Number(bytes.readBigUInt64BE());
  }

  #mac(parts: Buffer, realm: string, binding: string): Buffer {
    return this.#hmac.of(Buffer.concat([parts, Buffer.from(`${realm}\0${binding}`)])).subarray(0, MAC_BYTES);
  }
}

const TIME_BYTES = 8;
const RANDOM_BYTES = 12;
const MAC_BYTES = 16;
const NONCE_LENGTH = Math.ceil(((TIME_BYTES + RANDOM_BYTES + MAC_BYTES) * 4) / 3);

/** Nonces whose count is kept: a bound on memory, about 20 MB. */
const MAX_USED = 100_000;
