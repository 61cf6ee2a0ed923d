import { MsrpError } from '../errors.ts';
import { hostText } from '../syntax/uri.ts';
import type { MsrpUri } from '../syntax/uri.ts';
import type { EndpointEnvironment } from './environment.ts';
import { opened } from './opened.ts';
import type { EndpointTransport, OpenOptions, TransportOwner } from './transport.ts';

/** What is used of a WebSocket: that of browsers, and that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  send(frame: Uint8Array): void;
  close(code?: number): void;
  /** Not in browsers. */
  pause?(): void;
  resume?(): void;
  terminate?(): void;
}

/** Opens a WebSocket with the subprotocol `msrp`. */
export type WebSocketMaker = (url: string, protocol: string, options: OpenOptions) => WebSocketLike;

/** Connects to an MSRP URI with `;ws` (RFC 7977): msrps is wss, msrp is ws. */
export async function openWebSocket(
  target: MsrpUri,
  environment: EndpointEnvironment,
  options: OpenOptions,
  make: WebSocketMaker,
): Promise<EndpointTransport> {
  if (options.signal?.aborted === true) throw new MsrpError('E_ABORTED');
  const { host, port, scheme } = target;
  const authority = `${hostText(host)}${port === undefined ? '' : `:${port}`}`;
  const path = options.webSocketPath ?? '/';
  const socket = make(`${scheme === 'msrps' ? 'wss' : 'ws'}://${authority}${path}`, 'msrp', options);
  socket.binaryType = 'arraybuffer';
  await opened(authority, environment, options, {
    onOpen: (done) => {
      socket.onopen = done;
    },
    onError: (failed) => {
      // A browser does not say why.
      socket.onerror = (event: { message?: string }) => failed(new Error(event.message ?? 'the WebSocket has failed'));
      socket.onclose = (event: { code?: number }) => failed(new Error(`closed with code ${event.code}`));
    },
    destroy: () => cut(socket),
  });
  return new WebSocketTransport(socket, environment);
}

/** One frame a message, both ways. */
class WebSocketTransport implements EndpointTransport {
  readonly local = undefined;
  readonly #socket: WebSocketLike;
  readonly #environment: EndpointEnvironment;
  #owner: TransportOwner | undefined;
  /** Messages that have come while nothing was read: a browser cannot be told to stop. */
  readonly #unread: Buffer[] = [];
  #paused = false;
  readonly #unwritten: (() => void)[] = [];
  #full = false;
  #watching = false;

  constructor(socket: WebSocketLike, environment: EndpointEnvironment) {
    this.#socket = socket;
    this.#environment = environment;
    socket.onmessage = (event: { data: ArrayBuffer | string }) => this.#onMessage(event.data);
    socket.onerror = null;
    socket.onclose = (event: { code: number; reason?: string }) => {
      const { code, reason = '' } = event;
      const isUsual = code === 1000 || code === 1001 || code === 1005;
      this.#owner?.onEnd(isUsual ? undefined : new Error(`WebSocket closed with code ${code} ${reason}`.trim()));
      this.#owner?.onGone();
    };
  }

  attach(owner: TransportOwner): void {
    this.#owner = owner;
    this.#read();
  }

  write(frame: Uint8Array, done?: () => void): boolean {
    this.#socket.send(frame);
    if (this.#socket.bufferedAmount === 0 && this.#unwritten.length === 0) {
      if (done !== undefined) queueMicrotask(done);
      return true;
    }
    if (done !== undefined) this.#unwritten.push(done);
    this.#full ||= this.#socket.bufferedAmount > FULL_BYTES;
    this.#watch();
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause?.();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume?.();
    this.#read();
  }

  end(): void {
    this.#socket.resume?.();
    this.#socket.close(1000);
  }

  destroy(): void {
    cut(this.#socket);
  }

  #onMessage(data: ArrayBuffer | string): void {
    this.#unread.push(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data));
    this.#read();
  }

  #read(): void {
    while (!this.#paused && this.#owner !== undefined) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) return;
      this.#owner.onData(bytes);
    }
  }

  /** A WebSocket of a browser does not say when it has written: it is looked at. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#environment.setTimer(WATCH_MS, () => {
      this.#watching = false;
      const { bufferedAmount } = this.#socket;
      if (bufferedAmount === 0) for (const done of this.#unwritten.splice(0)) done();
      if (this.#full && bufferedAmount <= FULL_BYTES / 2) {
        this.#full = false;
        this.#owner?.onDrain();
      }
      if (bufferedAmount > 0) this.#watch();
    });
  }
}

function cut(socket: WebSocketLike): void {
  if (socket.terminate !== undefined) socket.terminate();
  else socket.close();
}

/** Bytes that the WebSocket may hold before its owner waits. */
const FULL_BYTES = 262_144;
const WATCH_MS = 10;
