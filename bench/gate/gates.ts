import { join } from 'node:path';
import { contenders } from '../../src/measure/contenders.ts';
import { bodyBytesOf } from '../parse/traffic.ts';
import { compileBase, root } from './base.ts';
import type { Base } from './base.ts';
import { buildProgram, count, needValgrind } from './instructions.ts';
import { canDo, compare } from './sides.ts';
import type { Side, TimedCase } from './sides.ts';
import { slowCore } from './slow-core.ts';
import { judgeAtLeast, judgeAtMost, judgeCounts } from './verdict.ts';
import type { Counts, Finding, Gates } from './verdict.ts';

const HEAD: Side = { dist: join(root, 'dist'), implementation: 'TypeScript' };
const NATIVE: Side = { dist: join(root, 'dist'), implementation: 'native' };

const headline = { frames: 32, bodyBytes: bodyBytesOf(300) };

/** What the implementations are compared at; names of bounds in bench/gates.json. */
const CASES: readonly TimedCase[] = [
  { name: 'framing', work: 'framing', traffic: headline },
  { name: 'decoding', work: 'decoding', traffic: headline },
];

/** What HEAD is compared with its base at. */
const MORE_CASES: readonly TimedCase[] = [
  ...CASES,
  { name: 'decoding, one frame a read', work: 'decoding', traffic: { ...headline, frames: 1 } },
  { name: 'decoding, new paths', work: 'decoding', traffic: { ...headline, newPaths: true } },
  { name: 'framing, bodies of 2 KB', work: 'framing', traffic: { frames: 32, bodyBytes: 2048 } },
];

const EFFORT = { rounds: 25, sliceMs: 4 };
/** What the compiler makes of a function differs from one process to another more than from round to round. */
const PROCESSES = 8;

/** Instructions of native/core against those of the base, or against the committed ones where the base has none. */
export function instructionsGate(gates: Gates, base: () => Base, say: (text: string) => void): Finding[] {
  needValgrind();
  const { folder } = base();
  const head = count(buildProgram(root, 'head'));
  let before: Counts;
  try {
    const program = buildProgram(folder, 'base');
    before = count(program);
  } catch (error) {
    say(`the base cannot be counted (${(error as Error).message}): compared with bench/gates.json instead`);
    before = new Map(Object.entries(gates.instructions.committed));
  }
  return judgeCounts(head, before, gates.instructions);
}

/** Native code against TypeScript, in the same processes. */
export function nativeGate(gates: Gates, native: Side = NATIVE): Finding[] {
  const { absent } = contenders();
  if (absent !== undefined) return [{ passed: false, text: `the native framer cannot run: ${absent}` }];
  const times = compare({ sides: [HEAD, native], cases: CASES, effort: EFFORT }, PROCESSES);
  const bounds = Object.entries(gates.parse.nativeOverTypeScript);
  if (bounds.length === 0) return [{ passed: false, text: 'native over TypeScript: there are no bounds' }];
  return bounds.map(([name, least]) => {
    const ratio = times.get(name);
    if (ratio === undefined) return { passed: false, text: `${name}: there is no such case` };
    return judgeAtLeast(`native over TypeScript, ${name}`, ratio, least);
  });
}

/** TypeScript against that of the base, in the same processes. */
export function typescriptGate(gates: Gates, base: () => Base, say: (text: string) => void): Finding[] {
  const dist = compileBase(base());
  const able = MORE_CASES.filter(({ work }) => canDo(dist, work));
  if (able.length < MORE_CASES.length) say('the base has no decoder in TypeScript: only framing is compared');
  if (able.length === 0) return [{ passed: false, text: 'the base has no framer in TypeScript' }];
  return slowdowns(gates, HEAD, { dist, implementation: 'TypeScript' }, able);
}

function slowdowns(gates: Gates, head: Side, base: Side, cases: readonly TimedCase[]): Finding[] {
  const times = compare({ sides: [head, base], cases, effort: EFFORT }, PROCESSES);
  return Array.from(times, ([name, ratio]) =>
    judgeAtMost(`TypeScript over base, ${name}`, ratio, gates.parse.typescriptOverBase),
  );
}

/** Whether each gate objects to a deliberate slowdown. */
export function selfTest(gates: Gates): Finding[] {
  const objects = (what: string, findings: readonly Finding[]): Finding => {
    const objections = findings.filter(({ passed }) => !passed);
    const seen = objections.map(({ text }) => text).join('; ');
    return { passed: objections.length > 0, text: `${what} is noticed: ${seen || 'no'}` };
  };
  needValgrind();
  const slow = slowCore();
  try {
    const [head, changed] = [count(buildProgram(root, 'head')), count(buildProgram(slow.folder, 'slow'))];
    return [
      objects('a slower core', judgeCounts(changed, head, { ...gates.instructions, atMost: {} })),
      objects('slower native code', nativeGate(gates, { ...NATIVE, again: 3 })),
      objects('slower TypeScript', slowdowns(gates, { ...HEAD, again: 0.5 }, HEAD, CASES)),
    ];
  } finally {
    slow.remove();
  }
}
