import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { estimate } from '../../bench/relay/statistics.ts';

describe('estimate', () => {
  it('takes the whole range of a few values, and says how little that is', () => {
    assert.deepEqual(estimate([7]), { median: 7, low: 7, high: 7, confidence: 0, rounds: 1 });
    assert.deepEqual(estimate([3, 1, 2]), { median: 2, low: 1, high: 3, confidence: 0.75, rounds: 3 });
    assert.equal(estimate([1, 2, 3, 4]).median, 2.5);
    assert.equal(estimate([5, 4, 3, 2, 1]).confidence, 0.9375);
  });

  it('leaves out extremes when there are values enough', () => {
    const eight = estimate([1, 10, 11, 12, 13, 14, 15, 100]);
    assert.deepEqual([eight.low, eight.high], [10, 15]);
    assert.ok(Math.abs(eight.confidence - (1 - 18 / 256)) < 1e-12);
  });

  it('is a range around the median, in which no order matters', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 }), (values) => {
        const { low, median, high, confidence } = estimate(values);
        assert.ok(low <= median && median <= high);
        assert.ok(confidence >= 0.9 || values.length < 5, `${confidence}`);
        assert.deepEqual(estimate(values.toReversed()), estimate(values));
      }),
    );
  });

  it('refuses an empty list', () => {
    assert.throws(() => estimate([]), RangeError);
  });
});
