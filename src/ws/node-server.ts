import { STATUS_CODES, createServer as createHttpServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { TlsInfo } from '../engine/engine.ts';
import { Handshakes } from '../engine/ts/handshake.ts';
import { MsrpError } from '../errors.ts';
import { CODE } from './close-code.ts';
import { CLOSE_MS, SUBPROTOCOL } from './socket.ts';
import type {
  UpgradeRequest,
  UpgradeVerdict,
  WsHandler,
  WsServer,
  WsServerOptions,
  WsSocket,
  WsTls,
} from './socket.ts';

/** Time and randomness that TLS needs. */
export interface NodeServerEnvironment {
  nowMs(): number;
  every(intervalMs: number, tick: () => void): () => void;
  random(into: Uint8Array): void;
}

/** Listens with the package `ws` on sockets of Node. Rejects with `E_LISTEN` or `E_TLS_MATERIAL`. */
export async function startNodeServer(options: WsServerOptions, environment: NodeServerEnvironment): Promise<WsServer> {
  const server = new NodeServer(options, environment);
  await server.listen();
  return server;
}

class NodeServer implements WsServer {
  readonly implementation = 'ws';
  address = '';
  port = 0;
  readonly #options: WsServerOptions;
  #tls: WsTls | undefined;
  readonly #handshakes: Handshakes;
  readonly #stopSweeping: () => void;
  /** Sockets that are no WebSockets yet, with what cuts them off. */
  readonly #waiting = new Map<Socket, NodeJS.Timeout>();
  readonly #tlsOf = new WeakMap<Socket, TlsInfo>();
  readonly #open = new Set<NodeSocket>();
  readonly #http = createHttpServer((_request, response) => {
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' });
    response.end();
  });
  readonly #wss: WebSocketServer;
  readonly #listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));

  constructor(options: WsServerOptions, environment: NodeServerEnvironment) {
    this.#options = options;
    this.#tls = options.tls;
    this.#handshakes = new Handshakes({
      onSecure: (_listener, socket, tls) => {
        this.#tlsOf.set(socket, tls);
        this.#serve(socket);
      },
      onFailed: ({ remote }, failure, detail) => options.onRefused(remote, `TLS: ${failure}: ${detail}`),
      nowMs: () => environment.nowMs(),
      timeoutMs: () => options.handshakeTimeoutMs,
      random: (into) => environment.random(into),
    });
    if (options.tls !== undefined) this.#handshakes.contexts.assertUsable(options.tls.spec);
    this.#stopSweeping = environment.every(SWEEP_MS, () => this.#handshakes.sweep());
    this.#wss = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      handleProtocols: () => SUBPROTOCOL,
    });
    this.#http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
    // What is no HTTP ends the connection, which tells.
    this.#http.on('clientError', (_error, socket) => socket.destroy());
  }

  async listen(): Promise<void> {
    const { address, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        this.#stopSweeping();
        reject(new MsrpError('E_LISTEN', `${address}:${port}: ${error.message}`, { cause: error }));
      };
      this.#listener.once('error', failed);
      this.#listener.listen({ host: address, port, backlog: BACKLOG }, () => {
        this.#listener.off('error', failed);
        // An error of accept (no more file descriptors) must not end the process.
        this.#listener.on('error', () => undefined);
        ({ address: this.address, port: this.port } = this.#listener.address() as AddressInfo);
        resolve();
      });
    });
  }

  updateTls(tls: WsTls): void {
    this.#handshakes.contexts.assertUsable(tls.spec);
    this.#tls = tls;
  }

  close(): void {
    this.#listener.close();
    this.#handshakes.end(0);
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  destroy(): void {
    this.close();
    this.#stopSweeping();
    for (const socket of this.#open) socket.destroy();
  }

  #accept(socket: Socket): void {
    const { maxHandshakes } = this.#options;
    const remote = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    if (maxHandshakes !== 0 && this.#waiting.size + this.#handshakes.size >= maxHandshakes) {
      this.#options.onRefused(remote, 'too many handshakes at once');
      socket.destroy();
    } else if (this.#tls === undefined) this.#serve(socket);
    else {
      const local = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
      this.#handshakes.begin({ listener: 0, remote, local }, socket, () => (this.#tls as WsTls).spec);
    }
  }

  #serve(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), UPGRADE_MS);
    timer.unref();
    this.#waiting.set(socket, timer);
    socket.once('close', () => this.#waits(socket));
    socket.on('error', () => undefined);
    this.#http.emit('connection', socket);
  }

  /** It waits no longer. */
  #waits(socket: Socket): void {
    clearTimeout(this.#waiting.get(socket));
    this.#waiting.delete(socket);
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const verdict = await this.#options.judge(this.#read(request, socket));
    this.#waits(socket);
    if (socket.destroyed) return;
    if (verdict.kind === 'refuse') {
      refuse(socket, verdict);
      return;
    }
    const { headers } = verdict;
    const onHeaders = (lines: string[], of: IncomingMessage): void => {
      if (of === request) lines.push(...headers.map(([name, value]) => `${name}: ${value}`));
    };
    this.#wss.on('headers', onHeaders);
    // Calls back at once, or answers itself when the handshake is wrong.
    this.#wss.handleUpgrade(request, socket, head, (websocket) => {
      const open = new NodeSocket(websocket, socket, () => this.#open.delete(open));
      this.#open.add(open);
      open.handler = verdict.open(open);
    });
    this.#wss.off('headers', onHeaders);
  }

  #read(request: IncomingMessage, socket: Socket): UpgradeRequest {
    const [path, query] = split(request.url ?? '', '?');
    const text = (name: string): string => [request.headers[name] ?? ''].flat().join(', ');
    const tls = this.#tlsOf.get(socket);
    return {
      path,
      query,
      host: text('host'),
      origin: text('origin'),
      cookie: text('cookie'),
      authorization: text('authorization'),
      subprotocols: text('sec-websocket-protocol'),
      forwardedFor: text('x-forwarded-for'),
      forwardedProto: text('x-forwarded-proto'),
      remote: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
      local: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
      ...(tls === undefined ? {} : { tls }),
    };
  }
}

