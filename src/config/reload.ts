import type { Config } from './config.ts';

/** What differs between two configurations, by keys of the file; a group of keys that belong together is one name. */
export interface ConfigChange {
  /** Swapped while running. */
  readonly reloadable: readonly string[];
  /** Takes a restart: sockets and engine are made once. */
  readonly needsRestart: readonly string[];
}

/** Compares a running configuration with a new one. */
export function compareConfig(before: Config, after: Config): ConfigChange {
  const needsRestart = FIXED.filter(({ get }) => differ(get(before), get(after))).map(({ key }) => key);
  const wanted = keepFixed(before, after);
  const reloadable = (Object.keys(GROUPS) as (keyof typeof GROUPS)[])
    .filter((part) => differ(before[part], wanted[part]))
    .map((part) => GROUPS[part]);
  return { reloadable, needsRestart };
}

/** The new configuration, as far as it can be swapped: what takes a restart stays as it was. */
export function keepFixed(before: Config, after: Config): Config {
  return FIXED.reduce((config, { keep }) => keep(config, before), after);
}

/** What takes a restart: its key in the file, and where it is. */
const FIXED: readonly {
  readonly key: string;
  readonly get: (config: Config) => unknown;
  readonly keep: (config: Config, before: Config) => Config;
}[] = [
  fixed('engine', 'engine'),
  fixed('workers', 'workers'),
  fixed('listeners', 'listeners'),
  fixed('control', 'control'),
  fixed('metricsPath', 'metrics.path'),
  fixedPart('log', 'destination', 'log.destination'),
  fixedPart('websocket', 'implementation', 'websocket.implementation'),
  fixedPart('websocket', 'maxMessageBytes', 'websocket.max_message_bytes'),
  fixedPart('trace', 'destination', 'msrp.trace_destination'),
  fixedPart('trace', 'queueBytes', 'hep.queue_bytes'),
  fixedPart('trace', 'caFile', 'hep.ca_list'),
  fixedPart('trace', 'verifyCert', 'hep.verify_cert'),
];

/** Everything else, by what the file has it under. */
const GROUPS = {
  limits: 'limits',
  relay: 'relay',
  myUris: 'relay.my_uri',
  users: 'relay.users',
  hooks: 'hooks',
  drainMs: 'limits.drain_s',
  websocket: 'websocket',
  tlsDomains: 'tls.domains',
  trace: 'hep',
  log: 'log',
} as const satisfies Omit<Record<keyof Config, string>, 'engine' | 'workers' | 'listeners' | 'control' | 'metricsPath'>;

function fixed(part: keyof Config, key: string): (typeof FIXED)[number] {
  return { key, get: (config) => config[part], keep: (config, before) => ({ ...config, [part]: before[part] }) };
}

function fixedPart<P extends 'log' | 'websocket' | 'trace'>(
  part: P,
  name: keyof Config[P],
  key: string,
): (typeof FIXED)[number] {
  return {
    key,
    get: (config) => config[part][name],
    keep: (config, before) => ({ ...config, [part]: { ...config[part], [name]: before[part][name] } }),
  };
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}
