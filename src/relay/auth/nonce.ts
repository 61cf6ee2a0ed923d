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
  /** Nonces that were used, by what they are bound to. */
  readonly #used = new Map<string, UsedNonces>();

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
    const bytes = Buffer.from(nonce, 'base64url');
    // A text of its own: a part of the request's would keep all of it.
    const key = bytes.toString('latin1');
    let nonces = this.#used.get(binding);
    if (nonces === undefined) {
      nonces = new UsedNonces();
      this.#used.set(binding, nonces);
    }
    const used = nonces.get(key);
    if (used !== undefined) {
      if (count <= used.count) return false;
      used.count = count;
      return true;
    }
    const most = binding === '' ? MAX_USED : MAX_USED_OF_CONNECTION;
    if (nonces.size >= most) nonces.forgetOldest((bornMs) => this.#isOver(bornMs));
    if (nonces.size >= most) return false;
    nonces.add({ key, count, bornMs: this.#bornMs(bytes) });
    return true;
  }

  /** Forgets the counts of nonces that are bound to what has gone: no nonce of it is good any more. */
  forget(binding: string): void {
    this.#used.delete(binding);
  }

  /** Forgets the counts of nonces whose time is over. */
  sweep(): void {
    for (const [binding, nonces] of this.#used) {
      nonces.forget((bornMs) => this.#isOver(bornMs));
      if (nonces.size === 0) this.#used.delete(binding);
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
  readonly key: string;
  /** The highest one that was used. */
  count: number;
  readonly bornMs: number;
}

/** Used nonces in the order of their first use. Most connections use one: that needs no map. */
class UsedNonces {
  #only: Used | undefined;
  #all: Map<string, Used> | undefined;

  get size(): number {
    return this.#all?.size ?? (this.#only === undefined ? 0 : 1);
  }

  get(key: string): Used | undefined {
    return this.#all?.get(key) ?? (this.#only?.key === key ? this.#only : undefined);
  }

  add(used: Used): void {
    if (this.size === 0 && this.#all === undefined) {
      this.#only = used;
      return;
    }
    this.#all ??= new Map(this.#only === undefined ? [] : [[this.#only.key, this.#only]]);
    this.#only = undefined;
    this.#all.set(used.key, used);
  }

  /** Forgets those that are over. */
  forget(isOver: (bornMs: number) => boolean): void {
    if (this.#only !== undefined && isOver(this.#only.bornMs)) this.#only = undefined;
    for (const [key, { bornMs }] of this.#all ?? []) if (isOver(bornMs)) this.#all?.delete(key);
  }

  /** Forgets those that are over, from the oldest to the first that is not. */
  forgetOldest(isOver: (bornMs: number) => boolean): void {
    if (this.#only !== undefined && isOver(this.#only.bornMs)) this.#only = undefined;
    for (const [key, { bornMs }] of this.#all ?? []) {
      if (!isOver(bornMs)) return;
      this.#all?.delete(key);
    }
  }
}

/** Nonces whose count is kept: a bound on memory, about 20 MB for those of AUTHs that came through relays … */
const MAX_USED = 100_000;
/** … and 2 MB for one connection, enough for an AUTH with a nonce of its own for each session that one may have. */
const MAX_USED_OF_CONNECTION = 10_000;
