import assert from 'node:assert/strict';
import type { EngineWish } from '../../src/addon/choose.ts';
import { RECORD_WORDS } from '../../src/frame/record.ts';
import type { Implementation, Work } from '../../src/measure/contenders.ts';
import type { ParseResult } from '../../src/parse/parse.ts';
import type { Compiled } from './compiled.ts';
import { bodyBytesOf, readOf } from './traffic.ts';
import type { Traffic } from './traffic.ts';

/** What is timed: work of a framer, or `parse()`, which makes objects of records. */
type What = Work | 'parse()' | 'parse(), headers read';

export interface Case {
  readonly name: string;
  readonly what: What;
  readonly frames: number;
  readonly bytes: Buffer;
}

/** Frames a read, and octets of a body. */
const FRAMES = [1, 8, 32, 128];
const BODIES: readonly (readonly [label: string, bytes: number])[] = [
  ['100 B', 100],
  ['2 KB', 2048],
  ['64 KB', 65536],
];

/** Every case; `quick`: a few that show the rest. */
export function cases(quick: boolean): Case[] {
  const headline: Traffic = { frames: 32, bodyBytes: bodyBytesOf(300) };
  const list: Case[] = [];
  for (const what of ['framing', 'decoding'] as const) {
    list.push(caseOf(what, '32 × frames of 300 B', headline));
    list.push(caseOf(what, '32 × frames of 300 B, new paths', { ...headline, newPaths: true }));
    for (const [label, bodyBytes] of BODIES) {
      for (const frames of FRAMES) {
        if (quick && (frames === 8 || frames === 128 || label === '64 KB')) continue;
        list.push(caseOf(what, `${frames} × bodies of ${label}`, { frames, bodyBytes }));
      }
    }
  }
  for (const what of ['parse()', 'parse(), headers read'] as const) {
    list.push(caseOf(what, '32 × frames of 300 B', headline));
  }
  return list;
}

function caseOf(what: What, of: string, traffic: Traffic): Case {
  return { name: `${what}: ${of}`, what, frames: traffic.frames, bytes: readOf(traffic) };
}

/** Deals with one read; returns how many frames it found. */
export type Run = () => number;

/** The run of a case; not yet known to be right. */
export function runOf({ contenders, frames, parse }: Compiled, one: Case, implementation: Implementation): Run {
  const { what, bytes } = one;
  if (what === 'framing' || what === 'decoding') {
    const framer = contenders.contenders().make(implementation, what);
    const records = new Uint32Array(frames.BATCH * RECORD_WORDS);
    return () => frames.scanAll(framer, bytes, bytes.length, records);
  }
  const engine: EngineWish = implementation === 'native' ? 'native' : 'ts';
  const isRead = what !== 'parse()';
  return () => {
    let found = 0;
    for (const result of parse.parse(bytes, { engine })) if (isGood(result, isRead)) found++;
    return found;
  };
}

function isGood(result: ParseResult, isRead: boolean): boolean {
  if (result.type !== 'frame') return false;
  if (!isRead) return true;
  let length = 0;
  for (const [name, value] of result.frame.headers) if (name === 'Message-ID') length = value.length;
  return length > 0;
}

/** Throws unless both implementations give the same records, or objects, and find every frame. */
export function check(modules: Compiled, one: Case): void {
  const { contenders, frames, parse } = modules;
  const { bytes, what } = one;
  if (what === 'framing' || what === 'decoding') {
    const { make } = contenders.contenders();
    const content = frames.agree([make('TypeScript', what), make('native', what)], bytes);
    assert.deepEqual(content, { frames: one.frames, bad: 0, end: bytes.length }, one.name);
  } else {
    const results = (engine: EngineWish): ParseResult[] => [...parse.parse(bytes, { engine })];
    assert.deepEqual(results('native'), results('ts'), one.name);
  }
  for (const implementation of ['TypeScript', 'native'] as const) {
    const run = runOf(modules, one, implementation);
    // Again and again, since a framer remembers the frame before.
    for (let read = 0; read < 3; read++) assert.equal(run(), one.frames, `${one.name}, ${implementation}`);
  }
}
