import { STATUS_CODES } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TlsDomain, TlsInfo } from '../engine/engine.ts';
import { MsrpError } from '../errors.ts';
import { CODE } from './close-code.ts';
import { SUBPROTOCOL } from './socket.ts';
import type {
  UpgradeRequest,
  UpgradeVerdict,
  WsHandler,
  WsServer,
  WsServerOptions,
  WsSocket,
  WsTls,
} from './socket.ts';
import type { Uws, UwsApp, UwsRequest, UwsResponse, UwsWebSocket } from './uws.ts';
import { plainAddress } from './upgrade.ts';

/** Listens with uWebSockets.js. Rejects with `E_LISTEN` or `E_TLS_MATERIAL`. */
export async function startUwsServer(options: WsServerOptions, uws: Uws): Promise<WsServer> {
  // It shares ports, unless it has chosen one itself, so that after a reload another app can take over: whether somebody else
  // listens there has to be found out first.
  const port = await freePort(options.address, options.port);
  return new UwsServer({ ...options, port }, uws);
}

/**
 * Why uWebSockets.js cannot serve these TLS domains as they are meant to be; undefined when it can. (It has certificates by server
 * name, but writes to the standard output when they are set up, which is where the log goes.)
 */
export function uwsObjection({ spec, files }: WsTls): string | undefined {
  const domain = spec.fallback;
  if (domain === undefined || spec.byName.length > 0) return 'there are several domains, chosen by name';
  const { name } = domain;
  if (domain.identities.length !== 1 || files(name) === undefined) return `tls.domains.${name} has two certificates`;
  if (domain.requireCert) return `tls.domains.${name} asks clients for certificates`;
  if (domain.minVersion !== 'TLSv1.2' || domain.maxVersion !== 'TLSv1.3') return `tls.domains.${name} has tls_method`;
  if (domain.ciphers !== undefined) return `tls.domains.${name} has ciphers_list`;
  if (domain.curves !== undefined) return `tls.domains.${name} has ec_curve`;
  return undefined;
}

/** Hangs on each WebSocket. */
interface UserData {
  readonly open: (socket: WsSocket) => WsHandler;
  socket?: UwsSocket;
}

class UwsServer implements WsServer {
  readonly implementation = 'uws';
  readonly address: string;
  readonly port: number;
  readonly #options: WsServerOptions;
  readonly #uws: Uws;
  /** The last one accepts; the WebSockets of those before it live on. */
  readonly #apps: UwsApp[] = [];
  #listening: unknown;
  #tls: TlsInfo | undefined;

  constructor(options: WsServerOptions, uws: Uws) {
    this.#options = options;
    this.#uws = uws;
    this.address = options.address;
    this.port = options.port;
    this.#listen(this.#makeApp(options.tls));
    this.#name(options.tls);
  }

  /** Its certificate cannot be exchanged: another app takes the port over. */
  updateTls(tls: WsTls): void {
    const objection = uwsObjection(tls);
    if (objection !== undefined)
      throw new MsrpError('E_TLS_MATERIAL', `uWebSockets.js cannot serve it (${objection}): this needs a restart`);
    const before = this.#listening;
    this.#listen(this.#makeApp(tls));
    this.#uws.us_listen_socket_close(before);
    this.#name(tls);
  }

  close(): void {
    if (this.#listening === undefined) return;
    this.#uws.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  destroy(): void {
    this.#listening = undefined;
    for (const app of this.#apps.splice(0)) app.close();
  }

  #listen(app: UwsApp): void {
    const { address, port } = this;
    let listening: unknown = false;
    app.listen(address, port, (socket) => {
      listening = socket;
    });
    if (listening === false) {
      app.close();
      throw new MsrpError('E_LISTEN', `${address}:${port}: uWebSockets.js cannot listen there`);
    }
    this.#apps.push(app);
    this.#listening = listening;
  }

  /** What was agreed on in a handshake is not to be had. */
  #name(tls: WsTls | undefined): void {
    const domain = tls?.spec.fallback?.name;
    if (domain !== undefined) this.#tls = { domain, protocol: 'unknown', cipher: 'unknown', resumed: false };
  }

