import type { HepDestination } from './hep-id.ts';

/** What the configuration says of tracing. */
export interface TraceSettings {
  /** Undefined: nothing can be traced. */
  readonly destination: HepDestination | undefined;
  readonly on: boolean;
  readonly rules: readonly TraceRule[];
  readonly frames: 'none' | 'headers' | 'bodies';
  readonly bodyBytes: number;
  readonly captureId: number;
  /** Values joined by this text instead of JSON. */
  readonly homer5: string | undefined;
  readonly opensipsProtoNumbers: boolean;
  readonly opensipsAddressOrder: boolean;
  readonly queueBytes: number;
  readonly caFile: string | undefined;
  readonly verifyCert: boolean;
}

/** A rule of `trace_filter_route`: it fits when all that it names fits. */
export interface TraceRule {
  readonly action: 'trace' | 'drop';
  /** Address or CIDR block. */
  readonly peer?: string;
  readonly port?: number;
  /** As written in the configuration. */
  readonly listener?: string;
  readonly direction?: 'in' | 'out';
  readonly user?: string;
  /** SNI, or a name of the peer's certificate; `*.example.com` is any one label. */
  readonly tlsName?: string;
}
