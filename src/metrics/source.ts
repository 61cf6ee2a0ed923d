import type { EngineStats } from '../engine/engine.ts';

/** Open connections of one listener (`out`: those that this relay has made) over one transport. */
export interface ConnectionCount {
  readonly listener: string;
  readonly transport: 'tcp' | 'tls';
  readonly count: number;
}

/** When a certificate of a TLS domain ends. */
export interface CertificateEnd {
  readonly domain: string;
  /** A domain may have two certificates: this tells them apart. */
  readonly serial: string;
  readonly notAfterMs: number;
  /** Whole days; negative when it has ended. */
  readonly daysLeft: number;
}

/** Where metrics come from: the server implements it. */
export interface MetricsSource {
  readonly engine: {
    readonly kind: string;
    readonly framer: string;
    readonly version?: string;
    readonly reason: string;
  };
  stats(): EngineStats;
  connectionCounts(): ConnectionCount[];
  /** Counters of the control plane. */
  readonly relay: {
    readonly sessionsOpened: number;
    readonly sessionsClosed: ReadonlyMap<string, number>;
    readonly auth: ReadonlyMap<number, number>;
  };
  readonly trace:
    { readonly on: boolean; readonly sent: number; readonly dropped: number; readonly queuedBytes: number } | undefined;
  certificates(): CertificateEnd[];
}
