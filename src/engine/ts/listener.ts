import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { MsrpError } from '../../errors.ts';
import type {
  BoundListener,
  CloseReason,
  ListenSpec,
  ListenerId,
  SocketAddress,
  TlsDomain,
  TlsServerSpec,
} from '../engine.ts';
import { assertUsable, refusal, serverOptions, tlsInfo } from './tls.ts';

/** What a listener tells the engine. */
export interface ListenerOwner {
  /** A close reason when the connection is not to be had; undefined admits it. */
  admit(remoteAddress: string): CloseReason | undefined;
  onConnection(listener: ListenerId, socket: Socket, tls: ReturnType<typeof tlsInfo> | undefined): void;
  onRefused(refused: RefusedPeer): void;
  nowMs(): number;
  handshakeTimeoutMs(): number;
}

/** A peer that was turned away before there was a connection. */
export interface RefusedPeer {
  readonly listener: ListenerId;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly reason: CloseReason;
  readonly detail?: string | undefined;
}

/** A handshake under way. */
interface Handshake {
  readonly socket: Socket;
  readonly deadlineMs: number;
  detail: string | undefined;
  timedOut: boolean;
}

/** One listening socket, plain or TLS. */
export class Listener {
  readonly id: ListenerId;
  readonly #owner: ListenerOwner;
  readonly #server: Server;
  #tlsServer: TlsServer | undefined;
  #tls: TlsDomain | undefined;
  /** By address and port of the peer. */
  readonly #handshakes = new Map<string, Handshake>();

  constructor(id: ListenerId, spec: ListenSpec, owner: ListenerOwner) {
    this.id = id;
    this.#owner = owner;
    const fallback = spec.tls?.fallback;
    this.#tls = fallback;
    if (fallback !== undefined) {
      assertUsable(fallback);
      this.#tlsServer = createTlsServer(serverOptions(fallback));
      this.#tlsServer.on('secureConnection', (socket) => this.#onSecure(socket));
      this.#tlsServer.on('tlsClientError', (error, socket) => this.#onTlsError(error, socket));
    }
    // A peer that has ended its side still gets what is queued for it.
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#onSocket(socket));
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  listen(spec: ListenSpec): Promise<BoundListener> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(new MsrpError('E_LISTEN', `${spec.address}:${spec.port}: ${error.message}`, { cause: error }));
      };
      this.#server.once('error', failed);
      this.#server.listen({ host: spec.address, port: spec.port, backlog: BACKLOG }, () => {
        this.#server.off('error', failed);
        // An error of accept (no more file descriptors) must not end the process.
        this.#server.on('error', () => undefined);
        const { address, port } = this.#server.address() as AddressInfo;
        resolve({ listener: this.id, address, port });
      });
    });
  }

  updateTls({ fallback }: TlsServerSpec): void {
    if (fallback === undefined) return;
    assertUsable(fallback);
    this.#tls = fallback;
    this.#tlsServer?.setSecureContext(serverOptions(fallback));
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.#handshakes.values()) socket.destroy();
  }

  /** Ends handshakes that take too long. */
  sweep(): void {
    for (const handshake of this.#handshakes.values()) {
      if (handshake.deadlineMs > this.#owner.nowMs()) continue;
      handshake.timedOut = true;
      handshake.socket.destroy();
    }
  }

  #onSocket(socket: Socket): void {
    const listener = this.id;
    const remote = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const local = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    const refused = this.#owner.admit(remote.address);
    if (refused !== undefined) {
      socket.destroy();
      this.#owner.onRefused({ listener, remote, local, reason: refused });
      return;
    }
    if (this.#tlsServer === undefined) {
      this.#owner.onConnection(this.id, socket, undefined);
      return;
    }
    const key = `${remote.address} ${remote.port}`;
    const timeoutMs = this.#owner.handshakeTimeoutMs();
    const deadlineMs = timeoutMs === 0 ? Infinity : this.#owner.nowMs() + timeoutMs;
    const handshake: Handshake = { socket, deadlineMs, detail: undefined, timedOut: false };
    this.#handshakes.set(key, handshake);
    socket.once('close', () => {
      if (this.#handshakes.get(key) !== handshake) return;
      this.#handshakes.delete(key);
      const reason = handshake.timedOut ? 'tls_handshake_timeout' : 'tls_handshake_failed';
      this.#owner.onRefused({ listener, remote, local, reason, detail: handshake.detail });
    });
    this.#tlsServer.emit('connection', socket);
  }

  #onSecure(socket: TLSSocket): void {
    const key = `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
    const refused = this.#tls === undefined ? undefined : refusal(this.#tls, socket);
    if (refused !== undefined) {
      const handshake = this.#handshakes.get(key);
      if (handshake !== undefined) handshake.detail = refused;
      socket.destroy();
      return;
    }
    this.#handshakes.delete(key);
    this.#owner.onConnection(this.id, socket, tlsInfo(this.#tls?.name ?? '', socket));
  }

  #onTlsError(error: Error, socket: TLSSocket): void {
    const handshake = this.#handshakes.get(`${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`);
    if (handshake !== undefined) handshake.detail = (error as { code?: string }).code ?? error.message;
    socket.destroy();
  }
}

/** Connections that wait to be accepted: a burst of reconnecting clients must not be refused by the kernel. */
const BACKLOG = 4096;
