import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { ConnectSpec } from '../engine.ts';
import { clientOptions, tlsInfo } from './tls.ts';

/** What a dial comes to. */
export interface DialOwner {
  onDialled(socket: Socket, tls: ReturnType<typeof tlsInfo> | undefined): void;
  /** No candidate could be reached. `timedOut`: the last one did not answer in time. */
  onDialFailed(detail: string, timedOut: boolean): void;
  /** A candidate is tried. */
  onDialling(candidate: ConnectSpec['candidates'][number]): void;
  nowMs(): number;
}

/** Tries the candidates of a next hop in order until one is usable (core section 7, "Resolution"). */
export class Dial {
  readonly #spec: ConnectSpec;
  readonly #owner: DialOwner;
  #next = 0;
  #socket: Socket | undefined;
  #deadlineMs = Infinity;
  readonly #failures: string[] = [];

  constructor(spec: ConnectSpec, owner: DialOwner) {
    this.#spec = spec;
    this.#owner = owner;
    this.#try();
  }

  /** Gives up on a candidate that has had its time. */
  sweep(): void {
    if (this.#owner.nowMs() >= this.#deadlineMs) this.#failed('timeout');
  }

  abort(): void {
    this.#deadlineMs = Infinity;
    this.#socket?.removeAllListeners();
    this.#socket?.on('error', () => undefined);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #try(): void {
    const candidate = this.#spec.candidates[this.#next++];
    if (candidate === undefined) {
      const last = this.#failures.at(-1) ?? 'no address';
      this.#owner.onDialFailed(this.#failures.join('; ') || last, last.endsWith('timeout'));
      return;
    }
    this.#owner.onDialling(candidate);
    const { tls, localAddress, timeoutMs } = this.#spec;
    const where = {
      host: candidate.address,
      port: candidate.port,
      noDelay: true,
      allowHalfOpen: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    };
    this.#deadlineMs = this.#owner.nowMs() + timeoutMs;
    let socket: Socket;
    try {
      socket = tls === undefined ? connectTcp(where) : connectTls({ ...where, ...clientOptions(tls) });
    } catch (error) {
      // Arguments that the platform refuses at once, a local address for one.
      this.#failed(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#socket = socket;
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#deadlineMs = Infinity;
      this.#socket = undefined;
      socket.removeAllListeners('error');
      this.#owner.onDialled(socket, tls === undefined ? undefined : tlsInfo(tls.domain.name, socket as TLSSocket));
    });
    socket.once('error', (error: Error) => {
      if (this.#socket === socket) this.#failed((error as { code?: string }).code ?? error.message);
    });
  }

  #failed(why: string): void {
    const { address, port } = this.#spec.candidates[this.#next - 1] as { address: string; port: number };
    this.#failures.push(`${address} ${port}: ${why}`);
    this.abort();
    this.#try();
  }
}
