import type { Logger } from 'pino';
import type { ClosedEvent } from '../engine/engine.ts';

/** How long failures of the same kind are counted before they are told again, in ms. */
const BURST_MS = 10_000;

/** How often it is looked for what is to be told, in ms. */
export const SWEEP_MS = 1000;

/** Kinds that are told apart at a time; of more there is one count. */
const MAX_KINDS = 100;

/** Failures of one peer, TLS domain and reason. */
interface Kind {
  readonly fields: Record<string, unknown>;
  /** Since it was told last. */
  count: number;
  dueMs: number;
}

/**
 * Tells of failed handshakes without filling the log: the first of a kind at once, then how many there were, {@link BURST_MS} after
 * that and as often as it lasts. A kind that has not come again for so long is forgotten.
 */
export class HandshakeLog {
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #kinds = new Map<string, Kind>();
  #others = 0;
  #othersDueMs = 0;

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  note({ direction, remote, handshake, tlsDomain, detail }: ClosedEvent): void {
    const key = `${direction} ${remote.address} ${tlsDomain ?? ''} ${handshake ?? ''}`;
    const known = this.#kinds.get(key);
    const dueMs = this.#nowMs() + BURST_MS;
    if (known !== undefined) known.count++;
    else if (this.#kinds.size < MAX_KINDS) {
      const fields = { direction, address: remote.address, tlsDomain, handshake };
      this.#kinds.set(key, { fields, count: 0, dueMs });
      this.#log.warn({ ...fields, port: remote.port, detail }, 'TLS handshake failed');
    } else if (this.#others++ === 0) this.#othersDueMs = dueMs;
  }

  /** To be called every {@link SWEEP_MS}. */
  sweep(): void {
    const nowMs = this.#nowMs();
    for (const [key, kind] of this.#kinds) if (kind.dueMs <= nowMs) this.#tell(key, kind, nowMs + BURST_MS);
    if (this.#othersDueMs <= nowMs) this.#tellOthers();
  }

  /** Tells what has not been told yet. */
  flush(): void {
    for (const [key, kind] of this.#kinds) this.#tell(key, kind, Infinity);
    this.#tellOthers();
  }

  #tell(key: string, kind: Kind, dueMs: number): void {
    if (kind.count === 0) this.#kinds.delete(key);
    else this.#log.warn({ ...kind.fields, count: kind.count }, 'TLS handshakes failed');
    kind.count = 0;
    kind.dueMs = dueMs;
  }

  #tellOthers(): void {
    if (this.#others > 0) this.#log.warn({ count: this.#others }, 'TLS handshakes of other peers failed');
    this.#others = 0;
  }
}
