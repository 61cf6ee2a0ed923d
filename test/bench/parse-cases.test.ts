import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cases } from '../../bench/parse/cases.ts';
import { bodyBytesOf, readOf } from '../../bench/parse/traffic.ts';
import { BIT, R, RECORD_WORDS } from '../../src/frame/record.ts';
import { agree } from '../../src/measure/frames.ts';
import { TsDecoder } from '../../src/syntax/decoder.ts';

describe('the cases of npm run bench', () => {
  it('have the frames that they say, none of them bad', () => {
    const all = cases(false);
    assert.ok(all.length >= 2 * 4 * 3, `${all.length}`);
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    for (const { name, frames, bytes } of all) {
      assert.deepEqual(agree([new TsDecoder()], bytes), { frames, bad: 0, end: bytes.length }, name);
    }
  });

  it('the quick ones are some of them', () => {
    const all = new Set(cases(false).map(({ name }) => name));
    const quick = cases(true);
    assert.ok(quick.length >= 8 && quick.length < all.size);
    for (const { name } of quick) assert.ok(all.has(name), name);
  });

  it('frames have the size that was asked for, and the paths', () => {
    for (const size of [300, 500, 2000]) {
      assert.equal(readOf({ frames: 1, bodyBytes: bodyBytesOf(size) }).length, size);
    }
    assert.throws(() => bodyBytesOf(50), RangeError);
    for (const [newPaths, bit] of [
      [true, BIT.NEW_PATHS],
      [false, BIT.SAME_PATHS],
    ] as const) {
      const records = new Uint32Array(4 * RECORD_WORDS);
      const bytes = readOf({ frames: 4, bodyBytes: 10, newPaths });
      assert.equal(new TsDecoder().scan(bytes, 0, bytes.length, records), 4);
      for (let frame = 1; frame < 4; frame++) assert.ok((records[frame * RECORD_WORDS + R.BITS] as number) & bit);
    }
  });
});
