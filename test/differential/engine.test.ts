import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createTsEngine } from '../../src/engine/ts/engine.ts';
import type { EngineFactory, EngineOptions } from '../../src/engine/engine.ts';
import { createNativeEngine } from '../../src/engine/native/engine.ts';
import { theAddon } from '../addon/native.ts';
import { longScript, shortScript, threadedScript } from './engine-script.ts';
import type { Step } from './engine-script.ts';
import { Difference, compare, run } from './engine-transcript.ts';
import type { Transcript } from './engine-transcript.ts';

/** Of the whole run; with another one: MSRPD_SEED=… npm test test/differential/engine.test.ts */
const SEED = Number(process.env['MSRPD_SEED'] ?? 20_260_101);
/** Scripts of each kind. */
const SCRIPTS = Number(process.env['MSRPD_SCRIPTS'] ?? 250);

const { EngineHandle } = theAddon();

const ts: EngineFactory = (options) => createTsEngine(options);

function native(workers: number): EngineFactory {
  const onFault = (detail: string): void => {
    throw new Error(`a worker has failed: ${detail}`);
  };
  return (options: EngineOptions) => createNativeEngine(options, { EngineHandle, workers, onFault });
}

/** What all transcripts had in them. */
const seen = new Map<string, number>();

function count(transcript: Transcript): void {
  for (const line of transcript) {
    for (const [kind] of line.matchAll(
      /(?<=^\w+ )traced \w+|"type":"\w+"|"reason":"\w+"|(?<=MSRP #?\w+ )(SEND|REPORT|AUTH|NICKNAME|FROB|\d{3})/g,
    ))
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
}

async function agree(script: fc.Arbitrary<Step[]>, workers: number, scripts: number, traced = -1): Promise<void> {
  const property = fc.asyncProperty(script, async (steps) => {
    const [one, other] = await Promise.all([run(ts, steps, 1, traced), run(native(workers), steps, workers, traced)]);
    count(one);
    compare(one, other);
  });
  await fc.assert(property, { seed: SEED, numRuns: scripts, includeErrorInReport: true });
}

describe('the engines, script by script', () => {
  it('short frames: the same bytes, events and counters', () => agree(shortScript, 1, SCRIPTS));

  it('SENDs that are passed on while they come in, too', () => agree(longScript, 1, SCRIPTS));

  it('short frames on two threads', () => agree(threadedScript, 2, SCRIPTS));

  it('what is traced: the same frames, with as much of their bodies', async () => {
    // Five octets: a transaction id of the relay in a body is told whole, or not at all.
    for (const [script, workers] of [
      [shortScript, 1],
      [longScript, 1],
      [threadedScript, 2],
    ] as const)
      await agree(script, workers, Math.ceil(SCRIPTS / 5), 5);
    for (const kind of ['traced in', 'traced out']) assert.ok((seen.get(kind) ?? 0) > SCRIPTS, kind);
  });

  it('the scripts have led to everything that there is to compare', () => {
    for (const kind of [
      ...['opened', 'closed', 'request', 'hop', 'sessionClosed', 'authRejected'].map((type) => `"type":"${type}"`),
      ...['peer_closed', 'peer_reset', 'protocol_error', 'header_limit', 'probation', 'idle', 'misdirected'],
      ...['connect_failed', 'hop_refused', 'merged', 'command'],
    ])
      assert.ok(seen.has(kind.startsWith('"') ? kind : `"reason":"${kind}"`), kind);
    for (const word of [
      'SEND',
      'REPORT',
      'AUTH',
      'NICKNAME',
      'FROB',
      '200',
      '400',
      '403',
      '408',
      '413',
      '481',
      '501',
      '506',
    ])
      assert.ok(seen.has(word), word);
  });

  it('a transcript with one character changed, one line more or one line less is not the same', async () => {
    const [steps] = fc.sample(shortScript, { seed: SEED, numRuns: 1 }) as [Step[]];
    const good = await run(ts, steps);
    compare(good, await run(ts, steps));
    for (const at of [1, good.length >> 1, good.length - 1]) {
      const line = good[at] as string;
      const middle = line.length >> 1;
      const changed = `${line.slice(0, middle)}\u0001${line.slice(middle + 1)}`;
      for (const tampered of [good.with(at, changed), good.toSpliced(at, 1), good.toSpliced(at, 0, 'event {}')])
        assert.throws(() => compare(good, tampered), Difference);
    }
    assert.throws(() => compare(good, good.slice(0, -1)), Difference);
  });

  it('an engine with one thing changed is caught', async () => {
    /** As an engine that counts one byte more, or changes one event, or says another status would do it. */
    const changed: EngineFactory = (options) => {
      const engine = createTsEngine({
        ...options,
        onEvents: (events) =>
          options.onEvents(
            events.map((event) => (event.type === 'closed' ? { ...event, bytesOut: event.bytesOut + 1 } : event)),
          ),
      });
      return engine;
    };
    const steps: Step[] = [{ op: 'end', peer: 'bob' }];
    const good = await run(ts, steps);
    const bad = await run(changed, steps);
    assert.throws(() => compare(good, bad), Difference);
  });
});
