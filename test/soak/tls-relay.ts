import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CORES, folder, freePort, start } from '../../bench/relay/processes.ts';
import type { Started } from '../../bench/relay/processes.ts';
import { within } from '../engine/harness.ts';
import type { Pair, TestCa } from '../listen/certificates.ts';
import { memoryOf } from './relay.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** On SIGUSR2 the relay collects and says what is left. Finalizers of native handles run a turn later. */
const COLLECTS = `data:text/javascript,process.on('SIGUSR2', () => {
  gc();
  setImmediate(() => process.stderr.write(JSON.stringify({ msg: 'collected', level: 10, ...process.memoryUsage() }) + '\\n'));
})`;

/** Bytes. */
export interface Memory {
  /** Of the process: what its allocators keep is part of it. */
  readonly resident: number;
  /** Of JavaScript, what somebody still has. */
  readonly live: number;
}

/** A line of the relay's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly problems?: readonly string[];
  readonly heapUsed?: number;
  readonly external?: number;
}

/** A relay with TLS, a process of its own, whose files are changed and which is told so by SIGHUP. */
export class TlsRelay {
  readonly process: Started;
  readonly port: number;
  readonly uri: string;
  /** Lines of level warn and above: what nobody has asked for, unless it has. */
  readonly complaints: LogLine[] = [];
  readonly #files: Files;
  #wanted: { readonly msg: RegExp; readonly take: (line: LogLine) => void } | undefined;

  /** Serves with the first certificate; user alice, password secret. */
  static async start(engine: 'native' | 'ts', ca: TestCa, first: Pair): Promise<TlsRelay> {
    const port = await freePort();
    const files = new Files(`reload-${engine}-${port}`);
    files.certificate(first);
    files.user('nobody');
    files.write('ca', ca.certificate);
    files.write(
      'config',
      `workers: 2\nlisteners: [{uri: "msrps:127.0.0.1:${port}", advertise: "localhost:${port}"}]\n` +
        'msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 20000}\n' +
        `relay:\n  next_hops: {allow: [127.0.0.0/8]}\n  users: {file: ${files.path('users')}}\n` +
        `tls: {domains: {default: {certificate: ${files.path('certificate')}, private_key: ${files.path('key')}, ` +
        `ca_list: ${files.path('ca')}}}}\nlog: {destination: stderr}\n`,
    );
    const args = ['--expose-gc', '--import', COLLECTS, main, 'serve', '-c', files.path('config')];
    const started = start(CORES.relay, process.execPath, args, { MSRPD_ENGINE: engine, NODE_OPTIONS: '' });
    const relay = new TlsRelay(started, port, files);
    // Not by connecting: that would be a failed handshake.
    await relay.#line(/^engine chosen$/);
    return relay;
  }

  private constructor(started: Started, port: number, files: Files) {
    this.process = started;
    this.port = port;
    this.uri = `msrps://localhost:${port};tcp`;
    this.#files = files;
    let rest = '';
    started.child.stderr?.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#onLine(line);
    });
  }

  /** Changes files, and resolves with the line that the relay writes when it has read them. */
  async reload(change: (files: Files) => void): Promise<LogLine> {
    change(this.#files);
    const told = this.#line(/^configuration (not )?reloaded$/);
    this.process.child.kill('SIGHUP');
    return told;
  }

  /** When what nobody has any more is gone: that the collector takes its time is no growth. */
  async memory(): Promise<Memory> {
    let live = 0;
    for (let i = 0; i < 2; i++) {
      const told = this.#line(/^collected$/);
      this.process.child.kill('SIGUSR2');
      const { heapUsed = 0, external = 0 } = await told;
      live = heapUsed + external;
    }
    return { resident: memoryOf(this.process), live };
  }

  /** File descriptors that are open. */
  descriptors(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }

  /** The next line with that text. */
  #line(msg: RegExp): Promise<LogLine> {
    const ended = this.process.ended.then(() =>
      Promise.reject(new Error(`the relay has ended: ${this.process.said.error}`)),
    );
    const line = new Promise<LogLine>((take) => (this.#wanted = { msg, take }));
    return within(`a line of the log: ${String(msg)}`, Promise.race([line, ended]));
  }

  #onLine(text: string): void {
    const line: LogLine = text.startsWith('{') ? (JSON.parse(text) as LogLine) : { level: 60, msg: text };
    if (this.#wanted?.msg.test(line.msg) === true) this.#wanted.take(line);
    else if (line.level >= 40) this.complaints.push(line);
  }
}

/** What the relay reads at its start and at each reload. */
export class Files {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  path(of: string): string {
    return join(folder, `${this.#name}.${of}`);
  }

  write(of: string, text: string): void {
    writeFileSync(this.path(of), text, { mode: 0o600 });
  }

  certificate({ certificate, key }: Pair): void {
    this.write('certificate', certificate);
    this.write('key', key);
  }

  /** Besides alice. */
  user(name: string): void {
    this.write('users', `alice::secret\n${name}::secret\n`);
  }
}
