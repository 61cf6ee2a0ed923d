import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { authenticate } from '../../src/endpoint/authenticate.ts';
import { PeerConnection } from '../../src/endpoint/peer-connection.ts';
import { PLATFORM } from '../../src/endpoint/platform.ts';
import type { Server, ServerListener } from '../../src/listen/server.ts';
import { KINDS } from '../listen/engines.ts';
import { startRelay } from '../listen/fixture.ts';
import { within } from '../engine/harness.ts';

export const IMPLEMENTATIONS = ['uws', 'ws'] as const;

/** Every implementation of WebSocket on every engine. */
export const STACKS = IMPLEMENTATIONS.flatMap((implementation) =>
  KINDS.map((engine) => ({ implementation, engine, name: `${implementation} on the ${engine} engine` })),
);

export interface Stack {
  readonly implementation: 'uws' | 'ws';
  readonly engine: string;
}

export interface WsRelay extends AsyncDisposable {
  readonly server: Server;
  readonly lines: Record<string, unknown>[];
  /** `ws://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly tcp: ServerListener;
  readonly ws: ServerListener;
}

/** A relay with an msrp and a ws listener; `listener`, `websocket` and `more` are YAML. `plainAuth`: AUTH needs no TLS. */
export async function startWsRelay(
  { implementation, engine }: Stack,
  options: { listener?: string; websocket?: string; more?: string; plainAuth?: boolean } = {},
): Promise<WsRelay> {
  const { listener = '', websocket = '', more = '', plainAuth = true } = options;
  const { server, lines } = await startRelay(
    `
engine: ${engine}
workers: 2
listeners: ["msrp:127.0.0.1:0", {uri: "ws:127.0.0.1:0"${listener}}]
websocket: {implementation: ${implementation}${websocket}}
msrp: {send_timeout: 30000, max_msg_chunks: 0}
relay: {allow_plain_auth: ${plainAuth}, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
${more}
`,
    [
      ['alice', '', { password: 'secret' }],
      ['bob', '', { password: 'secret' }],
    ],
  );
  const [tcp, ws] = server.listeners as [ServerListener, ServerListener];
  return {
    server,
    lines,
    tcp,
    ws,
    port: ws.port,
    url: `ws://127.0.0.1:${ws.port}`,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** What a handshake comes to: open, or the status of the answer. */
export async function handshake(
  url: string,
  protocols: string[] = ['msrp'],
  options: ClientOptions = {},
): Promise<{
  socket?: WebSocket;
  status: number;
  headers: Record<string, unknown>;
  closed: Promise<{ code: number; reason: string }>;
}> {
  const socket = new WebSocket(url, protocols, { perMessageDeflate: true, ...options });
  let headers: Record<string, unknown> = {};
  // From the beginning: it may close before whoever waits for that looks.
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  socket.on('upgrade', (response) => {
    ({ headers } = response);
  });
  return within(
    'a handshake',
    new Promise((resolve, reject) => {
      socket.on('open', () => resolve({ socket, status: 101, headers, closed }));
      socket.on('unexpected-response', (request, response) => {
        response.resume();
        request.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, closed });
      });
      socket.on('error', reject);
    }),
  );
}

/** AUTH with the digest, by hand; returns the URI that the relay hands out. */
export async function logIn(socket: WebSocket, relay: string, own: string): Promise<string> {
  const connection = new PeerConnection(
    {
      attach: (owner) => {
        socket.on('message', (data: Buffer) => {
          if (data.subarray(0, 400).includes('200 OK') || data.subarray(0, 400).includes('401')) owner.onData(data);
        });
      },
      write: (bytes) => {
        socket.send(bytes);
        return true;
      },
      pause: () => undefined,
      resume: () => undefined,
      end: () => undefined,
      destroy: () => undefined,
      local: undefined,
    },
    PLATFORM,
  );
  const grant = await authenticate(connection, PLATFORM, {
    toPath: [relay],
    uri: own,
    user: 'alice',
    password: 'secret',
    realm: undefined,
    expiresS: undefined,
    requireRspauth: true,
    timeoutMs: 5000,
  });
  socket.removeAllListeners('message');
  return grant.usePath[0] as string;
}

/** The chunks that a WebSocket gets, one a message: each has to continue its MSRP message where the one before has ended. */
export class Chunks {
  /** Octets by Message-ID. */
  readonly octets = new Map<string, number>();
  /** Message-IDs of what has come as a whole, in that order. */
  readonly whole: string[] = [];
  /** Of the longest chunk: its body, and the head and end-line around it. */
  longest = { body: 0, around: 0 };

