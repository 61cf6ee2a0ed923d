import { estimate } from './statistics.ts';
import type { Estimate } from './statistics.ts';
import type { Cost } from './scenarios.ts';

/** Who relays: an engine of msrpd, or the bare relay. */
export type Contender = 'bare' | 'ts' | 'native';

/** What one run of a load has measured of one relay. */
export interface Measurement {
  /** In the unit of the scenario. */
  readonly cost: number;
  /** Messages, files or sessions per second. */
  readonly perSecond?: number;
  /** Latency in µs. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** CPU of the relay in percent of a core. */
  readonly cpuPercent: number;
  /** CPU of the generator in percent of a core. */
  readonly generatorPercent: number;
  readonly warnings: readonly string[];
}

/** One scenario: for each contender its rounds, in the order in which they ran. Round i of all ran one after another. */
export interface ScenarioResult {
  readonly name: string;
  readonly cost: Cost;
  readonly rounds: Readonly<Partial<Record<Contender, readonly Measurement[]>>>;
  /** Why it could not be run, or not to its end. */
  readonly failure?: string;
}

/** Everything that a run has measured. */
export interface Results {
  readonly machine: Readonly<Record<string, string | number>>;
  /** Engines that could not run, and why. */
  readonly absent: Readonly<Partial<Record<Contender, string>>>;
  readonly scenarios: readonly ScenarioResult[];
  /** What a fixed piece of JavaScript cost in the same run, in µs. */
  readonly scriptUs?: number;
}

/** Ratios that are told and may be bounded. */
export const PAIRS = ['ts/bare', 'native/bare', 'native/ts'] as const;
export type Pair = (typeof PAIRS)[number];

/** Ratio of two contenders, round by round; undefined where one of them has no rounds. */
export function ratio(result: ScenarioResult, pair: Pair): Estimate | undefined {
  const [above, below] = pair.split('/') as [Contender, Contender];
  const [costs, others] = [result.rounds[above], result.rounds[below]];
  if (costs === undefined || others === undefined) return undefined;
  const ratios: number[] = [];
  for (const [round, { cost }] of costs.entries()) {
    const other = others[round];
    if (other !== undefined && other.cost > 0) ratios.push(cost / other.cost);
  }
  return ratios.length === 0 ? undefined : estimate(ratios);
}

/** One figure of a contender over its rounds; undefined where there is none. */
export function figure(
  result: ScenarioResult,
  contender: Contender,
  name: 'cost' | 'p50' | 'p99' | 'p999' | 'cpuPercent' | 'perSecond',
): Estimate | undefined {
  const values = (result.rounds[contender] ?? []).map((round) => round[name]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : estimate(values);
}
