import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { R, RECORD_WORDS } from '../../src/frame/record.ts';
import { agree, scanAll } from '../../src/measure/frames.ts';
import { intervalOf, medianOf, ratios } from '../../src/measure/interval.ts';
import { interleave } from '../../src/measure/rounds.ts';
import { figure, table } from '../../src/measure/table.ts';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import { VECTORS, bytesOf } from '../frame/vectors.ts';

const good = bytesOf(VECTORS.find(({ name }) => name === 'send-simple')!);

/** A framer that is wrong in one word of each record. */
class Wrong extends TsDecoder {
  override scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    const count = super.scan(bytes, from, to, records);
    for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
      records[base + R.REPORTS] = (records[base + R.REPORTS] as number) ^ 1;
    }
    return count;
  }
}

/** A framer that finds nothing. */
class Blind extends TsDecoder {
  override scan(): number {
    return 0;
  }
}

describe('what a capture holds', () => {
  it('frames, bad ones, and what follows them', () => {
    const bad = Buffer.from(good.toString('latin1').replace('msrp://', 'http://'), 'latin1');
    const frames = [new TsDecoder(), new TsDecoder()] as const;
    const capture = Buffer.concat([good, bad, good, good.subarray(0, 40)]);
    const end = capture.length - 40;
    assert.deepEqual(agree(frames, capture), { frames: 3, bad: 1, end });
    const lost = Buffer.concat([good, Buffer.from('GET / HTTP/1.1\r\n')]);
    const expected = { frames: 1, bad: 0, end: good.length, failure: 'E_START_LINE' };
    assert.deepEqual(agree([new TsDecoder(), new TsDecoder()], lost), expected);
    assert.deepEqual(agree([new TsDecoder()], Buffer.alloc(0)), { frames: 0, bad: 0, end: 0 });
  });

  it('is the same to all, or it is an error', () => {
    assert.throws(() => agree([new TsDecoder(), new Wrong()], good), /frame 1, word 43: /);
    assert.throws(() => agree([new TsDecoder(), new Blind()], good), /0 records instead of 1/);
  });

  it('is found again and again by the same framer', () => {
    const capture = Buffer.concat(Array.from({ length: 300 }, () => good));
    const framer = new TsDecoder();
    for (let pass = 0; pass < 3; pass++) {
      assert.equal(scanAll(framer, capture, capture.length, new Uint32Array(7 * RECORD_WORDS)), 300);
    }
  });
});

describe('rounds', () => {
  it('time every run in each round, there and back', () => {
    let calls = '';
    const spin = (name: string) => () => {
      calls += name;
      for (const end = process.hrtime.bigint() + 20_000n; process.hrtime.bigint() < end;);
    };
    const times = interleave([spin('a'), spin('b')], { rounds: 4, sliceMs: 0.1 });
    assert.deepEqual(
      times.map((list) => list.length),
      [4, 4],
    );
    for (const ns of times.flat()) assert.ok(ns >= 20_000, `${ns}`);
    assert.match(calls, /a+b+b*a+b+$|a+b+a+$/);
  });
});

describe('an interval', () => {
  const noisy = [10, 11, 10.5, 9.8, 10.2, 40, 10.1, 9.9, 10.3, 10.4];

  it('holds the median, and extremes do not move it', () => {
    const { low, median, high } = intervalOf([noisy]);
    assert.equal(median, 10.25);
    assert.ok(9.8 <= low && low < median && median < high && high <= 11, `${low}–${high}`);
    assert.deepEqual(intervalOf([noisy]), intervalOf([noisy]));
    assert.deepEqual(intervalOf([[3, 3, 3]]), { low: 3, median: 3, high: 3 });
  });

  it('is wide when groups differ, however many values they have', () => {
    const one = Array.from({ length: 50 }, () => 1);
    const two = Array.from({ length: 50 }, () => 2);
    const { low, high } = intervalOf([one, two, one, two, one]);
    assert.deepEqual([low, high], [1, 2]);
  });

  it('needs values', () => {
    assert.throws(() => intervalOf([]), RangeError);
    assert.throws(() => intervalOf([[]]), RangeError);
    assert.equal(medianOf([4, 1, 3, 2]), 2.5);
    assert.deepEqual(ratios([4, 9], [2, 3]), [2, 3]);
  });
});

describe('a table', () => {
  it('has columns', () => {
    const text = table([
      ['', 'ns', 'MB/s'],
      ['framing', figure(1234.5), figure(0.51234)],
      ['x', figure(7)],
    ]);
    assert.equal(text, '            ns   MB/s\nframing  1,235  0.512\nx         7.00\n');
  });
});
