import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as contenders from '../../src/measure/contenders.ts';
import type * as decoder from '../../src/syntax/decoder.ts';
import type * as record from '../../src/frame/record.ts';
import type * as tsFramer from '../../src/frame/ts-framer.ts';
import type { Framer } from '../../src/frame/framer.ts';
import type { Implementation, Work } from '../../src/measure/contenders.ts';
import { BATCH, scanAll } from '../../src/measure/frames.ts';
import { intervalOf, ratios } from '../../src/measure/interval.ts';
import type { Interval } from '../../src/measure/interval.ts';
import { interleave } from '../../src/measure/rounds.ts';
import type { Effort } from '../../src/measure/rounds.ts';
import { readOf } from '../parse/traffic.ts';
import type { Traffic } from '../parse/traffic.ts';

/** One of two that are compared. */
export interface Side {
  /** Folder of compiled modules. */
  readonly dist: string;
  readonly implementation: Implementation;
  /** Deliberately slow: how often each read is scanned again; 0.5 is every other one. */
  readonly again?: number;
}

export interface TimedCase {
  readonly name: string;
  readonly work: Work;
  readonly traffic: Traffic;
}

interface Order {
  readonly sides: readonly [Side, Side];
  readonly cases: readonly TimedCase[];
  readonly effort: Effort;
}

/**
 * Time that the first side takes in that of the second, for each case: both in the same process, in turn, in several processes one
 * after another.
 */
export function compare(order: Order, processes: number): ReadonlyMap<string, Interval> {
  const results = Array.from({ length: processes }, () => {
    const args = ['--import', 'tsx', fileURLToPath(import.meta.url), JSON.stringify(order)];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
  }) as Readonly<Record<string, number[]>>[];
  return new Map(order.cases.map(({ name }) => [name, intervalOf(results.map((result) => result[name] ?? []))]));
}

/** True when the modules of that folder can do that work in TypeScript. */
export function canDo(dist: string, work: Work): boolean {
  return existsSync(join(dist, work === 'framing' ? FRAMER : DECODER));
}

const FRAMER = join('frame', 'ts-framer.js');
const DECODER = join('syntax', 'decoder.js');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const order = JSON.parse(process.argv[2] as string) as Order;
  const results: Record<string, number[]> = {};
  for (const one of order.cases) {
    const runs: (() => void)[] = [];
    for (const side of order.sides) runs.push(await runOf(side, one));
    const [first = [], second = []] = interleave(runs, order.effort);
    results[one.name] = ratios(first, second);
  }
  process.stdout.write(JSON.stringify(results));
}

/** Reads of one call, so that a call is long enough to be timed. */
async function runOf(side: Side, { name, work, traffic }: TimedCase): Promise<() => void> {
  const { RECORD_WORDS } = await load<typeof record>(side.dist, join('frame', 'record.js'));
  const records = new Uint32Array(BATCH * RECORD_WORDS);
  const bytes = readOf(traffic);
  const framers = [await framerOf(side, work), await framerOf(side, work)] as const;
  const scan = (framer: Framer): number => scanAll(framer, bytes, bytes.length, records);
  for (const framer of framers) {
    for (let read = 0; read < 3; read++) {
      const found = scan(framer);
      if (found !== traffic.frames) throw new Error(`${name}: ${found} frames of ${traffic.frames}`);
    }
  }
  const { again = 0 } = side;
  let owed = 0;
  return () => {
    scan(framers[0]);
    for (owed += again; owed >= 1; owed--) scan(framers[1]);
  };
}

async function framerOf({ dist, implementation }: Side, work: Work): Promise<Framer> {
  if (implementation === 'native') {
    return (await load<typeof contenders>(dist, join('measure', 'contenders.js'))).contenders().make('native', work);
  }
  if (work === 'framing') return new (await load<typeof tsFramer>(dist, FRAMER)).TsFramer();
  return new (await load<typeof decoder>(dist, DECODER)).TsDecoder();
}

async function load<T>(dist: string, name: string): Promise<T> {
  return (await import(pathToFileURL(join(dist, name)).href)) as T;
}
