import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Cores that relays and the generator are pinned to. */
export const CORES = { relay: 0, generator: 1 } as const;

const running = new Set<ChildProcess>();

/** A folder for configurations; it goes when this process does. */
export const folder = mkdtempSync(join(tmpdir(), 'msrpd-bench-'));

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

/** A command that was started, and what it has said so far. */
export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The last lines of stdout and stderr. */
  readonly said: { out: string; error: string };
  readonly ended: Promise<number | null>;
}

/** Bytes of output that are kept. */
const KEPT = 65_536;

/** Starts a command pinned to a core, where the machine has two and `taskset`. */
export function start(core: number, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const [name, all] = canPin() ? ['taskset', ['-c', `${core}`, command, ...args]] : [command, [...args]];
  const child = spawn(name, all, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  running.add(child);
  const said = { out: '', error: '' };
  child.stdout.on('data', (data: Buffer) => (said.out = (said.out + data.toString()).slice(-KEPT)));
  child.stderr.on('data', (data: Buffer) => (said.error = (said.error + data.toString()).slice(-KEPT)));
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', (error) => {
      said.error += error.message;
      running.delete(child);
      resolve(null);
    });
    child.on('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return { child, pid: child.pid ?? 0, said, ended };
}

/** Ends a process; resolves when it is gone. */
export async function stop({ child, ended }: Started): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}

let pinning: boolean | undefined;

/** True when relays and generator can have a core each. */
export function canPin(): boolean {
  pinning ??= cpus().length >= 2 && spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;
  return pinning;
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const READY_MS = 20_000;
const RETRY_MS = 20;

/** Waits until `port` accepts connections. Rejects with what the process said when it ends first, or takes too long. */
export async function accepting(started: Started, port: number): Promise<void> {
  const deadline = Date.now() + READY_MS;
  let ended = false;
  void started.ended.then(() => (ended = true));
  while (!(await canConnect(port))) {
    if (ended) throw new Error(lastLine(started.said.error) || 'the process has ended');
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port} after ${READY_MS / 1000} s`);
    await sleep(RETRY_MS);
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const tell = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => tell(true));
    socket.once('error', () => tell(false));
  });
}

/** The last line that is not empty. */
export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
