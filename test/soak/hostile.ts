import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestResponse, formatAuthorization, ha1, parseDigest } from '../../src/syntax/digest.ts';
import { frame } from '../engine/harness.ts';

/** Peers that do what peers do when they break, or want to. None of them may harm another session, or the relay (I8). */
export class Hostile {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  /** How often each was done. */
  readonly done: Record<string, number> = {};

  constructor(port: number) {
    this.#port = port;
  }

  /** One round of each. */
  async round(): Promise<void> {
    await Promise.all([
      this.#count('resets', () => this.#resets(100)),
      this.#count('garbage', () => this.#garbage(10)),
      this.#count('half frames', () => this.#halfFrames(10)),
      this.#count('deaths in a long chunk', () => this.#diesInChunk()),
      this.#count('readers that stop', () => this.#stopsReading()),
      this.#count('receivers that never answer', () => this.#neverAnswers()),
    ]);
  }

  /** One round of those that are in the middle of something large. */
  async trouble(): Promise<void> {
    await Promise.all([
      this.#count('deaths in a long chunk', () => this.#diesInChunk()),
      this.#count('readers that stop', () => this.#stopsReading()),
    ]);
  }

  /** Ends all of them. */
  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #count(name: string, act: () => Promise<void>): Promise<void> {
    await act();
    this.done[name] = (this.done[name] ?? 0) + 1;
  }

  /** Connections that are reset by the hundred, some in the middle of a frame. */
  async #resets(count: number): Promise<void> {
    const sockets = await Promise.all(Array.from({ length: count }, () => this.#connect()));
    for (const [i, socket] of sockets.entries()) {
      if (i % 2 === 0) socket.write(frame('rset', 'AUTH', this.#uri(), OWN).slice(0, i));
      if (i % 3 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  async #garbage(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const socket = await this.#connect();
      const start =
        i % 3 === 0 ? '' : i % 3 === 1 ? 'MSRP abcd SEND\r\nTo-Path: ' : frame('good', 'FROB', this.#uri(), OWN);
      socket.write(Buffer.concat([Buffer.from(start), randomBytes(randomInt(65_536))]));
    }
  }

  /** A frame that never ends, for as long as the relay lets it, or a while. */
  async #halfFrames(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const socket = await this.#connect();
      const text = frame('half', i % 2 === 0 ? 'SEND' : 'AUTH', this.#uri(), OWN, ['Message-ID: m1', 'X: y']);
      socket.write(text.slice(0, randomInt(1, text.length)));
      setTimeout(() => socket.destroy(), 5000).unref();
    }
  }

  /** A sender that dies inside a chunk of 50 MB, and a receiver that dies while it gets one. */
  async #diesInChunk(): Promise<void> {
    for (const who of ['sender', 'receiver']) {
      const client = await this.#login();
      const sender = await this.#connect();
      const headers = ['Message-ID: m1', 'Byte-Range: 1-*/50000000', 'Content-Type: a/b'];
      sender.write(frame('long', 'SEND', client.path, OWN, headers, 'x').slice(0, -14));
      for (let i = 0; i < 20; i++) sender.write(randomBytes(16_384).toString('base64'));
      await sleep(50);
      (who === 'sender' ? sender : client.socket).resetAndDestroy();
      await sleep(50);
      sender.destroy();
      client.socket.destroy();
    }
  }

  /** A receiver that stops reading while somebody sends to it as fast as the relay takes it. */
  async #stopsReading(): Promise<void> {
    const client = await this.#login();
    client.socket.pause();
    const sender = await this.#connect();
    const body = 'x'.repeat(8000);
    for (let i = 0; i < 1500; i++) {
      const headers = ['Message-ID: m1', 'Failure-Report: no', 'Content-Type: a/b'];
      sender.write(frame(`stop${i}`, 'SEND', client.path, OWN, headers, body));
    }
    setTimeout(() => {
      sender.resetAndDestroy();
      client.socket.resetAndDestroy();
    }, 8000).unref();
  }

  /** A receiver that takes everything and answers nothing: transactions pile up, and fail when it goes. */
  async #neverAnswers(): Promise<void> {
    const client = await this.#login();
    const sender = await this.#connect();
    for (let i = 0; i < 500; i++)
      sender.write(frame(`mute${i}`, 'SEND', client.path, OWN, ['Message-ID: m1', 'Content-Type: a/b'], 'hello'));
    setTimeout(() => {
      client.socket.destroy();
      sender.destroy();
    }, 4000).unref();
  }

  #uri(): string {
    return `msrp://127.0.0.1:${this.#port};tcp`;
  }

  async #connect(): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.resume();
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('close', () => reject(new Error('the relay does not accept connections')));
    });
    return socket;
  }

  /** A client with a session. Rejects when the relay does not give it one. */
  async #login(): Promise<{ socket: Socket; path: readonly string[] }> {
    const socket = await this.#connect();
    const own = `msrp://127.0.0.1:${socket.localPort}/${randomBytes(8).toString('hex')};tcp`;
    const challenge = await ask(socket, frame('auth1', 'AUTH', this.#uri(), own), 'auth1');
    const params = parseDigest(/^WWW-Authenticate: (.*)\r$/m.exec(challenge)?.[1] ?? '');
    const [nonce, realm] = [params?.get('nonce') ?? '', params?.get('realm') ?? ''];
    const shared = { nonce, nc: '00000001', cnonce: randomBytes(8).toString('hex') };
    const response = digestResponse({ ha1: ha1('alice', realm, 'secret'), uri: this.#uri(), ...shared });
    const credentials = formatAuthorization({ user: 'alice', realm, response, ...shared });
    const grant = await ask(
      socket,
      frame('auth2', 'AUTH', this.#uri(), own, [`Authorization: ${credentials}`]),
      'auth2',
    );
    const usePath = /^Use-Path: (.*)\r$/m.exec(grant)?.[1];
    if (usePath === undefined) throw new Error(`no session: ${grant}`);
    return { socket, path: [usePath, own] };
  }
}

const OWN = 'msrp://127.0.0.1:9/me;tcp';

/** Sends a request and waits for its answer. */
async function ask(socket: Socket, text: string, tid: string): Promise<string> {
  let got = '';
  return new Promise((resolve, reject) => {
    const onData = (bytes: Buffer): void => {
      got += bytes.toString('latin1');
      if (!got.includes(`-------${tid}$`)) return;
      socket.off('data', onData);
      resolve(got);
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new Error('the relay has closed a connection that only asked for a session')));
    socket.write(text);
  });
}
