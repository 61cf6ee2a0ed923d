import { setTimeout as sleep } from 'node:timers/promises';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { EndpointSession } from '../../src/endpoint/endpoint-session.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import type { Pair } from '../listen/certificates.ts';

/** Where a load goes, and what it trusts. */
export interface LoadTarget {
  readonly relay: string;
  readonly ca: string;
  /** Of a peer that the relay dials. */
  readonly peer: Pair;
}

/** Most sessions send little; each of this many sends something that takes several records and chunks. */
const LARGE_EVERY = 50;
const LARGE_OCTETS = 100_000;
/** Between two messages of a sender. */
const PAUSE_MS = 5;

/**
 * TLS sessions that talk: each message waits for its responses and for the REPORT that all of it has come; receivers compare every
 * octet and the order. What is wrong is in {@link failures}.
 */
export class TlsLoad implements AsyncDisposable {
  readonly failures: string[] = [];
  sent = 0;
  received = 0;
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #senders: Promise<void>[] = [];
  #over = false;

  /** `pairs` of clients of the relay, and one client that talks to a peer which the relay dials. */
  static async start(target: LoadTarget, pairs: number): Promise<TlsLoad> {
    const load = new TlsLoad();
    for (let i = 0; i < pairs; i++) {
      const [from, to] = [await load.#client(target), await load.#client(target)];
      load.#receive(to, `${i}`);
      load.#begin(from, to.path, `${i}`);
    }
    const peer = await MsrpListener.listen({ tls: { cert: target.peer.certificate, key: target.peer.key } });
    load.#ends.push(() => peer.close());
    peer.on('session', (session) => {
      load.#watch(session, 'the peer that is dialled');
      load.#receive(session, 'dialled');
    });
    const from = await load.#client(target);
    load.#begin(from, peer.uri, 'dialled');
    return load;
  }

  /** Lets what is under way end, and closes all. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await Promise.all(this.#senders);
    for (const end of this.#ends.toReversed()) await end();
  }

  async #client({ relay, ca }: LoadTarget): Promise<MsrpClient> {
    const client = await MsrpClient.connect({ relay, user: 'alice', password: 'secret', tls: { ca } });
    this.#ends.push(() => client.close());
    this.#watch(client, 'a client');
    return client;
  }

  #watch(session: EndpointSession, who: string): void {
    session.on(
      'closed',
      (error) => this.#over || this.failures.push(`${who} has lost its connection: ${error?.message}`),
    );
    session.on('failed', (_, error) => this.failures.push(`a message of ${who} was lost: ${error.message}`));
    session.on('aborted', () => this.failures.push(`a message to ${who} came in part`));
  }

  #receive(session: EndpointSession, name: string): void {
    let next = 0;
    session.on('message', (message: IncomingMessage) => {
      const text = message.text();
      if (text !== body(name, next)) this.failures.push(`pair ${name}: not message ${next}, but ${text.slice(0, 40)}`);
      next++;
      this.received++;
    });
  }

  #begin(from: MsrpClient, to: string | readonly string[], name: string): void {
    const run = async (): Promise<void> => {
      for (let i = 0; !this.#over && !from.closed; i++) {
        await from.send({ to, contentType: 'text/plain', body: body(name, i), successReport: true });
        this.sent++;
        await sleep(PAUSE_MS);
      }
    };
    this.#senders.push(run().catch((error: unknown) => void this.failures.push(`pair ${name}: ${String(error)}`)));
  }
}

function body(name: string, i: number): string {
  const head = `message ${i} of ${name}\r\n`;
  return i % LARGE_EVERY === LARGE_EVERY - 1
    ? head.repeat(Math.ceil(LARGE_OCTETS / head.length))
    : head.repeat((i % 40) + 1);
}
