import type { Interval } from '../../src/measure/interval.ts';
import { figure } from '../../src/measure/table.ts';

/** What has been looked at, and whether it is as it has to be. */
export interface Finding {
  readonly passed: boolean;
  readonly text: string;
}

/** Instructions of one frame, by case. */
export type Counts = ReadonlyMap<string, number>;

/** Bounds of the gates of the parser: bench/gates.json. */
export interface Gates {
  readonly instructions: {
    /** Part by which a case may grow. */
    readonly growth: number;
    /** Most of a case, whatever it was before. */
    readonly atMost: Readonly<Record<string, number>>;
    /** Counts to compare with when the base has none. */
    readonly committed: Readonly<Record<string, number>>;
  };
  readonly parse: {
    /** Least by which native code is faster than TypeScript, by case. */
    readonly nativeOverTypeScript: Readonly<Record<string, number>>;
    /** Most of the time that TypeScript takes, in that of the base. */
    readonly typescriptOverBase: number;
  };
}

/** Compares counts with those of the base. What cannot be compared has not passed, nor has nothing at all. */
export function judgeCounts(head: Counts, base: Counts, { growth, atMost }: Gates['instructions']): Finding[] {
  const findings: Finding[] = [];
  for (const [name, before] of base) {
    const now = head.get(name);
    if (now === undefined) {
      findings.push({ passed: false, text: `${name}: not counted` });
      continue;
    }
    const change = now / before - 1;
    const text = `${name}: ${figure(now)} instructions, ${figure(before)} before (${percent(change)})`;
    findings.push({ passed: now <= before * (1 + growth), text: `${text}, at most ${percent(growth)}` });
  }
  for (const [name, most] of Object.entries(atMost)) {
    const now = head.get(name) ?? Number.NaN;
    findings.push({ passed: now <= most, text: `${name}: ${figure(now)} instructions, at most ${figure(most)}` });
  }
  return base.size === 0 ? [{ passed: false, text: 'there are no counts to compare with' }, ...findings] : findings;
}

/** A ratio that has to be so high. Noise does not fail it, only an interval that lies below as a whole. */
export function judgeAtLeast(name: string, ratio: Interval, least: number): Finding {
  return { passed: ratio.high >= least, text: `${name}: ${range(ratio)}, at least ${figure(least)}` };
}

/** A ratio that may be so high: only an interval that lies above as a whole fails it. */
export function judgeAtMost(name: string, ratio: Interval, most: number): Finding {
  return { passed: ratio.low <= most, text: `${name}: ${range(ratio)}, at most ${figure(most)}` };
}

function range({ median, low, high }: Interval): string {
  return `${figure(median)} (${figure(low)}–${figure(high)})`;
}

function percent(part: number): string {
  return `${part < 0 ? '−' : '+'}${Math.abs(part * 100).toFixed(1)} %`;
}
