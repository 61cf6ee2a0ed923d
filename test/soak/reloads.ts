import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import type { Pair } from '../listen/certificates.ts';
import { endRelay } from './relay.ts';
import { TlsLoad } from './tls-load.ts';
import { TlsRelay } from './tls-relay.ts';
import type { Memory } from './tls-relay.ts';

/** What came of it. */
export interface ReloadReport {
  /** Empty: it has passed. */
  readonly failures: string[];
  readonly reloads: number;
  readonly refused: number;
  readonly messages: number;
  readonly seconds: number;
  /** After the warm-up, then behind each tenth of the reloads. */
  readonly memory: readonly Memory[];
  /** After the warm-up, and at the end. */
  readonly descriptors: readonly [number, number];
}

/**
 * What the relay may hold more at the end than half-way: less than one of a thousand reloads leaves behind when it leaves its
 * certificates or a TLS context. Resident memory grows in steps, as the allocators of the platform take it.
 */
const GROWTH_BYTES = { live: 2 * 1024 * 1024, resident: 8 * 1024 * 1024 } as const;

/** Every so many reloads the certificate is broken, … */
const BROKEN_EVERY = 10;
/** … and every so many there is another user. */
const USERS_EVERY = 7;

const DAYS = { daysLeft: 90 } as const;

/**
 * A relay that is reloaded `reloads` times by SIGHUP while TLS sessions talk through it: with two certificates by turns, now and then
 * with a broken one, now and then with other users. After each reload a new connection looks which certificate it is shown. No
 * connection and no message may be lost, and the process may not grow.
 */
export async function soakReloads(engine: 'native' | 'ts', reloads: number, pairs = 8): Promise<ReloadReport> {
  const ca = await TestCa.create();
  const pair = (kind: 'ecdsa' | 'rsa'): Promise<Pair> =>
    ca.issueWith({ names: ['localhost', '127.0.0.1'], kind, ...DAYS });
  const [first, second] = [await pair('ecdsa'), await pair('rsa')];
  const relay = await TlsRelay.start(engine, ca, first);
  const soak = new Soak(relay, ca, [first, second]);
  const since = performance.now();
  try {
    await using load = await TlsLoad.start({ relay: relay.uri, ca: ca.certificate, peer: first }, pairs);
    for (let i = 0; i < Math.max(10, reloads / 10); i++) await soak.turn();
    const before = await soak.quiet();
    const memory = [before.memory];
    for (let i = 1; i <= reloads; i++) {
      await soak.turn();
      if (i % Math.ceil(reloads / 10) === 0) memory.push(await relay.memory());
    }
    const after = await soak.quiet(before.descriptors);
    await load[Symbol.asyncDispose]();
    const failures = [...soak.failures, ...load.failures];
    if (load.received !== load.sent) failures.push(`${load.sent} messages were sent, ${load.received} have come`);
    if (load.sent < reloads) failures.push(`${load.sent} messages are no load`);
    for (const kind of ['live', 'resident'] as const) {
      const growth = after.memory[kind] - (memory[memory.length >> 1] as Memory)[kind];
      if (growth > GROWTH_BYTES[kind]) failures.push(`${kind} memory has grown by ${growth} bytes in the second half`);
    }
    if (after.descriptors !== before.descriptors)
      failures.push(`${after.descriptors} file descriptors, ${before.descriptors} before`);
    for (const { msg } of relay.complaints) failures.push(`the log says: ${msg}`);
    const wrong = await endRelay(relay.process);
    if (wrong !== undefined) failures.push(wrong);
    return {
      failures,
      reloads: soak.done,
      refused: soak.refused,
      messages: load.received,
      seconds: (performance.now() - since) / 1000,
      memory,
      descriptors: [before.descriptors, after.descriptors],
    };
  } finally {
    relay.process.child.kill('SIGKILL');
  }
}

class Soak {
  readonly failures: string[] = [];
  done = 0;
  refused = 0;
  readonly #relay: TlsRelay;
  readonly #ca: TestCa;
  readonly #pairs: readonly [Pair, Pair];
  #serves = 0;

  constructor(relay: TlsRelay, ca: TestCa, pairs: readonly [Pair, Pair]) {
    this.#relay = relay;
    this.#ca = ca;
    this.#pairs = pairs;
  }

  /** One reload, and what a new connection sees of it. */
  async turn(): Promise<void> {
    const n = ++this.done;
    if (n % BROKEN_EVERY === 0) await this.#broken();
    else if (n % USERS_EVERY === 0) await this.#otherUser(`user${n}`);
    else await this.#otherCertificate();
    const shown = await within('a handshake', this.#shown());
    const expected = (this.#pairs[this.#serves] as Pair).certificate;
    if (shown?.toString().trim() !== expected.trim())
      this.failures.push(`reload ${n}: the wrong certificate is served`);
  }

  /** Memory and descriptors, these when those of closed connections are gone, or when they are as many as `expected`. */
  async quiet(expected?: number): Promise<{ memory: Memory; descriptors: number }> {
    let descriptors = this.#relay.descriptors();
    for (let i = 0; i < 50; i++) {
      await sleep(20);
      const now = this.#relay.descriptors();
      if (expected === undefined ? now === descriptors && i > 10 : now === expected) break;
      descriptors = now;
    }
    return { memory: await this.#relay.memory(), descriptors: this.#relay.descriptors() };
  }

  /** The key of the one with the certificate of the other. */
  async #broken(): Promise<void> {
    const [{ certificate }, { key }] = this.#pairs;
    const line = await this.#relay.reload((files) => files.certificate({ certificate, key }));
    const told = line.problems?.some((problem) => /is not the key of/.test(problem));
    if (told !== true) this.failures.push(`reload ${this.done}: a broken certificate was taken: ${line.msg}`);
    this.refused++;
  }

  async #otherCertificate(): Promise<void> {
    this.#serves = 1 - this.#serves;
    await this.#taken((files) => files.certificate(this.#pairs[this.#serves] as Pair));
  }

  async #otherUser(user: string): Promise<void> {
    await this.#taken((files) => {
      files.certificate(this.#pairs[this.#serves] as Pair);
      files.user(user);
    });
    const tls = { ca: this.#ca.certificate };
    const client = await MsrpClient.connect({ relay: this.#relay.uri, user, password: 'secret', tls });
    await client.release();
  }

  async #taken(change: Parameters<TlsRelay['reload']>[0]): Promise<void> {
    const { msg } = await this.#relay.reload(change);
    if (msg !== 'configuration reloaded') this.failures.push(`reload ${this.done}: ${msg}`);
  }

  /** The certificate that a new connection is shown. */
  async #shown(): Promise<X509Certificate | undefined> {
    const socket = connect({
      host: '127.0.0.1',
      port: this.#relay.port,
      servername: 'localhost',
      ca: this.#ca.certificate,
    });
    await once(socket, 'secureConnect');
    const shown = socket.getPeerX509Certificate();
    // Not destroyed: a reset could overtake the end of the handshake.
    socket.resume().end();
    await once(socket, 'close');
    return shown;
  }
}
