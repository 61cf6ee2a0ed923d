import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { CloseReason, ConnectSpec, HandshakeFailure, SocketAddress, TlsClientSpec, TlsInfo } from '../engine.ts';
import { certificateFailure, handshakeCloseReason, handshakeFailure } from './handshake-failure.ts';
import { tlsInfo } from './tls.ts';
import type { KnownSession, TlsContexts } from './tls.ts';

/** What a dial comes to. */
export interface DialOwner {
  readonly contexts: TlsContexts;
  /** A candidate is tried. */
  onDialling(candidate: SocketAddress): void;
  onDialled(socket: Socket, tls: TlsInfo | undefined): void;
  /** A TLS handshake with one of the candidates has failed; the next may do better. */
  onHandshakeFailed(failure: HandshakeFailure): void;
  /** No candidate could be reached: what the last one came to. */
  onDialFailed(reason: CloseReason, detail: string, handshake: HandshakeFailure | undefined): void;
  nowMs(): number;
  handshakeTimeoutMs(): number;
}

/** Tries the candidates of a next hop in order until one is usable (core section 7, "Resolution"). */
export class Dial {
  readonly #spec: ConnectSpec;
  readonly #owner: DialOwner;
  #next = 0;
  #socket: Socket | undefined;
  #deadlineMs = Infinity;
  /** Of the TLS handshake, once it has begun. */
  #handshakeDeadlineMs = Infinity;
  readonly #failures: string[] = [];
  #reason: CloseReason = 'connect_failed';
  #handshake: HandshakeFailure | undefined;

  constructor(spec: ConnectSpec, owner: DialOwner) {
    this.#spec = spec;
    this.#owner = owner;
    this.#try();
  }

  /** Gives up on a candidate that has had its time. */
  sweep(): void {
    const nowMs = this.#owner.nowMs();
    if (nowMs >= this.#handshakeDeadlineMs) this.#handshakeFailed('timeout', 'it takes too long');
    else if (nowMs >= this.#deadlineMs) this.#failed('timeout', 'connect_timeout');
  }

  abort(): void {
    this.#deadlineMs = this.#handshakeDeadlineMs = Infinity;
    this.#socket?.removeAllListeners();
    this.#socket?.on('error', () => undefined);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #try(): void {
    const { tls, localAddress, timeoutMs, candidates } = this.#spec;
    const candidate = candidates[this.#next++];
    if (candidate === undefined) {
      const failures = this.#failures.join('; ') || 'no address';
      // What is said begins with what it comes to.
      const detail = this.#handshake === undefined ? failures : `${this.#handshake}: ${failures}`;
      this.#owner.onDialFailed(this.#reason, detail, this.#handshake);
      return;
    }
    this.#owner.onDialling(candidate);
    const { address, port } = candidate;
    const where = {
      host: address,
      port,
      noDelay: true,
      allowHalfOpen: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    };
    this.#deadlineMs = this.#owner.nowMs() + timeoutMs;
    const known = tls === undefined ? undefined : this.#owner.contexts.takeSession(tls, address, port);
    let socket: Socket;
    try {
      socket =
        tls === undefined
          ? connectTcp(where)
          : connectTls({ ...where, ...this.#owner.contexts.client(tls, known?.session) });
    } catch (error) {
      // Arguments that the platform refuses at once, a local address for one; a domain whose certificate cannot be used.
      this.#failed(error instanceof Error ? error.message : String(error), 'connect_failed');
      return;
    }
    this.#socket = socket;
    let connected = false;
    socket.once('connect', () => {
      connected = true;
      const handshakeMs = this.#owner.handshakeTimeoutMs();
      if (tls !== undefined && handshakeMs !== 0) this.#handshakeDeadlineMs = this.#owner.nowMs() + handshakeMs;
    });
    if (tls !== undefined) this.#rememberSessions(tls, candidate, socket as TLSSocket, known);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#deadlineMs = this.#handshakeDeadlineMs = Infinity;
      this.#socket = undefined;
      socket.removeAllListeners('error');
      this.#owner.onDialled(socket, tls === undefined ? undefined : infoOf(tls, socket as TLSSocket, known));
    });
    socket.once('error', (error: Error) => {
      if (this.#socket !== socket) return;
      const { code = error.message } = error as { code?: string };
      if (tls === undefined || !connected) this.#failed(code, 'connect_failed');
      else this.#handshakeFailed(failureOf(code, socket as TLSSocket), code);
    });
  }

  /**
   * Sessions of TLS 1.2 come before the certificate has been judged: none is kept of a handshake that fails, since one that is taken
   * up again is not judged any more.
   */
  #rememberSessions(
    tls: TlsClientSpec,
    { address, port }: SocketAddress,
    socket: TLSSocket,
    known: KnownSession | undefined,
  ): void {
    let latest: Buffer | undefined;
    let peer: TlsInfo['peer'];
    let done = false;
    const keep = (): void => {
      if (done && latest !== undefined) this.#owner.contexts.remember(tls, address, port, { session: latest, peer });
    };
    socket.on('session', (session: Buffer) => {
      latest = session;
      keep();
    });
    socket.once('secureConnect', () => {
      done = true;
      peer = infoOf(tls, socket, known).peer;
      keep();
    });
  }

  #handshakeFailed(failure: HandshakeFailure, why: string): void {
    this.#owner.onHandshakeFailed(failure);
    this.#failed(`${failure}: ${why}`, handshakeCloseReason(failure), failure);
  }

  #failed(why: string, reason: CloseReason, handshake?: HandshakeFailure): void {
    const { address, port } = this.#spec.candidates[this.#next - 1] as { address: string; port: number };
    this.#failures.push(`${address} ${port}: ${why}`);
    this.#reason = reason;
    this.#handshake = handshake;
    this.abort();
    this.#try();
  }
}

/** A session that is taken up again shows no certificate: it is that of the handshake that made it. */
function infoOf(tls: TlsClientSpec, socket: TLSSocket, known: KnownSession | undefined): TlsInfo {
  const info = tlsInfo(tls.domain, socket);
  return info.resumed && info.peer === undefined && known?.peer !== undefined ? { ...info, peer: known.peer } : info;
}

/** Node judges the certificate of the server when the handshake is done: then the error is about that. */
function failureOf(code: string, socket: TLSSocket): HandshakeFailure {
  return socket.getProtocol() !== null && (socket.authorizationError as unknown) !== null
    ? certificateFailure(code)
    : handshakeFailure(code);
}
