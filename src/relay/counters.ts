import type { ListenerId, SessionCloseReason } from '../engine/engine.ts';

/** What the control plane counts. */
export class RelayCounters {
  sessionsOpened = 0;
  readonly sessionsClosed = new Map<SessionCloseReason, number>();
  /** AUTH requests answered, by status. */
  readonly auth = new Map<number, number>();
  /** Open connections by listener (undefined: made by this relay), plain and with TLS. */
  readonly #connections = new Map<ListenerId | undefined, { tcp: number; tls: number }>();

  authAnswered(status: number): void {
    this.auth.set(status, (this.auth.get(status) ?? 0) + 1);
  }

  sessionClosed(reason: SessionCloseReason): void {
    this.sessionsClosed.set(reason, (this.sessionsClosed.get(reason) ?? 0) + 1);
  }

  connection(listener: ListenerId | undefined, isTls: boolean, by: 1 | -1): void {
    let counts = this.#connections.get(listener);
    if (counts === undefined) this.#connections.set(listener, (counts = { tcp: 0, tls: 0 }));
    counts[isTls ? 'tls' : 'tcp'] += by;
  }

  connections(): { listener: ListenerId | undefined; transport: 'tcp' | 'tls'; count: number }[] {
    return Array.from(this.#connections, ([listener, { tcp, tls }]) =>
      [
        { listener, transport: 'tcp' as const, count: tcp },
        { listener, transport: 'tls' as const, count: tls },
      ].filter(({ count, transport }) => count > 0 || transport === 'tcp'),
    ).flat();
  }
}
