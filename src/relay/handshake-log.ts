import type { Logger } from 'pino';
import type { ClosedEvent } from '../engine/engine.ts';

/** How long failures of the same kind are counted before they are told again, in ms. */
export const BURST_MS = 10_000;

/** Kinds that are told apart within that time; of more there is one count. */
const MAX_KINDS = 100;

/**
 * Tells of failed handshakes without filling the log: the first of a kind (peer, TLS domain, failure) at once, then how many there
 * were, every {@link BURST_MS} while it lasts.
 */
export class HandshakeLog {
  readonly #log: Logger;
  readonly #kinds = new Map<string, { readonly fields: Record<string, unknown>; count: number }>();
  #others = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  note({ direction, remote, handshake, tlsDomain, detail }: ClosedEvent): void {
    const key = `${direction} ${remote.address} ${tlsDomain ?? ''} ${handshake ?? ''}`;
    const known = this.#kinds.get(key);
    if (known !== undefined) known.count++;
    else if (this.#kinds.size >= MAX_KINDS) this.#others++;
    else {
      const fields = { direction, address: remote.address, tlsDomain, handshake };
      this.#kinds.set(key, { fields, count: 0 });
      this.#log.warn({ ...fields, port: remote.port, detail }, 'TLS handshake failed');
    }
  }

  /** To be called every {@link BURST_MS}. A kind that has not come again is forgotten. */
  sweep(): void {
    for (const [key, kind] of this.#kinds) {
      if (kind.count === 0) this.#kinds.delete(key);
      else this.#log.warn({ ...kind.fields, count: kind.count }, 'TLS handshakes failed');
      kind.count = 0;
    }
    if (this.#others > 0) this.#log.warn({ count: this.#others }, 'TLS handshakes of other peers failed');
    this.#others = 0;
  }
}
