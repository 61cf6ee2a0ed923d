import { timingSafeEqual } from 'node:crypto';
import { HmacSha256 } from './hmac.ts';

/** What a nonce is worth. `stale`: it was ours, and its time is over or its count was used (R-031, D-35). */
export type NonceVerdict = 'good' | 'stale' | 'foreign';

/** What the nonces of a direct AUTH are bound to. Connections are never numbered twice, so these die with theirs. */
export const nonceBinding = (connection: number): string => String(connection);

/** Time and randomness of the nonces, passed in. */
export interface NonceEnvironment {
  nowMs(): number;
  random(into: Uint8Array): void;
}

/**
 * Stateless nonces: time, random bytes, and an HMAC over both, the realm and the connection. Any node with the same secret can
 * finish an AUTH that another has begun; kept is only the highest count of nonces that were used, for as long as they and the
 * connection that they are bound to live.
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
  /** Highest count by nonce, by what the nonces are bound to; oldest first. */
  readonly #counts = new Map<string, Map<string, Used>>();

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
  use(nonce: string, binding: string, count: number): boolean {
    let counts = this.#counts.get(binding);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(binding, counts);
    }
    const used = counts.get(nonce);
    if (used !== undefined) {
      if (count <= used.count) return false;
      used.count = count;
      return true;
    }
    const most = binding === '' ? MAX_USED : MAX_USED_OF_CONNECTION;
    if (counts.size >= most) {
      for (const [key, { bornMs }] of counts) {
        // They stand in the order of their first use; those that are over go at the next sweep at the latest.
        if (!this.#isOver(bornMs)) break;
        counts.delete(key);
      }
      if (counts.size >= most) return false;
    }
    counts.set(nonce, { count, bornMs: this.#bornMs(Buffer.from(nonce, 'base64url')) });
    return true;
  }

  /** Forgets the counts of nonces that are bound to what has gone: no nonce of it is good any more. */
  forget(binding: string): void {
    this.#counts.delete(binding);
  }

  /** Forgets the counts of nonces whose time is over. */
  sweep(): void {
    for (const [binding, counts] of this.#counts) {
      for (const [nonce, { bornMs }] of counts) if (this.#isOver(bornMs)) counts.delete(nonce);
      if (counts.size === 0) this.#counts.delete(binding);
    }
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

interface Used {
  count: number;
  readonly bornMs: number;
}

/** Nonces whose count is kept: a bound on memory, about 20 MB for those of AUTHs that came through relays … */
const MAX_USED = 100_000;
/** … and 2 MB for one connection, enough for an AUTH with a nonce of its own for each session that one may have. */
const MAX_USED_OF_CONNECTION = 10_000;
