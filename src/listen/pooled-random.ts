import { randomFillSync } from 'node:crypto';

/**
 * Strong random bytes, asked of the platform some thousands at a time: a call for each nonce costs as much as its HMAC. Bytes
 * are handed out once, and none stays in the pool.
 */
export function pooledRandom(): (into: Uint8Array) => void {
  const pool = Buffer.alloc(POOL_BYTES);
  let left = 0;
  return (into) => {
    if (into.length > POOL_BYTES) {
      randomFillSync(into);
      return;
    }
    if (left < into.length) {
      randomFillSync(pool);
      left = POOL_BYTES;
    }
    const from = left - into.length;
    into.set(pool.subarray(from, left));
    pool.fill(0, from, left);
    left = from;
  };
}

const POOL_BYTES = 4096;
