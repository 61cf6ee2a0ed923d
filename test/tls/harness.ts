import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ClosedEvent,
  EngineFactory,
  EngineLimits,
  HandshakeFailure,
  OpenedEvent,
  TlsDomain,
  TlsServerSpec,
} from '../../src/engine/engine.ts';
import { TestCa } from '../listen/certificates.ts';
import type { Issue, Pair } from '../listen/certificates.ts';
import { Bench, send, until, within } from '../engine/harness.ts';
import type { ManualClock } from '../engine/harness.ts';

export const folder = mkdtempSync(join(tmpdir(), 'msrpd-tls-'));

/** Writes a file; returns its path. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** The certificates of the suite. */
export const ca = await TestCa.create();
export const stranger = await TestCa.create('another CA');
export const caFile = file('ca.pem', ca.certificate);

let issued = 0;

/** A certificate with its key in one file, as `openssl -cert FILE` takes it. */
export async function issue(options: Issue, from = ca): Promise<Pair & { readonly path: string }> {
  const pair = await from.issueWith(options);
  return { ...pair, path: file(`own${++issued}.pem`, `${pair.certificate}\n${pair.key}`) };
}

export function domain(name: string, pairs: readonly Pair[], more: Partial<TlsDomain> = {}): TlsDomain {
  return {
    name,
    identities: pairs.map(({ certificate, key }) => ({ certificate, privateKey: key })),
    ca: ca.certificate,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    verifyCert: true,
    requireCert: false,
    ...more,
  };
}

/** An engine with a plain listener and a TLS one. */
export class TlsBench extends Bench {
  tlsPort = 0;
  listener = 0;
  #dials = 0;

  static async listen(make: EngineFactory, tls: TlsServerSpec, limits: Partial<EngineLimits> = {}): Promise<TlsBench> {
    const bench = new TlsBench(make, limits);
    try {
      await bench.#listen(tls);
    } catch (error) {
      await bench.stop();
      throw error;
    }
    return bench;
  }

  async #listen(tls: TlsServerSpec): Promise<void> {
    const plain = await this.engine.listen({ address: '127.0.0.1', port: 0 });
    this.port = plain.port;
    this.engine.setAuthorities([{ host: '127.0.0.1', port: plain.port }]);
    const { listener, port } = await this.engine.listen({ address: '127.0.0.1', port: 0, tls });
    this.listener = listener;
    this.tlsPort = port;
  }

  /** What a handshake of `openssl s_client` comes to, on the side of the relay. */
  async handshake(...args: string[]): Promise<OpenedEvent | ClosedEvent> {
    const client = new Openssl('s_client', '-connect', `127.0.0.1:${this.tlsPort}`, ...args);
    try {
      const event = await this.outcome('in');
      if (event.type === 'opened') {
        this.engine.closeConnection(event.connection, 'command');
        await this.event('closed', ({ connection }) => connection === event.connection);
      }
      return event;
    } finally {
      await client.end();
    }
  }

  /** The next connection that has opened, or whose handshake has failed. */
  async outcome(way: 'in' | 'out'): Promise<OpenedEvent | ClosedEvent> {
    let at = -1;
    await until(`a connection ${way}`, () => {
      at = this.events.findIndex(
        (event) =>
          (event.type === 'opened' && event.direction === way && event.tls !== undefined) ||
          (event.type === 'closed' && event.direction === way && event.handshake !== undefined),
      );
      return at >= 0;
    });
    return this.events.splice(at, 1)[0] as OpenedEvent | ClosedEvent;
  }

  /** Dials `port` with a domain, for a SEND of a client of this relay. */
  async dial(own: TlsDomain, serverName: string, port: number): Promise<void> {
    const n = ++this.#dials;
    const client = await this.client(`dial${n}`);
    client.peer.write(send(`dial${n}`, [client.uri, `msrps://${serverName}:${port}/x${n};tcp`], client.own));
    const { hop } = await this.event('hop');
    this.engine.connectHop(hop, {
      key: `${n}`,
      candidates: [{ address: '127.0.0.1', port }],
      timeoutMs: 60_000,
      tls: { domain: own, serverName },
    });
  }
}

export function protocolOf(event: OpenedEvent | ClosedEvent): string {
  return event.type === 'opened' ? (event.tls?.protocol ?? '') : String(event.handshake);
}

export function failureOf(event: OpenedEvent | ClosedEvent): HandshakeFailure | undefined {
  return event.type === 'closed' ? event.handshake : undefined;
}

/** An openssl process; its input stays open until {@link end}. */
export class Openssl {
  output = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #wake: (() => void)[] = [];

  constructor(...args: string[]) {
    this.#child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
        for (const wake of this.#wake.splice(0)) wake();
      });
    this.#child.stdin?.on('error', () => undefined);
    void this.#closed.then(() => {
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  async says(pattern: RegExp): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!pattern.test(this.output)) await new Promise<void>((resolve) => this.#wake.push(resolve));
    };
    await within(`openssl to say ${String(pattern)}, not ${this.output}`, wait());
  }

  closed(): Promise<void> {
    return within('the end of openssl', this.#closed);
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    this.#child.kill();
    await this.closed();
  }
}

/** Waits until a file has something in it. Time passes meanwhile: a ticket may wait a tick for an answer to go with. */
export async function filled(path: string, clock: ManualClock): Promise<void> {
  await untilLater(`something in ${path}`, clock, 100, () => {
    return existsSync(path) && /-----END/.test(readFileSync(path, 'utf8'));
  });
}

/** As `until`, while time passes by the step: slowly enough for what takes real time to come first. */
export async function untilLater(
  what: string,
  clock: ManualClock,
  stepMs: number,
  holds: () => boolean,
): Promise<void> {
  await until(what, async () => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    clock.advance(stepMs);
    return holds();
  });
}
