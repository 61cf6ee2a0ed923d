import type { Contender, Measurement, Results, ScenarioResult } from '../../bench/relay/results.ts';
import type { Cost } from '../../bench/relay/scenarios.ts';

/** A scenario with these costs, round by round. */
export function scenario(
  name: string,
  costs: Partial<Record<Contender, readonly number[]>>,
  cost: Cost = 'µs/message',
): ScenarioResult {
  const rounds: Partial<Record<Contender, Measurement[]>> = {};
  for (const [contender, list] of Object.entries(costs) as [Contender, readonly number[]][]) {
    rounds[contender] = list.map((value) => ({
      cost: value,
      p50: 100,
      p99: 200,
      cpuPercent: 0.5,
      generatorPercent: 50,
      warnings: [],
    }));
  }
  return { name, cost, rounds };
}

/** Results of a machine without the native engine, unless `absent` says otherwise. */
export function results(
  scenarios: readonly ScenarioResult[],
  absent: Results['absent'] = { native: 'not here' },
): Results {
  return { machine: { cores: 2 }, absent, scenarios };
}
