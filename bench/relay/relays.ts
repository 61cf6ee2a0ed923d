import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { certificateFiles } from './certificate.ts';
import type { CertificateFiles } from './certificate.ts';
import { CORES, accepting, folder, freePort, lastLine, start, stop } from './processes.ts';
import type { Started } from './processes.ts';
import type { Contender } from './results.ts';

/** A relay that accepts connections. */
export interface Relay {
  readonly contender: Contender;
  readonly address: string;
  readonly process: Started;
}

/** Who authenticates at every relay; the defaults of msrp-load. */
const [USER, PASSWORD] = ['alice', 'secret'];

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds msrp-load and returns its path. Throws when it cannot be built. */
export function buildLoad(): string {
  const args = ['build', '--release', '--package', 'msrp-load', '--message-format', 'json-render-diagnostics'];
  const cargo = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (cargo.error) throw new Error(`the load generator needs cargo: ${cargo.error.message}`);
  if (cargo.status !== 0) throw new Error('the load generator does not compile');
  for (const line of cargo.stdout.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { executable, target } = JSON.parse(line) as { executable?: string | null; target?: { name: string } };
    if (typeof executable === 'string' && target?.name === 'msrp-load') return executable;
  }
  throw new Error('cargo has not told where the load generator is');
}

/** Starts a relay, plain or with TLS; rejects with the reason when it cannot run. */
export async function startRelay(contender: Contender, load: string, tls = false): Promise<Relay> {
  const files = tls ? await certificateFiles() : undefined;
  return contender === 'bare' ? startBare(load, files) : startMsrpd(contender, files);
}

/** Ends a relay. */
export async function stopRelay(relay: Relay): Promise<void> {
  await stop(relay.process);
}

async function startBare(load: string, tls: CertificateFiles | undefined): Promise<Relay> {
  const port = await freePort();
  const secure = tls === undefined ? [] : ['--cert', tls.certificate, '--key', tls.key];
  const process = start(CORES.relay, load, ['relay', '--listen', `127.0.0.1:${port}`, ...secure]);
  await ready(process, port);
  return { contender: 'bare', address: `127.0.0.1:${port}`, process };
}

async function startMsrpd(engine: Exclude<Contender, 'bare'>, tls: CertificateFiles | undefined): Promise<Relay> {
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const config = join(folder, `${engine}-${port}.yaml`);
  writeFileSync(users, `${USER}::${PASSWORD}\n`);
  writeFileSync(config, configuration(port, users, tls));
  const args = [join(root, 'dist', 'cli', 'main.js'), 'serve', '-c', config];
  const started = start(CORES.relay, process.execPath, args, { MSRPD_ENGINE: engine });
  await ready(started, port);
  return { contender: engine, address: `127.0.0.1:${port}`, process: started };
}

async function ready(started: Started, port: number): Promise<void> {
  try {
    await accepting(started, port);
  } catch (error) {
    await stop(started);
    throw error;
  }
}

/** One worker: a core is what is measured. Timeouts that a busy machine does not run into. */
function configuration(port: number, users: string, tls: CertificateFiles | undefined): string {
  const domain = tls && { certificate: tls.certificate, private_key: tls.key, verify_cert: false };
  return `
workers: 1
listeners: ['${tls ? 'msrps' : 'msrp'}:127.0.0.1:${port}']
msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 10000}
relay:
  allow_plain_auth: true
  allow_ip_use_path: true
  next_hops: {allow: [127.0.0.0/8]}
  users: {file: ${JSON.stringify(users)}}
log: {level: warn, destination: stderr}
${domain ? `tls: {domains: {default: ${JSON.stringify(domain)}}}` : ''}
`;
}

/** What msrp-load reports, as far as it is read here. */
export interface LoadReport {
  readonly units: number;
  readonly units_per_s?: number;
  readonly latency_us?: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly memory?: { readonly bytes_per_session: number };
  readonly cpu: Readonly<
    Record<'relay' | 'generator', { readonly cpu_percent: number; readonly us_per_unit: number | null }>
  >;
  readonly warnings?: readonly string[];
}

/** Runs a load against a relay. Rejects when there is no result, or one with errors in it. */
export async function runLoad(load: string, relay: Relay, args: readonly string[]): Promise<LoadReport> {
  const target = ['--target', relay.address, '--relay-pid', `${relay.process.pid}`, '--json'];
  const generator = start(CORES.generator, load, [...args, ...target]);
  const code = await generator.ended;
  if (code === 0) return JSON.parse(generator.said.out) as LoadReport;
  const { error_kinds: kinds } = (code === 3 ? JSON.parse(generator.said.out) : {}) as { error_kinds?: unknown };
  const reason = kinds === undefined ? lastLine(generator.said.error) : `errors: ${JSON.stringify(kinds)}`;
  throw new Error(`${relay.contender}: ${reason || `the load generator ended with ${code}`}`);
}
