import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import type { HandshakeFailure, ListenerId, SocketAddress, TlsDomain, TlsInfo, TlsServerSpec } from '../engine.ts';
import { readClientHello } from './client-hello.ts';
import { certificateFailure, handshakeFailure } from './handshake-failure.ts';
import type { NewPeer } from './listener.ts';
import { TlsContexts, domainFor, tlsInfo } from './tls.ts';

/** What becomes of handshakes. */
export interface HandshakeOwner {
  onSecure(listener: ListenerId, socket: TLSSocket, tls: TlsInfo): void;
  onFailed(peer: NewPeer, failure: HandshakeFailure, detail: string, domain: string | undefined): void;
  nowMs(): number;
  timeoutMs(): number;
  random(into: Uint8Array): void;
}

/** A handshake under way. */
interface Handshake {
  readonly peer: NewPeer;
  readonly socket: Socket;
  readonly deadlineMs: number;
  domain: TlsDomain | undefined;
  serverName: string | undefined;
}

/**
 * TLS handshakes of accepted connections: the ClientHello is read first, then node:tls does the rest with the domain that it asks
 * for, and the certificate of the client is judged as that domain says.
 */
export class Handshakes {
  readonly contexts: TlsContexts;
  readonly #owner: HandshakeOwner;
  /** By address and port of the peer, which the TLS socket shows, too. */
  readonly #underWay = new Map<string, Handshake>();

  constructor(owner: HandshakeOwner) {
    this.#owner = owner;
    this.contexts = new TlsContexts(
      (into) => owner.random(into),
      (server, domain) => this.#listenTo(server, domain),
    );
  }

  get size(): number {
    return this.#underWay.size;
  }

  begin(peer: NewPeer, socket: Socket, spec: () => TlsServerSpec): void {
    const timeoutMs = this.#owner.timeoutMs();
    const deadlineMs = timeoutMs === 0 ? Infinity : this.#owner.nowMs() + timeoutMs;
    const handshake: Handshake = { peer, socket, deadlineMs, domain: undefined, serverName: undefined };
    this.#underWay.set(nameOf(peer.remote), handshake);
    socket.once('close', () => this.#fail(handshake, 'closed', 'the peer has gone'));
    socket.once('end', () => this.#fail(handshake, 'closed', 'the peer has ended its side'));
    socket.on('error', ignore);
    let bytes: Buffer = NOTHING;
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const hello = readClientHello(bytes);
      if (hello.kind === 'incomplete') return;
      socket.off('data', onData);
      socket.pause();
      if (hello.kind === 'garbage') {
        this.#fail(handshake, 'protocol', 'no ClientHello');
        return;
      }
      handshake.serverName = hello.serverName;
      handshake.domain = domainFor(spec(), hello.serverName);
      if (handshake.domain === undefined) {
        socket.write(UNRECOGNIZED_NAME);
        this.#fail(handshake, 'unrecognized_name', 'no domain for this name');
        return;
      }
      socket.unshift(bytes);
      socket.off('error', ignore);
      this.contexts.server(handshake.domain).emit('connection', socket);
    };
    socket.on('data', onData);
  }

  /** Ends handshakes that take too long. */
  sweep(): void {
    const nowMs = this.#owner.nowMs();
    for (const handshake of this.#underWay.values())
      if (handshake.deadlineMs <= nowMs) this.#fail(handshake, 'timeout', 'it takes too long');
  }

  /** Ends the handshakes of a listener. */
  end(listener: ListenerId): void {
    for (const handshake of this.#underWay.values())
      if (handshake.peer.listener === listener) this.#fail(handshake, 'closed', 'the listener has closed');
  }

  #listenTo(server: Server, domain: TlsDomain): void {
    server.on('secureConnection', (socket) => {
      const handshake = this.#underWay.get(nameOfSocket(socket));
      if (handshake === undefined) {
        socket.destroy();
        return;
      }
      const refused = refusal(domain, socket);
      if (refused !== undefined) {
        this.#failed(handshake, ...refused);
        socket.destroy();
        return;
      }
      this.#underWay.delete(nameOf(handshake.peer.remote));
      this.#owner.onSecure(handshake.peer.listener, socket, tlsInfo(domain, socket, handshake.serverName));
    });
    server.on('tlsClientError', (error, socket) => {
      const handshake = this.#underWay.get(nameOfSocket(socket));
      const { code = error.message } = error as { code?: string };
      if (handshake !== undefined) this.#failed(handshake, handshakeFailure(code), code);
      socket.destroy();
    });
  }

  /** Never within a callback of the TLS socket: it has to end itself, or it would read on from a handle that is gone. */
  #fail(handshake: Handshake, failure: HandshakeFailure, detail: string): void {
    if (!this.#failed(handshake, failure, detail)) return;
    const { socket } = handshake;
    // What was written still goes out: an alert.
    if (socket.writableLength > 0) socket.end(() => socket.destroy());
    else socket.destroy();
  }

  #failed(handshake: Handshake, failure: HandshakeFailure, detail: string): boolean {
    const key = nameOf(handshake.peer.remote);
    if (this.#underWay.get(key) !== handshake) return false;
    this.#underWay.delete(key);
    this.#owner.onFailed(handshake.peer, failure, detail, handshake.domain?.name);
    return true;
  }
}

/** Why a client that has finished its handshake is turned away all the same; undefined when it is not. */
function refusal(domain: TlsDomain, socket: TLSSocket): [HandshakeFailure, string] | undefined {
  const hasCertificate = Object.keys(socket.getPeerCertificate()).length > 0;
  if (!hasCertificate) return domain.requireCert ? ['no_certificate', 'no client certificate'] : undefined;
  if (socket.authorized || !domain.verifyCert) return undefined;
  const code = String(socket.authorizationError);
  return [certificateFailure(code), `client certificate: ${code}`];
}

/** Alert record: fatal (2), unrecognized_name (112), RFC 6066 section 3. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
const NOTHING = Buffer.alloc(0);

function ignore(): void {
  // The close that follows tells.
}

function nameOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}

function nameOfSocket({ remoteAddress = '', remotePort = 0 }: TLSSocket): string {
  return nameOf({ address: remoteAddress, port: remotePort });
}