  constructor(socket: WebSocket) {
    socket.on('message', (bytes: Buffer) => this.#take(bytes));
  }

  #take(bytes: Buffer): void {
    const text = bytes.toString('latin1');
    const [, tid = ''] = /^MSRP (\S+) SEND\r\n/.exec(text) ?? [];
    const begin = text.indexOf('\r\n\r\n') + 4;
    const end = text.lastIndexOf(`\r\n-------${tid}`);
    const [, id = ''] = /\r\nMessage-ID: (\S+)\r\n/.exec(text) ?? [];
    const [, start] = /\r\nByte-Range: (\d+)-/.exec(text) ?? [];
    const before = this.octets.get(id) ?? 0;
    assert.equal(Number(start), before + 1, `where a chunk of ${id} begins`);
    const body = end - begin;
    this.octets.set(id, before + body);
    if (text.at(-3) === '$') this.whole.push(id);
    if (body >= this.longest.body) this.longest = { body, around: bytes.length - body };
  }
}

/** A client that writes the bytes of its WebSocket frames itself. */
export class RawWebSocket {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => undefined;

  static async open(port: number): Promise<RawWebSocket> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const raw = new RawWebSocket(socket);
    const lines = [
      'GET / HTTP/1.1',
      `Host: 127.0.0.1:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: msrp',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await within(
      'the 101',
      raw.#until(() => raw.#received.includes('\r\n\r\n')),
    );
    raw.#received = raw.#received.subarray(raw.#received.indexOf('\r\n\r\n') + 4);
    return raw;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Writes one frame. */
  write(opcode: number, payload: string | Buffer, { fin = true, masked = true } = {}): void {
    const body = Buffer.from(payload);
    const length =
      body.length < 126
        ? Buffer.from([body.length])
        : body.length < 65536
          ? Buffer.from([126, body.length >> 8, body.length & 255])
          : Buffer.concat([Buffer.from([127]), bigLength(body.length)]);
    length[0]! |= masked ? 0x80 : 0;
    const mask = randomBytes(4);
    if (masked) for (let i = 0; i < body.length; i++) body[i]! ^= mask[i & 3]!;
    this.#socket.write(
      Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode]), length, ...(masked ? [mask] : []), body]),
    );
  }

  /** The code of the close frame; 1006 when it was cut off without one. */
  async closeCode(): Promise<number> {
    await within(
      'its end',
      this.#until(() => this.#closed || this.#closeFrame() !== undefined),
    );
    return this.#closeFrame() ?? 1006;
  }

  /** The payload of the next message. */
  async message(): Promise<string> {
    let found: string | undefined;
    await within(
      'a message',
      this.#until(() => {
        for (const { opcode, payload, end } of this.#frames()) {
          if (opcode !== 2) continue;
          found = payload.toString('latin1');
          this.#received = this.#received.subarray(end);
          return true;
        }
        return this.#closed;
      }),
    );
    if (found === undefined) throw new Error('the connection was closed');
    return found;
  }

  /** Pings that have come, beside those before a message that was taken. */
  get pings(): number {
    return [...this.#frames()].filter(({ opcode }) => opcode === 9).length;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #closeFrame(): number | undefined {
    for (const { opcode, payload } of this.#frames()) if (opcode === 8) return payload.readUInt16BE(0);
    return undefined;
  }

  *#frames(): Generator<{ opcode: number; payload: Buffer; end: number }> {
    for (let at = 0; at + 2 <= this.#received.length;) {
      const bytes = this.#received;
      const short = bytes[at + 1]! & 127;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + head > bytes.length) return;
      const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6);
      const end = at + head + size;
      if (end > bytes.length) return;
      yield { opcode: bytes[at]! & 15, payload: bytes.subarray(at + head, end), end };
      at = end;
    }
  }

  async #until(is: () => boolean): Promise<void> {
    while (!is())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

function bigLength(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return bytes;
}
