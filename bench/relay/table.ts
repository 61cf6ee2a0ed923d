import { number } from './gate.ts';
import type { Verdict } from './gate.ts';
import { PAIRS, figure, ratio } from './results.ts';
import type { Contender, Results, ScenarioResult } from './results.ts';
import type { Estimate } from './statistics.ts';

const CONTENDERS: readonly Contender[] = ['bare', 'ts', 'native'];

/** Results as text: a row for each contender of each scenario, then what makes figures doubtful. */
export function table(results: Results): string {
  const rows = [['scenario', 'relay', 'cost (min–max)', 'per second', 'p50 µs', 'p99 µs', 'CPU %', 'ratio', 'range']];
  const remarks: string[] = [];
  for (const scenario of results.scenarios) {
    const pinned = CONTENDERS.filter((contender) => scenario.rounds[contender] !== undefined);
    for (const contender of pinned) rows.push(row(scenario, contender));
    if (scenario.failure !== undefined) remarks.push(`${scenario.name}: ${scenario.failure}`);
    remarks.push(...doubts(scenario));
  }
  for (const [contender, reason] of Object.entries(results.absent)) remarks.push(`${contender}: cannot run: ${reason}`);
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  );
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0, column))
      .join('  ')
      .trimEnd(),
  );
  const machine = Object.entries(results.machine).map(([key, value]) => `${key} ${value}`);
  return [machine.join(', '), '', ...lines, ...(remarks.length > 0 ? ['', ...remarks] : [])].join('\n');
}

/** The verdict of a gate as text. */
export function verdictText({ checked, objections }: Verdict): string {
  const failed = objections.map((line) => `FAILED  ${line}`);
  return [
    ...checked.map((line) => `gate    ${line}`),
    ...failed,
    objections.length === 0 ? 'gate passed' : 'gate failed',
  ].join('\n');
}

function row(scenario: ScenarioResult, contender: Contender): string[] {
  const cost = (scenario.rounds[contender] ?? []).map((round) => round.cost);
  const told = (name: Parameters<typeof figure>[2]) => text(figure(scenario, contender, name));
  const ratios = PAIRS.filter((pair) => pair.startsWith(`${contender}/`)).flatMap((pair) => {
    const value = ratio(scenario, pair);
    return value === undefined ? [] : [{ pair, value }];
  });
  return [
    contender === 'bare' ? scenario.name : '',
    contender,
    `${told('cost')} ${scenario.cost} (${number(Math.min(...cost))}–${number(Math.max(...cost))})`,
    told('perSecond'),
    told('p50'),
    told('p99'),
    told('cpuPercent'),
    ratios.map(({ pair, value }) => `${number(value.median)} ${pair}`).join('  '),
    ratios
      .map(({ value }) => `${number(value.low)}–${number(value.high)} (${Math.round(value.confidence * 100)} %)`)
      .join('  '),
  ];
}

/** What was warned of: the rounds that had a warning, and the first one's. */
function doubts(scenario: ScenarioResult): string[] {
  return CONTENDERS.flatMap((contender) => {
    const rounds = scenario.rounds[contender] ?? [];
    const warned = rounds.filter((round) => round.warnings.length > 0);
    const [first] = warned;
    if (first === undefined) return [];
    return [
      `${scenario.name} ${contender}: in ${warned.length} of ${rounds.length} rounds ${first.warnings.join('; ')}`,
    ];
  });
}

function text(value: Estimate | undefined): string {
  return value === undefined ? '' : number(value.median);
}

function pad(cell: string, width: number, column: number): string {
  return column >= 3 && column <= 6 ? cell.padStart(width) : cell.padEnd(width);
}
