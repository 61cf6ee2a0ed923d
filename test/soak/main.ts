// npm run soak -- [seconds]: a relay with the native engine under chat load, while other peers die, reset, lie and stand still.
// Exits 1 on any failure: the relay has ended, the undisturbed load saw an error, or memory grew.
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CORES, start, stop } from '../../bench/relay/processes.ts';
import { buildLoad } from '../../bench/relay/relays.ts';
import { Hostile } from './hostile.ts';
import { endRelay, megabytes, memoryOf, outcome, say, startRelay } from './relay.ts';

const seconds = Number(process.argv[2] ?? 600);
if (!Number.isFinite(seconds) || seconds < 30) throw new Error(`seconds, 30 or more; not ${process.argv[2]}`);

/** What the relay may have grown by when all is over, since the first quarter: buffers that the allocator keeps. */
const GROWTH_BYTES = 64 * 1024 * 1024;
/** … and at any time: what is queued for readers that stand still. */
const PEAK_BYTES = 512 * 1024 * 1024;

const failures: string[] = [];
const load = buildLoad();
const relay = await startRelay(2);
const { port } = relay;
const target = ['--target', `127.0.0.1:${port}`];
const undisturbed = start(CORES.generator, load, [
  ...['chat', ...target, '--pairs', '16', '--window', '0', '--rate', '400', '--warmup', '2', '--patience', '20'],
  ...['--duration', `${seconds}`, '--verify', '--json'],
]);
const over = new AbortController();
void undisturbed.ended.then(() => over.abort());

const hostile = new Hostile(port);
const memory: number[] = [];
const killed = { chat: 0, file: 0 };
await Promise.all([rounds(), kills('chat'), kills('file'), watch()]);

const code = await undisturbed.ended;
hostile.end();
// What was meant for those who have gone is settled.
await sleep(3000);
const last = memoryOf(relay);
const settled = memory[memory.length >> 2] ?? last;
const peak = Math.max(...memory);
if (code !== 0) failures.push(`the undisturbed load has ended with ${code}: ${outcome(undisturbed)}`);
if (last > settled + GROWTH_BYTES) failures.push(`memory has grown from ${megabytes(settled)} to ${megabytes(last)}`);
if (peak > settled + PEAK_BYTES) failures.push(`memory was ${megabytes(peak)} at its peak, from ${megabytes(settled)}`);
const wrong = await endRelay(relay);
if (wrong !== undefined) failures.push(wrong);

const report =
  code === 0
    ? (JSON.parse(undisturbed.said.out) as { units: number; latency_us: { p50: number; p99: number } })
    : undefined;
say(
  `undisturbed: ${report?.units ?? 0} messages, p50 ${report?.latency_us.p50 ?? '?'} µs, p99 ${report?.latency_us.p99 ?? '?'} µs`,
);
say(`memory: ${megabytes(settled)} after a quarter, ${megabytes(peak)} at most, ${megabytes(last)} at the end`);
say(`meanwhile: ${JSON.stringify({ ...hostile.done, 'killed with SIGKILL': killed })}`);
for (const failure of failures) say(`failed: ${failure}`);
say(failures.length === 0 ? 'the relay has passed' : 'the relay has failed');
process.exitCode = failures.length === 0 ? 0 : 1;

/** Hostile peers, round after round, until the undisturbed load is over. */
async function rounds(): Promise<void> {
  while (!over.signal.aborted) {
    try {
      await hostile.round();
    } catch (error) {
      if (over.signal.aborted) return;
      failures.push(`a peer was not served: ${error instanceof Error ? error.message : String(error)}`);
      await sleep(1000);
    }
    await sleep(1000);
  }
}

/** Processes with many sessions that are killed in the middle. */
async function kills(kind: 'chat' | 'file'): Promise<void> {
  while (!over.signal.aborted) {
    const size = kind === 'chat' ? ['--window', '8'] : ['--size', '5000000', '--chunk', '1000000'];
    const victim = start(CORES.generator, load, [
      kind,
      ...target,
      '--pairs',
      '4',
      '--duration',
      '1000',
      '--warmup',
      '0',
      ...size,
    ]);
    await Promise.race([sleep(randomInt(500, 3000)), undisturbed.ended]);
    if (victim.child.exitCode !== null) failures.push(`a load has ended by itself: ${outcome(victim)}`);
    await stop(victim);
    killed[kind]++;
    await Promise.race([sleep(1000), undisturbed.ended]);
  }
}

async function watch(): Promise<void> {
  while (!over.signal.aborted) {
    if (relay.child.exitCode !== null) return;
    memory.push(memoryOf(relay));
    await Promise.race([sleep(1000), undisturbed.ended]);
  }
}
