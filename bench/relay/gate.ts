import { PAIRS, figure, ratio } from './results.ts';
import type { Contender, Pair, Results, ScenarioResult } from './results.ts';
import type { Estimate } from './statistics.ts';

/** Upper bounds (bench/gates.json). Time is bounded as a ratio only; memory and idleness as they are. */
export interface Gates {
  /** Cost of the one in that of the other, for each scenario. */
  readonly ratios: Readonly<Record<Pair, Readonly<Record<string, number>>>>;
  /**
   * Of pairs of which one side is JavaScript: what the fixed piece of it (script-cost.ts) costs in that of the bare relay where the bound
   * was set. Where system calls are cheaper beside it, the bound is wider.
   */
  readonly scriptPerBare?: Readonly<Partial<Record<Pair, Readonly<Record<string, number>>>>>;
  /** For each engine. */
  readonly idle: Readonly<
    Partial<Record<Contender, { readonly bytesPerSession: number; readonly cpuPercent: number }>>
  >;
}

/** The names of the scenarios that have a bound. */
export function boundedScenarios(gates: Gates): Set<string> {
  const names = new Set(PAIRS.flatMap((pair) => Object.keys(gates.ratios[pair])));
  if (Object.keys(gates.idle).length > 0) names.add('idle');
  return names;
}

/** What the gate has looked at, and what it objects to. It is passed when there are no objections. */
export interface Verdict {
  readonly checked: readonly string[];
  readonly objections: readonly string[];
}

/**
 * Judges results. A bound is exceeded when the lower end of the range is above it, so that noise does not fail a good build. What
 * could not be measured is an objection: a gate that has seen nothing is not passed.
 */
export function judge(results: Results, gates: Gates): Verdict {
  const checked: string[] = [];
  const objections: string[] = [];
  const check = (what: string, value: Estimate | undefined, bound: number): void => {
    if (value === undefined) {
      objections.push(`${what}: not measured`);
      return;
    }
    const range = `${number(value.median)} (${number(value.low)}–${number(value.high)})`;
    checked.push(`${what}: ${range}, at most ${number(bound)}`);
    if (!(value.low <= bound)) objections.push(`${what}: ${range} exceeds ${number(bound)}`);
  };

  for (const scenario of results.scenarios) {
    const { name } = scenario;
    if (scenario.failure !== undefined) objections.push(`${name}: ${scenario.failure}`);
    for (const pair of PAIRS) {
      const bound = gates.ratios[pair][name];
      if (bound === undefined || isAbsent(results, pair)) continue;
      check(`${name} ${pair}`, ratio(scenario, pair), bound * widening(results, gates, scenario, pair));
    }
    if (name !== 'idle') continue;
    for (const [engine, bounds] of Object.entries(gates.idle) as [Contender, NonNullable<Gates['idle'][Contender]>][]) {
      if (results.absent[engine] !== undefined) continue;
      check(`idle ${engine} bytes/session`, figure(scenario, engine, 'cost'), bounds.bytesPerSession);
      check(`idle ${engine} CPU %`, figure(scenario, engine, 'cpuPercent'), bounds.cpuPercent);
    }
  }
  if (checked.length === 0) objections.push('nothing was measured that has a bound');
  return { checked, objections };
}

/** How much wider the bound of a pair is here than where it was set; never narrower. */
function widening(results: Results, gates: Gates, scenario: ScenarioResult, pair: Pair): number {
  const there = gates.scriptPerBare?.[pair]?.[scenario.name];
  const bare = figure(scenario, 'bare', 'cost')?.median;
  if (there === undefined || results.scriptUs === undefined || bare === undefined) return 1;
  const dearer = results.scriptUs / bare / there;
  // The rest of the cost is system calls, as the bare relay's is.
  return 1 + Math.min(Math.max(dearer - 1, 0), MOST_DEARER) * SCRIPT_PART;
}

/** Part of the cost of a relay that is JavaScript, at most. */
const SCRIPT_PART = 2 / 3;
/** A machine that differs by more is none to judge on. */
const MOST_DEARER = 1;

function isAbsent(results: Results, pair: Pair): boolean {
  return (pair.split('/') as Contender[]).some((contender) => results.absent[contender] !== undefined);
}

/** A figure with as many digits as it is worth. */
export function number(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