  #makeApp(tls: WsTls | undefined): UwsApp {
    if (tls === undefined) return this.#route(this.#uws.App());
    const { name } = tls.spec.fallback as TlsDomain;
    const { certificate, privateKey } = tls.files(name) as { certificate: string; privateKey: string };
    try {
      return this.#route(this.#uws.SSLApp({ cert_file_name: certificate, key_file_name: privateKey }));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MsrpError('E_TLS_MATERIAL', `uWebSockets.js: ${reason}`, { cause: error });
    }
  }

  #route(app: UwsApp): UwsApp {
    const { maxMessageBytes } = this.#options;
    return app
      .ws<UserData>('/*', {
        // It cuts off whoever sends more, without a word: what is somewhat too long is closed with 1009 here.
        maxPayloadLength: maxMessageBytes + MARGIN_BYTES,
        // Bounded by the outbox: a piece of it at a time.
        maxBackpressure: 0,
        // Peers that are closed and do not go; those that are there answer pings.
        idleTimeout: this.#options.pingIntervalMs === 0 ? 0 : IDLE_S,
        sendPingsAutomatically: false,
        compression: 0,
        upgrade: (response, request, context) => this.#upgrade(response, request, context),
        open: (websocket) => {
          const data = websocket.getUserData();
          data.socket = new UwsSocket(websocket);
          data.socket.handler = data.open(data.socket);
        },
        message: (websocket, message) => {
          const { socket } = websocket.getUserData();
          if (message.byteLength > maxMessageBytes) socket?.violated(CODE.TOO_BIG, 'a message that is too long');
          else socket?.handler?.onMessage(new Uint8Array(message));
        },
        drain: (websocket) => {
          const { socket } = websocket.getUserData();
          if (socket?.buffered === 0) socket.handler?.onDrain();
        },
        pong: (websocket) => websocket.getUserData().socket?.handler?.onPong(),
        close: (websocket, code, message) =>
          websocket.getUserData().socket?.closed(code, Buffer.from(message).toString('latin1')),
      })
      .any('/*', (response) => {
        response.writeStatus('426 Upgrade Required').writeHeader('Upgrade', 'websocket').end('', true);
      });
  }

  #upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void {
    let gone = false;
    response.onAborted(() => {
      gone = true;
    });
    const read = this.#read(response, request);
    const key = request.getHeader('sec-websocket-key');
    const failed = { kind: 'refuse', status: 500, headers: [] } as const;
    const answer = (verdict: UpgradeVerdict): void => {
      if (gone) return;
      response.cork(() => {
        const status = verdict.kind === 'accept' ? 101 : verdict.status;
        response.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Refused'}`);
        for (const [name, value] of verdict.headers) response.writeHeader(name, value);
        if (verdict.kind === 'refuse') response.end('', true);
        else {
          const data: UserData = { open: verdict.open };
          response.upgrade(data, key, SUBPROTOCOL, '', context);
        }
      });
    };
    void this.#options
      .judge(read)
      .catch(() => failed)
      .then(answer);
  }

  #read(response: UwsResponse, request: UwsRequest): UpgradeRequest {
    const address = Buffer.from(response.getRemoteAddressAsText()).toString('latin1');
    const tls = this.#tls;
    return {
      path: request.getUrl(),
      query: request.getQuery(),
      host: request.getHeader('host'),
      origin: request.getHeader('origin'),
      cookie: request.getHeader('cookie'),
      authorization: request.getHeader('authorization'),
      subprotocols: request.getHeader('sec-websocket-protocol'),
      forwardedFor: request.getHeader('x-forwarded-for'),
      forwardedProto: request.getHeader('x-forwarded-proto'),
      remote: { address: plainAddress(address), port: 0 },
      local: { address: this.address, port: this.port },
      ...(tls === undefined ? {} : { tls }),
    };
  }
}

class UwsSocket implements WsSocket {
  handler: WsHandler | undefined;
  /** Undefined from its end on: then it may not be touched any more. */
  #websocket: UwsWebSocket<UserData> | undefined;
  #violation: { readonly code: number; readonly detail: string } | undefined;

  constructor(websocket: UwsWebSocket<UserData>) {
    this.#websocket = websocket;
  }

  sendAll(bytes: Uint8Array, ends: readonly number[]): void {
    const websocket = this.#websocket;
    websocket?.cork(() => {
      let from = 0;
      for (const end of ends) {
        websocket.send(bytes.subarray(from, end), true, false);
        from = end;
      }
    });
  }

  get buffered(): number {
    return this.#websocket?.getBufferedAmount() ?? 0;
  }

  pause(): boolean {
    return false;
  }

  resume(): void {
    // It never stops.
  }

  ping(): void {
    this.#websocket?.ping();
  }

  close(code: number, reason: string): void {
    this.#websocket?.end(code, reason);
  }

  destroy(): void {
    this.#websocket?.close();
  }

  violated(code: number, detail: string): void {
    this.#violation = { code, detail };
    this.close(code, detail);
  }

  closed(code: number, message: string): void {
    this.#websocket = undefined;
    // Without a close frame of the peer the message is what uWebSockets.js had against it, or nothing when the peer has just gone.
    const broken = code === CODE.ABNORMAL && message !== '' && !GONE.test(message) ? message : undefined;
    const isTooBig = broken !== undefined && /too big/i.test(broken);
    const { code: own = isTooBig ? CODE.TOO_BIG : code, detail = broken } = this.#violation ?? {};
    this.handler?.onClosed(own, detail);
  }
}

/** The port, or a free one instead of 0. Rejects with `E_LISTEN` when somebody listens there. */
async function freePort(host: string, port: number): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once('error', (error) =>
      reject(new MsrpError('E_LISTEN', `${host}:${port}: ${error.message}`, { cause: error })),
    );
    probe.listen({ host, port, exclusive: true }, () => {
      const { port: free } = probe.address() as AddressInfo;
      probe.close(() => resolve(free));
    });
  });
}

/** Seconds without a byte; a multiple of 4. */
const IDLE_S = 960;

/** Above the limit: still read, to be answered with a close frame. */
const MARGIN_BYTES = 65536;

/** What it says of a connection that has ended by itself. */
const GONE = /TCP FIN|timeout/i;
