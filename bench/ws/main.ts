// npm run bench:ws [-- --rounds N] [--sessions N]: uWebSockets.js beside ws in one run: CPU of the relay for a message delivered, on
// each engine, and memory of an idle session. Run it pinned away from the relay: taskset -c 1 npm run bench:ws
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CORES, accepting, folder, freePort, start, stop } from '../relay/processes.ts';
import type { Started } from '../relay/processes.ts';
import { estimate } from '../relay/statistics.ts';
import { LoadClient } from './client.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '3' },
  },
});
const [rounds, sessions, seconds] = [Number(values.rounds), Number(values.sessions), Number(values.seconds)];

const IMPLEMENTATIONS = ['uws', 'ws'] as const;
const ENGINES = ['native', 'ts'] as const;
const SCENARIOS = [
  { name: '200 octets, window 1', octets: 200, window: 1, pairs: 16 },
  { name: '200 octets, window 16', octets: 200, window: 16, pairs: 16 },
  { name: '16,000 octets, window 4', octets: 16_000, window: 4, pairs: 16 },
] as const;

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

async function startRelay(implementation: string, engine: string): Promise<{ relay: Started; port: number }> {
  const port = await freePort();
  const hooks = join(folder, 'hooks.mjs');
  writeFileSync(hooks, 'export const websocket = ({ query }) => ({ user: query });\n');
  const config = join(folder, `${implementation}-${engine}.yaml`);
  writeFileSync(
    config,
    `
workers: 1
listeners: ["ws:127.0.0.1:${port}"]
websocket: {implementation: ${implementation}}
msrp: {send_timeout: 30000, max_msg_chunks: 0}
relay: {allow_plain_auth: true, allow_ip_use_path: true}
limits: {probation_s: 0}
hooks: ${JSON.stringify(hooks)}
log: {level: warn, destination: stderr}
`,
  );
  const relay = start(CORES.relay, process.execPath, [main, 'serve', '-c', config], { MSRPD_ENGINE: engine });
  await accepting(relay, port);
  await answering(port);
  return { relay, port };
}

/** Waits for HTTP: before uWebSockets.js takes a port, another socket finds out whether it is free, and resets whoever has come. */
async function answering(port: number): Promise<void> {
  const refusal = async (): Promise<number> => {
    try {
      return (await fetch(`http://127.0.0.1:${port}/`)).status;
    } catch {
      return 0;
    }
  };
  while ((await refusal()) !== 426) await sleep(10);
}

/** CPU time of a process in µs: user and system, in ticks of 10 ms. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** CPU for a message in µs, and messages a second. */
async function traffic(
  { relay, port }: { relay: Started; port: number },
  { octets, window, pairs }: (typeof SCENARIOS)[number],
): Promise<{ us: number; perS: number }> {
  const clients: LoadClient[] = [];
  let delivered = 0;
  let running = true;
  const body = 'x'.repeat(octets);
  for (let i = 0; i < pairs; i++) {
    const [a, b] = [await LoadClient.connect(port, `a${i}`), await LoadClient.connect(port, `b${i}`)];
    clients.push(a, b);
    b.onSend = () => {
      delivered++;
      if (running) a.send(b, body);
    };
    for (let k = 0; k < window; k++) a.send(b, body);
  }
  await sleep(1000);
  const [beforeUs, before, from] = [cpuUs(relay.pid), delivered, performance.now()];
  await sleep(seconds * 1000);
  const [us, count, ms] = [cpuUs(relay.pid) - beforeUs, delivered - before, performance.now() - from];
  running = false;
  for (const client of clients) client.close();
  await sleep(200);
  return { us: us / count, perS: (count / ms) * 1000 };
}

/** Bytes of the relay for an idle session. */
async function idle({ relay, port }: { relay: Started; port: number }): Promise<number> {
  const open = async (from: number, to: number): Promise<LoadClient[]> => {
    const clients: LoadClient[] = [];
    for (let i = from; i < to; i += 100)
      clients.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(100, to - i) }, (_, k) => LoadClient.connect(port, `s${i + k}`)),
        )),
      );
    return clients;
  };
  // What the first sessions cost is not what a session costs.
  const first = await open(0, 500);
  await sleep(1000);
  const before = residentBytes(relay.pid);
  const rest = await open(500, 500 + sessions);
  await sleep(2000);
  const bytes = (residentBytes(relay.pid) - before) / sessions;
  for (const client of [...first, ...rest]) client.close();
  return bytes;
}

const table: string[][] = [];
for (const scenario of SCENARIOS) {
  const figures = new Map<string, { us: number[]; perS: number[] }>();
  for (let round = 0; round < rounds; round++) {
    for (const engine of ENGINES) {
      for (const implementation of round % 2 === 0 ? IMPLEMENTATIONS : IMPLEMENTATIONS.toReversed()) {
        const started = await startRelay(implementation, engine);
        console.error(`round ${round + 1}: ${scenario.name}, ${implementation}, ${engine}`);
        const { us, perS } = await traffic(started, scenario);
        await stop(started.relay);
        const name = `${implementation}, ${engine}`;
        const figure = figures.get(name) ?? { us: [], perS: [] };
        figure.us.push(us);
        figure.perS.push(perS);
        figures.set(name, figure);
      }
    }
  }
  for (const engine of ENGINES) {
    const [uws, ws] = IMPLEMENTATIONS.map((implementation) => figures.get(`${implementation}, ${engine}`)?.us ?? []);
    const show = (list: readonly number[] = []): string =>
      `${estimate(list).median.toFixed(1)} (${Math.min(...list).toFixed(1)}–${Math.max(...list).toFixed(1)})`;
    table.push([
      scenario.name,
      engine,
      show(uws),
      show(ws),
      (estimate(ws ?? []).median / estimate(uws ?? []).median).toFixed(2),
    ]);
  }
}
console.log('| messages | engine | uWebSockets.js | ws | ws / uWebSockets.js |\n|---|---|---|---|---|');
for (const row of table) console.log(`| ${row.join(' | ')} |`);
console.log(`\n| idle sessions | engine | uWebSockets.js | ws |\n|---|---|---|---|`);
for (const engine of ENGINES) {
  const cells: string[] = [];
  for (const implementation of IMPLEMENTATIONS) {
    console.error(`idle sessions: ${implementation}, ${engine}`);
    const started = await startRelay(implementation, engine);
    cells.push(`${((await idle(started)) / 1024).toFixed(1)} KB`);
    await stop(started.relay);
  }
  console.log(`| ${sessions} | ${engine} | ${cells.join(' | ')} |`);
}
process.exit(0);
