// npm run bench:relay: the engines of msrpd beside the bare relay. `--help` tells the options.
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { boundedScenarios, judge } from './gate.ts';
import type { Gates } from './gate.ts';
import { canPin } from './processes.ts';
import { buildLoad, startRelay, stopRelay } from './relays.ts';
import type { Contender, Results, ScenarioResult } from './results.ts';
import { runScenario } from './rounds.ts';
import type { Effort } from './rounds.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Scenario } from './scenarios.ts';
import { scriptCostUs } from './script-cost.ts';
import { table, verdictText } from './table.ts';

const HELP = `npm run bench:relay -- [options]

  --scenario NAME   only this scenario, or those whose name begins so with a * at the end; may be given again
  --engine NAME     ts or native; may be given again. Default: every engine that can run
  --rounds N        rounds of each scenario (default 8; 5 with --quick)
  --duration S      seconds measured in each round (default 3; 1 with --quick)
  --quick           a few scenarios, short
  --gate            judge by bench/gates.json: exit code 1 when a bound is exceeded or something could not be run
  --from FILE       judge or print the results of an earlier run (its --json) instead of running
  --json            results as JSON
  --list            names of the scenarios
`;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench:relay: ${(error as Error).message}`);
  process.exitCode = 1;
}
// Sockets of processes that were killed may linger.
process.exit();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scenario: { type: 'string', multiple: true },
      engine: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      duration: { type: 'string' },
      quick: { type: 'boolean', default: false },
      gate: { type: 'boolean', default: false },
      from: { type: 'string' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(HELP);
  if (values.list) return say(`${SCENARIOS.map(({ name }) => name).join('\n')}\n`);
  const gates = JSON.parse(readFileSync(new URL('../gates.json', import.meta.url), 'utf8')) as Gates;
  const { quick } = values;
  const results =
    values.from === undefined
      ? await run(choose(values.scenario, quick, values.gate ? gates : undefined), values.engine, {
          rounds: positive('--rounds', values.rounds ?? (quick ? '5' : '8')),
          duration: positive('--duration', values.duration ?? (quick ? '1' : '3')),
          warmup: 1,
          firstWarmup: quick ? 2 : 3,
        })
      : (JSON.parse(readFileSync(values.from, 'utf8')) as Results);
  say(values.json ? `${JSON.stringify(results)}\n` : `${table(results)}\n`);
  if (values.gate) {
    const verdict = judge(results, gates);
    console.error(verdictText(verdict));
    return verdict.objections.length === 0 ? 0 : 1;
  }
  return results.scenarios.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option} ${text}: expected a number above 0`);
  return value;
}

/** The scenarios that are asked for; with a gate, those that have a bound. */
function choose(names: readonly string[] | undefined, quick: boolean, gates: Gates | undefined): Scenario[] {
  if (names !== undefined) {
    return names.flatMap((name) => {
      const found = SCENARIOS.filter((scenario) =>
        name.endsWith('*') ? scenario.name.startsWith(name.slice(0, -1)) : scenario.name === name,
      );
      if (found.length === 0) throw new Error(`--scenario ${name}: there is none of this name (--list)`);
      return found;
    });
  }
  const bounded = gates === undefined ? undefined : boundedScenarios(gates);
  return SCENARIOS.filter((scenario) => (!quick || scenario.quick) && (bounded?.has(scenario.name) ?? true));
}

async function run(
  scenarios: readonly Scenario[],
  asked: readonly string[] | undefined,
  effort: Effort,
): Promise<Results> {
  const load = buildLoad();
  const { engines, absent } = await present(asked, load);
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const progress = (text: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`));
    results.push(await runScenario(scenario, ['bare', ...engines], load, effort, progress));
    progress('');
  }
  const congestion = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    pinned: canPin() ? 'yes' : 'no',
    congestion_control: congestion,
  };
  return { machine, absent, scenarios: results, scriptUs: scriptCostUs() };
}

/** The engines that can run. One that was asked for by name has to. */
async function present(
  asked: readonly string[] | undefined,
  load: string,
): Promise<{ engines: Contender[]; absent: Results['absent'] }> {
  const engines: Contender[] = [];
  const absent: Partial<Record<Contender, string>> = {};
  for (const name of asked ?? ['ts', 'native']) {
    if (name !== 'ts' && name !== 'native') throw new Error(`--engine ${name}: expected ts or native`);
    try {
      await stopRelay(await startRelay(name, load));
      engines.push(name);
    } catch (error) {
      if (asked !== undefined || name === 'ts')
        throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
      absent[name] = (error as Error).message;
    }
  }
  return { engines, absent };
}