class NodeSocket implements WsSocket {
  handler: WsHandler | undefined;
  readonly #websocket: WebSocket;
  readonly #socket: Socket;
  /** Bytes of messages that are not with the kernel: pings do not count. */
  #unsent = 0;
  #violation: { readonly code: number; readonly detail: string } | undefined;

  constructor(websocket: WebSocket, socket: Socket, onGone: () => void) {
    this.#websocket = websocket;
    this.#socket = socket;
    websocket.on('message', (data: Buffer) => this.handler?.onMessage(data));
    websocket.on('pong', () => this.handler?.onPong());
    websocket.on('error', (error: Error & { code?: string }) => {
      const { code = error.message } = error;
      if (!code.startsWith('WS_ERR')) return;
      this.#violation = { code: VIOLATIONS[code] ?? CODE.PROTOCOL_ERROR, detail: code };
      this.#cutLater();
    });
    websocket.on('close', (code) => {
      onGone();
      const violation = this.#violation;
      this.handler?.onClosed(violation?.code ?? code, violation?.detail);
    });
  }

  sendAll(bytes: Uint8Array, ends: readonly number[]): void {
    const websocket = this.#websocket;
    const size = ends.at(-1) ?? 0;
    this.#unsent += size;
    const done = (): void => {
      this.#unsent -= size;
      if (this.#unsent === 0) this.handler?.onDrain();
    };
    this.#socket.cork();
    let from = 0;
    for (const [i, end] of ends.entries()) {
      const message = bytes.subarray(from, end);
      if (i === ends.length - 1) websocket.send(message, BINARY, done);
      else websocket.send(message, BINARY);
      from = end;
    }
    this.#socket.uncork();
  }

  get buffered(): number {
    return this.#unsent;
  }

  pause(): boolean {
    this.#websocket.pause();
    return true;
  }

  resume(): void {
    this.#websocket.resume();
  }

  ping(): void {
    this.#websocket.ping();
  }

  close(code: number, reason: string): void {
    this.#websocket.resume();
    this.#websocket.close(code, reason);
    this.#cutLater();
  }

  destroy(): void {
    this.#websocket.terminate();
  }

  #cutLater(): void {
    setTimeout(() => this.#websocket.terminate(), CLOSE_MS).unref();
  }
}

/** What the package closes with when a peer breaks the rules; 1002 when it is none of these. */
const VIOLATIONS: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: CODE.TOO_BIG,
};

/** Answers what is no WebSocket, and hangs up. */
function refuse(socket: Socket, { status, headers }: Extract<UpgradeVerdict, { kind: 'refuse' }>): void {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${lines}Content-Length: 0\r\nConnection: close\r\n\r\n`,
  );
}

function split(text: string, at: string): [string, string] {
  const index = text.indexOf(at);
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + at.length)];
}

const BINARY = { binary: true, compress: false } as const;
/** Time from a connection (its TLS handshake apart) to its GET. */
const UPGRADE_MS = 10_000;
const SWEEP_MS = 100;
const BACKLOG = 4096;
