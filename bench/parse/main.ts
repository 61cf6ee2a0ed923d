// npm run bench: how fast frames are found and decoded, by both implementations. `--help` tells the options.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { IMPLEMENTATIONS, contenders } from '../../src/measure/contenders.ts';
import type { Implementation } from '../../src/measure/contenders.ts';
import { figure, table } from '../../src/measure/table.ts';
import { cases, check, runOf } from './cases.ts';
import type { Case } from './cases.ts';
import { compiled } from './compiled.ts';
import type { Compiled } from './compiled.ts';
import { memoryOf } from './memory.ts';
import type { Memory } from './memory.ts';

const HELP = `npm run bench -- [options]

  --quick         fewer cases, shorter
  --filter TEXT   only cases whose name holds that text, such as 'decoding: 32'
  --no-memory     time only
  --json          figures as JSON
`;

/** Least of one sample. */
const READ_BYTES = 16_384;
const READ_FRAMES = 64;

interface Figures {
  readonly nsPerFrame: number;
  /** Half of the 95 % interval, as a part of it. */
  readonly margin: number;
  readonly mbPerSecond: number;
  readonly memory?: Memory;
}

interface Row {
  readonly name: string;
  readonly frameBytes: number;
  readonly figures: Readonly<Record<Implementation, Figures>>;
  /** How many times as fast as TypeScript the native one is. */
  readonly ratio: number;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      quick: { type: 'boolean', default: false },
      filter: { type: 'string', default: '' },
      memory: { type: 'boolean', default: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(HELP);
  const { absent } = contenders();
  if (absent !== undefined) throw new Error(`there is nothing to compare with, no native framer: ${absent}`);
  const chosen = cases(values.quick).filter(({ name }) => name.includes(values.filter));
  if (chosen.length === 0) throw new Error(`no case has '${values.filter}' in its name`);
  const modules = await compiled();
  const rows: Row[] = [];
  for (const one of chosen) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${one.name}`);
    check(modules, one);
    rows.push(await rowOf(modules, one, values.quick, values.memory));
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
  process.stdout.write(values.json ? `${JSON.stringify({ machine, rows })}\n` : toText(machine, rows));
}

async function rowOf(modules: Compiled, one: Case, quick: boolean, withMemory: boolean): Promise<Row> {
  const bench = new Bench({ time: quick ? 100 : 400, warmupTime: quick ? 50 : 100 });
  // Many short reads for each sample: what the clock costs must not show.
  const reads = Math.max(1, Math.round(READ_BYTES / one.bytes.length), Math.round(READ_FRAMES / one.frames));
  for (const implementation of IMPLEMENTATIONS) {
    const run = runOf(modules, one, implementation);
    bench.add(implementation, () => {
      for (let read = 0; read < reads; read++) run();
    });
  }
  await bench.run();
  const of = (implementation: Implementation): Figures => {
    const result = bench.getTask(implementation)?.result;
    if (result?.state !== 'completed') throw new Error(`${one.name}, ${implementation}: ${result?.state}`);
    const { p50, moe, mean } = result.latency;
    const ns = (p50 * 1e6) / reads;
    return {
      nsPerFrame: ns / one.frames,
      margin: moe / mean,
      mbPerSecond: (one.bytes.length / ns) * 1000,
      ...(withMemory ? { memory: memoryOf(one.name, implementation) } : {}),
    };
  };
  const figures = { TypeScript: of('TypeScript'), native: of('native') };
  const ratio = figures.TypeScript.nsPerFrame / figures.native.nsPerFrame;
  return { name: one.name, frameBytes: one.bytes.length / one.frames, figures, ratio };
}

function toText(machine: Readonly<Record<string, string | number>>, rows: readonly Row[]): string {
  const withMemory = rows.some(({ figures }) => figures.native.memory !== undefined);
  const head = ['', 'TypeScript ns/frame', 'native', 'ratio', 'TypeScript MB/s', 'native'];
  if (withMemory) head.push('allocated B/frame: TypeScript', 'native', 'kept: TypeScript', 'native');
  const lines = rows.map(({ name, figures: { TypeScript: ts, native }, ratio }) => [
    name,
    `${figure(ts.nsPerFrame)} ±${percent(ts.margin)}`,
    `${figure(native.nsPerFrame)} ±${percent(native.margin)}`,
    figure(ratio),
    figure(ts.mbPerSecond),
    figure(native.mbPerSecond),
    ...(withMemory ? [ts.memory?.allocated, native.memory?.allocated, ts.memory?.kept, native.memory?.kept] : []).map(
      (bytes) => (bytes === undefined ? '' : bytes.toFixed(1)),
    ),
  ]);
  const about = Object.entries(machine).map(([key, value]) => `${key} ${value}`);
  return `${about.join(', ')}\n\n${table([head, ...lines])}`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
