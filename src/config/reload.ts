import type { Config } from './config.ts';

/** What differs between two configurations, by dotted name of {@link Config}. */
export interface ConfigChange {
  /** Swapped while running. */
  readonly reloadable: readonly string[];
  /** Takes a restart: sockets and engine are made once. */
  readonly needsRestart: readonly string[];
}

/** Compares a running configuration with a new one. */
export function compareConfig(before: Config, after: Config): ConfigChange {
  const reloadable: string[] = [];
  const needsRestart: string[] = [];
  for (const key of Object.keys(after) as (keyof Config)[]) {
    if (JSON.stringify(before[key]) === JSON.stringify(after[key])) continue;
    (FIXED.has(key) ? needsRestart : reloadable).push(key);
  }
  return { reloadable, needsRestart };
}

const FIXED: ReadonlySet<keyof Config> = new Set<keyof Config>([
  'engine',
  'workers',
  'listeners',
  'control',
  'metricsPath',
]);
