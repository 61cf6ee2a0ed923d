import type { EngineLimits } from '../engine/engine.ts';
import type { RelaySettings } from '../relay/settings.ts';
import type { TlsDomainFiles } from '../tls/domain.ts';
import type { TraceSettings } from '../trace/settings.ts';
import type { ListenerUri } from './listener-uri.ts';

/** A configuration that has been checked: units in names, paths absolute. */
export interface Config {
  readonly engine: 'auto' | 'native' | 'ts';
  readonly workers: 'auto' | number;
  readonly listeners: readonly ListenerConfig[];
  readonly limits: EngineLimits;
  readonly relay: Omit<RelaySettings, 'dialTls'>;
  /** Further names of this relay; port 0 is any. */
  readonly myUris: readonly { readonly host: string; readonly port: number }[];
  readonly users: { readonly file?: string; readonly hook?: string };
  readonly hooks: string | undefined;
  readonly drainMs: number;
  readonly tlsDomains: Readonly<Record<string, TlsDomainFiles>>;
  readonly trace: TraceSettings;
  /** Undefined: no control interface. */
  readonly control: { readonly host: string; readonly port: number; readonly tokenFile?: string } | undefined;
  readonly metricsPath: string;
  readonly log: { readonly level: string; readonly destination: string };
}

interface ListenerConfig extends ListenerUri {
  /** As written. */
  readonly uri: string;
  readonly advertise: { readonly host: string; readonly port: number } | undefined;
  readonly tlsDomain: string | undefined;
}

/** A mistake in a configuration, with its place. */
export interface ConfigProblem {
  readonly file: string;
  /** From 1; 0 when the mistake has no place. */
  readonly line: number;
  readonly column: number;
  /** Dotted path, `listeners[1].uri`. */
  readonly key: string;
  /** What was expected, and what to do. */
  readonly message: string;
}
