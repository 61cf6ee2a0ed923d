import { EventEmitter } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { MsrpError } from '../errors.ts';
import type { RequestFrame } from '../syntax/frame.ts';
import { hostText, sameUriText } from '../syntax/uri.ts';
import { EndpointSession } from './endpoint-session.ts';
import { makeIdent } from './environment.ts';
import { PLATFORM } from './platform.ts';
import type { EndpointEnvironment } from './environment.ts';
import { PeerConnection, refuse } from './peer-connection.ts';
import { SocketTransport } from './socket-transport.ts';
import type { PeerHandler } from './peer-connection.ts';
import type { ReceiverOptions } from './receiver.ts';

export interface ListenerOptions extends ReceiverOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** PEM: listens with TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Connections at a time, bound or not (core C-152); further ones are closed at once. Default 64. */
  readonly maxConnections?: number;
  readonly environment?: EndpointEnvironment;
}

/** A session that a peer has connected to. */
export class AcceptedSession extends EndpointSession {
  /** Takes over what the connection tells. */
  start(): PeerHandler {
    const handler = this.handler();
    this.connection.handler = handler;
    return handler;
  }
}

/**
 * The passive side of one session without a relay (RFC 4975 section 5.4): the first SEND to its URI binds a connection to it
 * (core C-081); a second one is refused with 506 while that lives.
 */
export class MsrpListener extends EventEmitter<{ session: [session: AcceptedSession] }> {
  /** Own URI of the session, to offer to the peer. */
  readonly uri: string;
  readonly #server: Server;
  readonly #environment: EndpointEnvironment;
  readonly #options: ListenerOptions;
  /** Every TCP connection, those within a TLS handshake too. */
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<PeerConnection>();
  #session: AcceptedSession | undefined;

  /** Starts listening. Rejects with `E_CONNECT` when the address is not to be had. */
  static async listen(options: ListenerOptions = {}): Promise<MsrpListener> {
    const { host = '127.0.0.1', port = 0, tls } = options;
    const server = tls === undefined ? createTcpServer() : createTlsServer({ ...tls, ...TLS });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new MsrpError('E_CONNECT', error.message, { cause: error })));
      server.listen({ host, port }, resolve);
    });
    const bound = server.address() as AddressInfo;
    const environment = options.environment ?? PLATFORM;
    const scheme = tls === undefined ? 'msrp' : 'msrps';
    const uri = `${scheme}://${hostText(host)}:${bound.port}/${makeIdent(environment)};tcp`;
    return new MsrpListener(server, environment, uri, options, tls === undefined ? 'connection' : 'secureConnection');
  }

  private constructor(
    server: Server,
    environment: EndpointEnvironment,
    uri: string,
    options: ListenerOptions,
    event: 'connection' | 'secureConnection',
  ) {
    super();
    this.uri = uri;
    this.#server = server;
    this.#environment = environment;
    this.#options = options;
    server.on('connection', (socket: Socket) => this.#onSocket(socket));
    server.on(event, (socket: Socket) => this.#onConnection(socket));
    server.on('error', () => undefined);
  }

  /** Stops listening and closes every connection. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await Promise.all(Array.from(this.#connections, (connection) => connection.close()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onSocket(socket: Socket): void {
    if (this.#sockets.size >= (this.#options.maxConnections ?? DEFAULT_CONNECTIONS)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => void this.#sockets.delete(socket));
  }

  #onConnection(socket: Socket): void {
    if (socket.destroyed) return;
    const connection = new PeerConnection(new SocketTransport(socket), this.#environment);
    this.#connections.add(connection);
    let refused: { request: RequestFrame; status: number } | undefined;
    let bound: PeerHandler | undefined;
    // One that binds no session is not kept (core C-126, D-20).
    const cancel = this.#environment.setTimer(UNBOUND_MS, () => connection.destroy());
    connection.handler = {
      onSendHead: (head, issue) => {
        const status = issue ? 400 : this.#refusal(head);
        if (status !== 0) {
          refused = { request: head, status };
          return;
        }
        const session = new AcceptedSession(connection, this.#environment, this.uri, this.#options);
        this.#session = session;
        cancel();
        bound = session.start();
        session.once('closed', () => this.#forget(connection, session));
        this.emit('session', session);
        bound.onSendHead(head, issue);
      },
      onSendBody: (bytes) => bound?.onSendBody(bytes),
      onSendEnd: (flag) => {
        if (refused !== undefined) refuse(connection, refused.request, refused.status);
        refused = undefined;
        return bound?.onSendEnd(flag);
      },
      onRequest: (request, issue) => {
        if (request.method !== 'REPORT') refuse(connection, request, issue ? 400 : 481);
      },
      onClose: () => {
        cancel();
        this.#connections.delete(connection);
      },
    };
  }

  /** 0, or why a first SEND does not bind its connection. */
  #refusal(head: RequestFrame): number {
    if (head.toPath.length !== 1 || !sameUriText(head.toPath[0] as string, this.uri)) return 481;
    return this.#session !== undefined && !this.#session.closed ? 506 : 0;
  }

  #forget(connection: PeerConnection, session: AcceptedSession): void {
    this.#connections.delete(connection);
    if (this.#session === session) this.#session = undefined;
  }
}

const DEFAULT_CONNECTIONS = 64;
const UNBOUND_MS = 30_000;
const TLS = { minVersion: 'TLSv1.2', handshakeTimeout: UNBOUND_MS } as const;
