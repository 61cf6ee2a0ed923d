import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { MsrpError } from '../../errors.ts';
import type { BoundListener, ListenSpec, ListenerId, SocketAddress, TlsServerSpec } from '../engine.ts';
import type { Handshakes } from './handshake.ts';

/** What a listener tells the engine. */
export interface ListenerOwner {
  /** False when the connection is not to be had; then the owner has said why. */
  admit(peer: NewPeer, tls: boolean): boolean;
  onConnection(listener: ListenerId, socket: Socket): void;
}

/** A peer that is not a connection yet, and where it came in. */
export interface NewPeer {
  readonly listener: ListenerId;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
}

/** One listening socket, plain or TLS. */
export class Listener {
  readonly id: ListenerId;
  readonly #owner: ListenerOwner;
  readonly #handshakes: Handshakes;
  readonly #server: Server;
  #tls: TlsServerSpec | undefined;

  /** Throws `E_TLS_MATERIAL`. */
  constructor(id: ListenerId, spec: ListenSpec, owner: ListenerOwner, handshakes: Handshakes) {
    this.id = id;
    this.#owner = owner;
    this.#handshakes = handshakes;
    if (spec.tls !== undefined) handshakes.contexts.assertUsable(spec.tls);
    this.#tls = spec.tls;
    // A peer that has ended its side still gets what is queued for it.
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#onSocket(socket));
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

  updateTls(spec: TlsServerSpec): void {
    this.#handshakes.contexts.assertUsable(spec);
    if (this.#tls !== undefined) this.#tls = spec;
  }

  close(): void {
    this.#server.close();
    this.#handshakes.end(this.id);
  }

  #onSocket(socket: Socket): void {
    const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
    const peer = {
      listener: this.id,
      remote: { address: remoteAddress, port: remotePort },
      local: { address: localAddress, port: localPort },
    };
    if (!this.#owner.admit(peer, this.#tls !== undefined)) socket.destroy();
    else if (this.#tls === undefined) this.#owner.onConnection(this.id, socket);
    else this.#handshakes.begin(peer, socket, () => this.#tls as TlsServerSpec);
  }
}

/** Connections that wait to be accepted: a burst of reconnecting clients must not be refused by the kernel. */
const BACKLOG = 4096;
