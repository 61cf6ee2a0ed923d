import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CORES, accepting, folder, freePort, lastLine, start } from '../../bench/relay/processes.ts';
import type { Started } from '../../bench/relay/processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A relay under test, a process of its own. */
export interface RelayUnderTest extends Started {
  readonly port: number;
  /** Its configuration file. */
  readonly config: string;
}

/**
 * Starts a relay with the native engine that serves AUTH without TLS on loopback; `workers` threads. `more`: further keys of the
 * configuration; those of `msrp` with a comma in front.
 */
export async function startRelay(workers: number, more = { msrp: '', other: '' }): Promise<RelayUnderTest> {
  const port = await freePort();
  const config = join(folder, `soak-${port}.yaml`);
  const users = join(folder, 'users.txt');
  writeFileSync(users, 'alice::secret\n');
  writeFileSync(
    config,
    `workers: ${workers}\nlisteners: ['msrp:127.0.0.1:${port}']\nmsrp: {send_timeout: 5000, max_msg_chunks: 0${more.msrp}}\n${more.other}` +
      'relay:\n  allow_plain_auth: true\n  allow_ip_use_path: true\n  next_hops: {allow: [127.0.0.0/8]}\n' +
      `  users: {file: ${JSON.stringify(users)}}\nlog: {level: error, destination: stderr}\n`,
  );
  const args = [join(root, 'dist', 'cli', 'main.js'), 'serve', '-c', config];
  const started = start(CORES.relay, process.execPath, args, { MSRPD_ENGINE: 'native' });
  await accepting(started, port);
  return { ...started, port, config };
}

/** Ends a relay as an operator does; what is wrong with how it ends, if anything. */
export async function endRelay({ child, ended, said }: Started): Promise<string | undefined> {
  if (child.exitCode !== null) return `the relay has ended: ${lastLine(said.error)}`;
  child.kill('SIGTERM');
  const code = await Promise.race([ended, sleep(30_000)]);
  child.kill('SIGKILL');
  return code === 0 ? undefined : `the relay does not end as it should: ${String(code)}`;
}

/** Resident memory in bytes. */
export function memoryOf({ pid }: Started): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/** Established TCP connections over IPv4 of a process to a port. */
export function connectionsTo({ pid }: Started, port: number): number {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // It was closed meanwhile.
    }
  }
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  // sl local_address rem_address st … inode: addresses are hexadecimal, state 01 is ESTABLISHED.
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , remote, state]) => state === '01' && Number.parseInt(remote?.split(':')[1] ?? '', 16) === port)
    .filter((row) => inodes.has(row[9] ?? '')).length;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MB`;
}

/** What a load has said, for a failure. */
export function outcome({ said }: Started): string {
  return said.out.slice(-1000) || lastLine(said.error);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
