import { spawnSync } from 'node:child_process';
import { runLoad, startRelay, stopRelay } from './relays.ts';
import type { LoadReport, Relay } from './relays.ts';
import type { Contender, Measurement, ScenarioResult } from './results.ts';
import type { Scenario } from './scenarios.ts';

/** How long and how often. Times in seconds. */
export interface Effort {
  readonly rounds: number;
  readonly warmup: number;
  readonly duration: number;
  /** Warm-up of a process before its first round: compilers of engines need it. */
  readonly firstWarmup: number;
}

/** File descriptors of a process besides its connections. */
const SPARE_FILES = 100;

/** Runs a scenario: the contenders take turns, round after round, so that what the machine does hits all alike. */
export async function runScenario(
  scenario: Scenario,
  contenders: readonly Contender[],
  load: string,
  effort: Effort,
  progress: (text: string) => void,
): Promise<ScenarioResult> {
  const rounds: Partial<Record<Contender, Measurement[]>> = {};
  const relays = new Map<Contender, Relay>();
  const { name, cost } = scenario;
  try {
    const files = fileLimit();
    if (files < scenario.connections + SPARE_FILES) {
      throw new Error(`needs ${scenario.connections + SPARE_FILES} open files, the limit (ulimit -Hn) is ${files}`);
    }
    for (let round = 1; round <= effort.rounds; round++) {
      for (const contender of contenders) {
        progress(`${name}  round ${round}/${effort.rounds}  ${contender}`);
        let relay = relays.get(contender);
        const first = relay === undefined;
        relay ??= await startRelay(contender, load, scenario.tls);
        relays.set(contender, relay);
        const warmup = first && !scenario.freshProcess ? effort.firstWarmup : effort.warmup;
        const times = ['--warmup', `${warmup}`, '--duration', `${effort.duration}`];
        (rounds[contender] ??= []).push(measurement(await runLoad(load, relay, [...scenario.load, ...times])));
        if (scenario.freshProcess) {
          relays.delete(contender);
          await stopRelay(relay);
        }
      }
    }
    return { name, cost, rounds };
  } catch (error) {
    return { name, cost, rounds, failure: (error as Error).message };
  } finally {
    for (const relay of relays.values()) await stopRelay(relay);
  }
}

/** A report in the unit of its scenario. Throws when the relay's cost is not in it. */
export function measurement(report: LoadReport): Measurement {
  const cost = report.memory?.bytes_per_session ?? report.cpu.relay.us_per_unit;
  if (cost === null || report.units === 0) throw new Error('nothing was delivered');
  const { latency_us: latency, units_per_s: perSecond } = report;
  return {
    cost,
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(latency === undefined ? {} : { p50: latency.p50, p99: latency.p99, p999: latency.p999 }),
    cpuPercent: report.cpu.relay.cpu_percent,
    generatorPercent: report.cpu.generator.cpu_percent,
    warnings: report.warnings ?? [],
  };
}

/** The most files that a process may open: relays and generator raise their limit to it themselves. */
function fileLimit(): number {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  return stdout.trim() === 'unlimited' ? Infinity : Number(stdout);
}
