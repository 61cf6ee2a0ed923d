import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { loadAddon } from '../../src/addon/load.ts';
import type { Server, ServerListener, ServerOptions } from '../../src/listen/server.ts';
import { startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { within } from '../engine/harness.ts';

const ENGINE_KINDS = 'addon' in loadAddon() ? ['ts', 'native'] : ['ts'];

export const IMPLEMENTATIONS = ['uws', 'ws'] as const;

/** Every implementation of WebSocket on every engine. */
export const STACKS = IMPLEMENTATIONS.flatMap((implementation) =>
  ENGINE_KINDS.map((engine) => ({ implementation, engine, name: `${implementation} on the ${engine} engine` })),
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
  readonly fixture: Fixture;
}

/** A relay with an msrp and a ws listener; `listener` and `more` are YAML. */
export async function startWsRelay(
  { implementation, engine }: Stack,
  options: {
    listener?: string;
    workers?: number;
    websocket?: string;
    more?: string;
    msrp?: string;
    users?: ServerOptions['users'];
  } = {},
): Promise<WsRelay> {
  const { listener = '', websocket = '', more = '', msrp = 'send_timeout: 30000, max_msg_chunks: 0' } = options;
  const fixture = await startRelay(
    `
engine: ${engine}
workers: ${options.workers ?? 2}
listeners: ["msrp:127.0.0.1:0", {uri: "ws:127.0.0.1:0"${listener}}]
websocket: {implementation: ${implementation}${websocket}}
msrp: {${msrp}}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
${more}
`,
    options.users ?? [
      ['alice', '', { password: 'secret' }],
      ['bob', '', { password: 'secret' }],
    ],
  );
  const { server, lines } = fixture;
  const [tcp, ws] = server.listeners as [ServerListener, ServerListener];
  return {
    server,
    lines,
    fixture,
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
