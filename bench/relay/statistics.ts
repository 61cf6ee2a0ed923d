/** Median of a list and the range that holds the median of all runs like these. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** How probable it is that the true median lies in low…high, 0…1. */
  readonly confidence: number;
  readonly rounds: number;
}

/** Confidence that a range has to have, where there are rounds enough. */
const CONFIDENCE = 0.9;

/**
 * Median with a range by order statistics: nothing is assumed about the distribution. Of n values, the k-th smallest and the k-th
 * largest hold the median with probability 1 − 2·P(fewer than k of n coins show heads). The narrowest range of 90 % is taken, or the
 * whole range when that is not enough. Throws for an empty list.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = [...values].sort((a, b) => a - b);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('no values');
  let best: Estimate = {
    median: median(sorted),
    low: first,
    high: last,
    confidence: cover(sorted.length, 1),
    rounds: sorted.length,
  };
  for (let k = 2; 2 * k <= sorted.length + 1; k++) {
    const confidence = cover(sorted.length, k);
    if (confidence < CONFIDENCE) break;
    best = { ...best, low: sorted[k - 1] as number, high: sorted[sorted.length - k] as number, confidence };
  }
  return best;
}

/** Median of a sorted list that is not empty. */
function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** Probability that the median lies between the k-th smallest and the k-th largest of n values. */
function cover(n: number, k: number): number {
  let ways = 1;
  let fewer = 0;
  for (let heads = 0; heads < k; heads++) {
    fewer += ways;
    ways = (ways * (n - heads)) / (heads + 1);
  }
  return Math.max(0, 1 - (2 * fewer) / 2 ** n);
}
