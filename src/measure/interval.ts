/** A median, and the interval that holds the true one with 95 % confidence. */
export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The median of `groups` of values by a bootstrap in two stages: groups are drawn with replacement, then values of each. Values of
 * one group (a process) may have something in common that those of another do not, such as what the compiler made of it.
 *
 * The same values give the same interval. Throws for an empty list.
 */
export function intervalOf(groups: readonly (readonly number[])[]): Interval {
  const all = groups.flat();
  if (all.length === 0) throw new RangeError('no values');
  const random = generator();
  const draw = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const filled = groups.filter((group) => group.length > 0);
  const medians = Array.from({ length: RESAMPLES }, () =>
    medianOf(
      filled.flatMap(() => {
        const group = draw(filled);
        return group.map(() => draw(group));
      }),
    ),
  ).sort((a, b) => a - b);
  const at = (part: number): number => medians[Math.round(part * (RESAMPLES - 1))] as number;
  return { median: medianOf(all), low: at(0.025), high: at(0.975) };
}

/** NaN for an empty list. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/** Value by value: what one took of what the other did in the same round. */
export function ratios(of: readonly number[], to: readonly number[]): number[] {
  return of.map((value, round) => value / (to[round] as number));
}

const RESAMPLES = 2000;

/** Numbers from 0 to 1, always the same ones (mulberry32). */
function generator(): () => number {
  let state = 0x6d73_7270;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
