import { once } from 'node:events';
import { createServer as createTcpServer, connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { EndpointEnvironment } from '../../src/endpoint/environment.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { ListenerOptions } from '../../src/endpoint/listener.ts';
import { PLATFORM } from '../../src/endpoint/platform.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { digestRspauth, formatAuthenticationInfo, ha1, parseDigest } from '../../src/syntax/digest.ts';
import type { RequestFrame } from '../../src/syntax/frame.ts';
import { Peer, frame, header, until, within } from '../engine/harness.ts';

/** Time that the test moves; nothing else. */
export class Timers implements EndpointEnvironment {
  #nowMs = 0;
  readonly #timers = new Set<{ atMs: number; fire: () => void }>();
  /** Delays asked for, in order. */
  readonly asked: number[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    this.asked.push(delayMs);
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  random(into: Uint8Array): void {
    PLATFORM.random(into);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#timers) {
      if (timer.atMs > this.#nowMs) continue;
      this.#timers.delete(timer);
      timer.fire();
    }
  }
}

/** A server whose connections the test plays. */
export class FarSide implements Disposable {
  readonly port: number;
  readonly #server: Server;
  readonly #waiting: Peer[] = [];
  readonly #peers: Peer[] = [];
  readonly #sockets = new Set<Socket>();
  #wake: () => void = () => undefined;

  static async start(tls?: { cert: string; key: string }): Promise<FarSide> {
    const server = tls === undefined ? createTcpServer({ noDelay: true }) : createTlsServer({ ...tls, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FarSide(server, tls === undefined ? 'connection' : 'secureConnection');
  }

  private constructor(server: Server, event: string) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
    server.on(event, (socket: Socket) => {
      const peer = new Peer(socket);
      this.#waiting.push(peer);
      this.#peers.push(peer);
      this.#wake();
    });
  }

  async accept(): Promise<Peer> {
    const next = async (): Promise<Peer> => {
      for (;;) {
        const peer = this.#waiting.shift();
        if (peer !== undefined) return peer;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    return within('a connection', next());
  }

  stop(): void {
    for (const peer of this.#peers) peer.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

export interface Scripted extends Disposable {
  readonly client: MsrpClient;
  readonly peer: Peer;
  readonly uri: string;
  readonly close: () => void;
}

/** A client without a relay, whose far side the test plays. */
export async function scripted(environment: EndpointEnvironment = PLATFORM): Promise<Scripted> {
  const far = await FarSide.start();
  const uri = `msrp://127.0.0.1:${far.port}/peer;tcp`;
  const accepted = far.accept();
  const client = await MsrpClient.connect({ peer: uri, environment });
  const close = (): void => far.stop();
  return { client, peer: await accepted, uri, close, [Symbol.dispose]: close };
}

export interface Listening extends AsyncDisposable {
  /** Of the listener, and of the peer that the test plays. */
  readonly uri: string;
  readonly from: string;
  readonly peer: Peer;
  readonly messages: readonly IncomingMessage[];
  /** Message-IDs. */
  readonly aborted: readonly string[];
  /** A SEND of the peer. */
  readonly chunk: (
    tid: string,
    id: string,
    range: string,
    body: string,
    flag?: string,
    more?: readonly string[],
  ) => string;
}

/** A listener with a connection that the test plays. */
export async function listening(options: ListenerOptions = {}): Promise<Listening> {
  const listener = await MsrpListener.listen(options);
  const { uri } = listener;
  const from = 'msrp://127.0.0.1:9/me;tcp';
  const messages: IncomingMessage[] = [];
  const aborted: string[] = [];
  listener.on('session', (session) => {
    session.on('message', (message) => messages.push(message));
    session.on('aborted', (id) => aborted.push(id));
  });
  const peer = await dial(uri);
  const chunk: Listening['chunk'] = (tid, id, range, body, flag, more = []) => {
    const headers = [`Message-ID: ${id}`, ...more, `Byte-Range: ${range}`, 'Content-Type: text/plain'];
    return frame(tid, 'SEND', uri, from, headers, body, flag);
  };
  const stop = async (): Promise<void> => {
    peer.destroy();
    await within('the end of the listener', listener.close());
  };
  return { uri, from, peer, messages, aborted, chunk, [Symbol.asyncDispose]: stop };
}

/**
 * Waits until what `state` shows stays the same, over questions that lie further apart than the kernel may hold something back
 * (200 ms for an acknowledgement).
 */
export async function standstill(what: string, state: () => unknown): Promise<void> {
  let before = '';
  let same = 0;
  await until(what, async () => {
    const now = JSON.stringify(state());
    same = now === before ? same + 1 : 0;
    before = now;
    if (same < 4) await new Promise((resolve) => setTimeout(resolve, 300));
    return same === 4;
  });
}

/** A connection to a listener's URI, played by the test. */
export async function dial(uri: string): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port: Number(/:(\d+)\//.exec(uri)?.[1]), noDelay: true });
  await once(socket, 'connect');
  return new Peer(socket);
}

/** A response to an AUTH: the whole From-Path goes back (core C-073). */
export function answer(request: RequestFrame, status: string, headers: readonly string[] = []): string {
  return frame(request.tid, status, request.fromPath, request.toPath, headers);
}

export function challenge(nonce: string, more = ''): string {
  return `WWW-Authenticate: Digest realm="relay.example", nonce="${nonce}", qop="auth"${more}`;
}

/** Credentials that a request carries, by parameter. */
export function credentials(request: RequestFrame): ReadonlyMap<string, string> {
  return parseDigest(header(request, 'Authorization') ?? '') ?? new Map<string, string>();
}

/** Headers of a 200 to an AUTH whose sender is alice with the password wonderland. */
export function granted(request: RequestFrame, usePath: string, expiresS: number): string[] {
  const sent = credentials(request);
  const [nc, cnonce, nonce, realm] = ['nc', 'cnonce', 'nonce', 'realm'].map((name) => sent.get(name) ?? '') as [
    string,
    string,
    string,
    string,
  ];
  const input = { ha1: ha1('alice', realm, 'wonderland'), uri: request.toPath.at(-1)!, nonce, nc, cnonce };
  const info = formatAuthenticationInfo({ rspauth: digestRspauth(input), cnonce, nc });
  return [`Use-Path: ${usePath}`, `Expires: ${expiresS}`, `Authentication-Info: ${info}`];
}
