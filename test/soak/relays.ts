// npm run soak:relays -- [seconds]: 256 conversations through one connection between two relays, while on the same relays messages
// of 100 MB pass in one chunk, readers stop and senders die. Exits 1 when anything is lost, when memory grows, when the relays use
// more than one connection, or when other sessions wait.
import { setTimeout as sleep } from 'node:timers/promises';
import { CORES, start } from '../../bench/relay/processes.ts';
import type { Started } from '../../bench/relay/processes.ts';
import { buildLoad } from '../../bench/relay/relays.ts';
import { Hostile } from './hostile.ts';
import { connectionsTo, endRelay, megabytes, memoryOf, outcome, say, startRelay } from './relay.ts';

const seconds = Number(process.argv[2] ?? 60);
if (!Number.isFinite(seconds) || seconds < 20) throw new Error(`seconds, 20 or more; not ${process.argv[2]}`);

/** What the relays may hold more than before: outboxes of readers that have stopped, and what the allocator keeps. */
const GROWTH_BYTES = 128 * 1024 * 1024;
/** 99 of 100 messages of sessions that have nothing to do with the trouble take less. */
const P99_US = 20_000;

const failures: string[] = [];
const load = buildLoad();
const relays = [await startRelay(1), await startRelay(1)] as const;
const [near, far] = relays.map(({ port }) => `127.0.0.1:${port}`) as [string, string];

const across = ['--target', near, '--both-auth', '--peer-target', far];
const steady = ['--window', '0', '--warmup', '2', '--patience', '20', '--duration', `${seconds}`, '--verify', '--json'];
const loads = {
  'others, on one relay': begin('chat', ['--target', near, '--pairs', '16', '--rate', '400', ...steady]),
  'others, through both': begin('chat', [...across, '--pairs', '16', '--rate', '400', ...steady]),
  '256 pairs through both': begin('chat', [...across, '--pairs', '256', '--rate', '2000', ...steady]),
} as const;
await sleep(3000);
const before = relays.map(memoryOf);
const peaks = [...before];
const long = begin('file', [
  ...[...across, '--pairs', '1', '--size', '100000000', '--chunk', '100000000', '--window', '1', '--warmup', '0'],
  ...['--duration', `${seconds - 5}`, '--patience', '20', '--verify', '--json'],
]);

const over = new AbortController();
const ended = Promise.all(Object.values(loads).map((each) => each.ended)).then(() => over.abort());
const hostile = new Hostile(relays[0].port);
await Promise.all([trouble(), watch(), ended, long.ended]);
hostile.end();

for (const [name, each] of Object.entries({ ...loads, '100 MB in one chunk': long })) await judge(name, each);
for (const [i, relay] of relays.entries()) {
  const [was, peak] = [before[i] ?? 0, peaks[i] ?? 0];
  say(`memory of relay ${i + 1}: ${megabytes(was)} before the trouble, ${megabytes(peak)} at most`);
  if (peak > was + GROWTH_BYTES) failures.push(`memory was ${megabytes(peak)}, from ${megabytes(was)}`);
  const wrong = await endRelay(relay);
  if (wrong !== undefined) failures.push(wrong);
}
say(`meanwhile: ${JSON.stringify(hostile.done)}`);
for (const failure of failures) say(`failed: ${failure}`);
say(failures.length === 0 ? 'the relays have passed' : 'the relays have failed');
process.exitCode = failures.length === 0 ? 0 : 1;

function begin(kind: 'chat' | 'file', options: readonly string[]): Started {
  return start(CORES.generator, load, [kind, ...options]);
}

/** Readers that stop, and senders and receivers that die inside a chunk, one after the other. */
async function trouble(): Promise<void> {
  while (!over.signal.aborted) {
    try {
      await hostile.trouble();
    } catch (error) {
      if (!over.signal.aborted) failures.push(`a peer was not served: ${String(error)}`);
    }
    await Promise.race([sleep(1000), ended]);
  }
}

async function watch(): Promise<void> {
  while (!over.signal.aborted) {
    for (const [i, relay] of relays.entries()) {
      if (relay.child.exitCode !== null) return;
      peaks[i] = Math.max(peaks[i] ?? 0, memoryOf(relay));
    }
    const [one, other] = relays;
    const between = connectionsTo(one, other.port) + connectionsTo(other, one.port);
    if (between !== 1) failures.push(`${between} connections between the relays`);
    await Promise.race([sleep(1000), ended]);
  }
}

async function judge(name: string, each: Started): Promise<void> {
  const code = await each.ended;
  if (code !== 0) {
    failures.push(`${name}: ended with ${code}: ${outcome(each)}`);
    return;
  }
  const { units, latency_us: latency } = JSON.parse(each.said.out) as {
    units: number;
    latency_us: { p50: number; p99: number; max: number };
  };
  say(`${name}: ${units} messages, p50 ${latency.p50} µs, p99 ${latency.p99} µs, at most ${latency.max} µs`);
  if (name.startsWith('others') && latency.p99 >= P99_US) failures.push(`${name}: p99 is ${latency.p99} µs`);
  if (units === 0) failures.push(`${name}: nothing was delivered`);
}
