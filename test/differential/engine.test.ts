import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { createTsEngine } from '../../src/engine/ts/engine.ts';
import { CLOSE_REASONS } from '../../src/engine/engine.ts';
import type { CloseReason, EngineFactory, EngineOptions } from '../../src/engine/engine.ts';
import { createNativeEngine } from '../../src/engine/native/engine.ts';
import { theAddon } from '../addon/native.ts';
import { RELAY, longScript, shortScript, threadedScript } from './engine-script.ts';
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

/** Why connections were closed in them. */
const closes = new Set<string>();
/** What no script can lead to, and why. */
const NEVER: Readonly<Partial<Record<CloseReason, string>>> = {
  max_msg_chunks: 'how much one read brings is for the kernel to say',
  send_timeout: 'it takes a peer that does not read',
  auth_failures: 'the control plane counts them',
  max_connections: 'not limited here',
  max_connections_per_ip: 'not limited here',
  tls_handshake_timeout: 'no TLS: it is another library on each side',
  tls_handshake_failed: 'no TLS',
  max_handshakes: 'no TLS',
  connect_timeout: 'the loopback interface answers at once',
  websocket_limit: 'the control plane closes for it',
  shutdown: 'transcripts end before',
};

/** Runs of scripts that came to their end: six, when all tests are run. */
let ended = 0;

function count(transcript: Transcript): void {
  for (const line of transcript) {
    const [, reason] = /^event .*"reason":"(\w+)".*"type":"closed"/.exec(line) ?? [];
    if (reason !== undefined) closes.add(reason);
    for (const [kind] of line.matchAll(
      /(?<=^\w+ )traced \w+|"type":"\w+"|(?<=MSRP #?\w+ )(SEND|REPORT|AUTH|NICKNAME|FROB|\d{3})/g,
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
  ended++;
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

  after(() => {
    // When tests were chosen by name, there is less to be seen.
    if (ended < 6) return;
    for (const type of ['opened', 'closed', 'request', 'hop', 'sessionClosed', 'authRejected'])
      assert.ok(seen.has(`"type":"${type}"`), type);
    assert.deepEqual([...closes].toSorted(), CLOSE_REASONS.filter((reason) => !(reason in NEVER)).toSorted());
    for (const method of ['SEND', 'REPORT', 'AUTH', 'NICKNAME', 'FROB']) assert.ok(seen.has(method), method);
    for (const status of [200, 400, 403, 408, 413, 481, 501, 506]) assert.ok(seen.has(`${status}`), `${status}`);
  });
});

describe('a difference between engines is found', () => {
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

  /** What an engine may get wrong: a word of an event, a counter, the status of an answer. */
  const changes: Readonly<Record<string, EngineFactory>> = {
    event: (options) =>
      createTsEngine({
        ...options,
        onEvents: (events) =>
          options.onEvents(
            events.map((event) => (event.type === 'closed' ? { ...event, bytesOut: event.bytesOut + 1 } : event)),
          ),
      }),
    counter: (options) => {
      const engine = createTsEngine(options);
      const stats = engine.stats.bind(engine);
      return Object.assign(engine, { stats: () => ({ ...stats(), bytesIn: stats().bytesIn + 1 }) });
    },
    status: (options) => {
      const engine = createTsEngine(options);
      const say = engine.answer.bind(engine);
      const answer: typeof say = (request, given) => say(request, { ...given, status: given.status + 1 });
      return Object.assign(engine, { answer });
    },
  };

  for (const [what, changed] of Object.entries(changes)) {
    it(`an engine with another ${what}`, async () => {
      const asks = { to: [RELAY], from: undefined, headers: [], body: undefined, flag: '$', cut: 0 };
      const steps: Step[] = [
        { op: 'request', peer: 'bob', method: 'AUTH', ...asks },
        { op: 'end', peer: 'bob' },
      ];
      const good = await run(ts, steps);
      compare(good, await run(ts, steps));
      const bad = await run(changed, steps);
      assert.throws(() => compare(good, bad), Difference);
    });
  }
});
