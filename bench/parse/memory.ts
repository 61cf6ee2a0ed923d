// Memory of one case in a process of its own, without a collection of garbage in between: see memoryOf().
import { execFileSync } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Implementation } from '../../src/measure/contenders.ts';
import { cases, runOf } from './cases.ts';
import { compiled } from './compiled.ts';

/** Bytes for each frame, JavaScript's heap and what hangs on it outside. */
export interface Memory {
  readonly allocated: number;
  /** Still there after a collection of garbage. */
  readonly kept: number;
}

/** Measures in a new process, whose young generation is so large that nothing is collected while it counts. */
export function memoryOf(name: string, implementation: Implementation): Memory {
  const flags = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256', '--import', 'tsx'];
  const args = [...flags, fileURLToPath(import.meta.url), name, implementation];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Memory;
}

/** Frames that are counted over: enough to make little of what counting costs. */
const FRAMES = 64_000;
const WARM_UP_FRAMES = 32_000;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name, implementation] = process.argv as [string, string, string, Implementation];
  const one = cases(false).find((other) => other.name === name);
  if (one === undefined) throw new Error(`there is no case ${name}`);
  const run = runOf(await compiled(), one, implementation);
  const reads = (frames: number): void => {
    for (let read = 0; read < frames / one.frames; read++) run();
  };
  reads(WARM_UP_FRAMES);
  await collect();
  const before = used();
  reads(FRAMES);
  const allocated = used() - before;
  await collect();
  const memory: Memory = { allocated: allocated / FRAMES, kept: (used() - before) / FRAMES };
  process.stdout.write(JSON.stringify(memory));
}

function used(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Also what is freed only after finalizers have run, some turns later. */
async function collect(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  for (let turn = 0; turn < 10; turn++) {
    globalThis.gc();
    await setImmediate();
  }
}
