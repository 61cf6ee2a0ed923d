// npm run soak:control -- [seconds [rate]]: a relay with the native engine under a steady load of messages, alone, then with 50 callers of
// the control interface at once, then with connections traced to a collector that does not read, then with all frames traced to it; in
// turn, three times. Exits 1 when a message is lost or a call is not answered as it should be. Prints how long messages took.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { CORES, accepting, freePort, start } from '../../bench/relay/processes.ts';
import { buildLoad } from '../../bench/relay/relays.ts';
import { callers } from './callers.ts';
import { endRelay, outcome, say, startRelay } from './relay.ts';

const seconds = Number(process.argv[2] ?? 8);
const rate = Number(process.argv[3] ?? 50_000);
if (!Number.isFinite(seconds) || seconds < 2) throw new Error(`seconds, 2 or more; not ${process.argv[2]}`);
if (!Number.isFinite(rate) || rate < 1) throw new Error(`messages a second, 1 or more; not ${process.argv[3]}`);

const ROUNDS = 3;
const CALLERS = 50;
const PHASES = ['alone', `${CALLERS} callers`, 'connections traced', 'frames traced'] as const;
type Phase = (typeof PHASES)[number];

interface Figures {
  readonly messages: number;
  readonly p50: number;
  readonly p99: number;
}

/** A collector that takes connections and never reads. */
const held = new Set<Socket>();
const collector = createServer((socket) => {
  held.add(socket.pause());
  socket.on('error', () => undefined);
}).listen(0, '127.0.0.1');
await once(collector, 'listening');
const { port: collectorPort } = collector.address() as AddressInfo;
const control = await freePort();
const url = `http://127.0.0.1:${control}`;
const load = buildLoad();
const relay = await startRelay(1, {
  msrp: ', trace_destination: x, trace_on: false, trace_frames: none',
  other: `hep: {hep_id: {x: "127.0.0.1:${collectorPort}"}}\ncontrol: {listen: "http:127.0.0.1:${control}"}\n`,
});
await accepting(relay, control);
const failures: string[] = [];
const figures = new Map<Phase, Figures[]>();

for (let round = 0; round < ROUNDS; round++)
  for (const phase of PHASES) {
    const result = await run(phase);
    if (result === undefined) continue;
    figures.set(phase, [...(figures.get(phase) ?? []), result]);
    say(`round ${round + 1}, ${phase}: ${result.messages} messages, p50 ${result.p50} µs, p99 ${result.p99} µs`);
  }

const alone = median(figures.get('alone'), 'p99');
for (const phase of PHASES) {
  const [p50, p99] = [median(figures.get(phase), 'p50'), median(figures.get(phase), 'p99')];
  say(`${phase}: p50 ${p50} µs, p99 ${p99} µs, ${(p99 / alone).toFixed(2)} times that of the load alone (medians)`);
}
const packets = /trace_packets_total\{outcome="dropped"\} (\d+)/.exec(await metrics())?.[1];
const lost = /trace_frames_lost_total (\d+)/.exec(await metrics())?.[1];
say(`of the trace: ${packets} packets dropped, ${lost} frames not told`);
const wrong = await endRelay(relay);
if (wrong !== undefined) failures.push(wrong);
for (const socket of held) socket.destroy();
collector.close();
for (const failure of failures) say(`failed: ${failure}`);
say(failures.length === 0 ? 'no message was lost, and every call was answered' : 'the relay has failed');
process.exitCode = failures.length === 0 ? 0 : 1;

/** The load of one phase. A message that is lost, or not what was sent, ends the load with another code than 0. */
async function run(phase: Phase): Promise<Figures | undefined> {
  await trace(phase === 'connections traced' ? 'none' : phase === 'frames traced' ? 'headers' : undefined);
  const steady = start(CORES.generator, load, [
    ...['chat', '--target', `127.0.0.1:${relay.port}`, '--pairs', '16', '--window', '0', '--rate', `${rate}`],
    ...['--warmup', '1', '--duration', `${seconds}`, '--patience', '20', '--verify', '--json'],
  ]);
  const over = new AbortController();
  void steady.ended.then(() => over.abort());
  if (phase === `${CALLERS} callers`) {
    const { calls, wrong: answers } = await callers(CALLERS, url, over.signal);
    say(`${calls} calls, ${answers.length} not answered as they should be`);
    failures.push(...[...new Set(answers)].slice(0, 5));
    if (calls < CALLERS) failures.push(`only ${calls} calls were answered`);
  }
  const code = await steady.ended;
  if (code !== 0) {
    failures.push(`${phase}: the load has ended with ${code}: ${outcome(steady)}`);
    return undefined;
  }
  const { units, latency_us: latency } = JSON.parse(steady.said.out) as {
    units: number;
    latency_us: { p50: number; p99: number };
  };
  if (units === 0) failures.push(`${phase}: nothing was delivered`);
  return { messages: units, p50: latency.p50, p99: latency.p99 };
}

/** Switches tracing: of connections alone (`none` of their frames), with the heads of frames, or off. */
async function trace(frames: 'none' | 'headers' | undefined): Promise<void> {
  if (frames !== undefined) {
    const text = readFileSync(relay.config, 'utf8').replace(/trace_frames: \w+/, `trace_frames: ${frames}`);
    writeFileSync(relay.config, text);
    await call('reload');
  }
  await call('msrp_trace', [frames === undefined ? 'off' : 'on']);
}

async function call(method: string, params: readonly string[] = []): Promise<void> {
  const response = await fetch(`${url}/rpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }),
  });
  const answer = (await response.json()) as { error?: { data?: unknown } };
  if (answer.error !== undefined) throw new Error(`${method}: ${String(answer.error.data)}`);
}

async function metrics(): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

function median(all: readonly Figures[] | undefined, of: 'p50' | 'p99'): number {
  const sorted = (all ?? []).map((figure) => figure[of]).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
