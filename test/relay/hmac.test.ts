import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { HmacSha256 } from '../../src/relay/auth/hmac.ts';

it('HMAC-SHA-256 is that of the platform, for keys and messages of every length around a block', () => {
  for (let length = 0; length <= 64; length++) {
    const key = randomBytes(length);
    const hmac = new HmacSha256(key);
    for (const size of [0, 1, 55, 56, 63, 64, 65, 200, length]) {
      const message = randomBytes(size);
      assert.deepEqual(hmac.of(message), createHmac('sha256', key).update(message).digest());
    }
  }
  assert.throws(() => new HmacSha256(randomBytes(65)), RangeError);
});
