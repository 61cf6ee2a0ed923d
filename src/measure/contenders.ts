import { loadAddon, explain } from '../addon/load.ts';
import type { Addon } from '../addon/contract.ts';
import { NativeFramer } from '../frame/native-framer.ts';
import type { Framer, FramerOptions } from '../frame/framer.ts';
import { TsFramer } from '../frame/ts-framer.ts';
import { PATH_URIS, TsDecoder } from '../syntax/decoder.ts';

/**
 * What a framer is timed at. `framing`: where frames and their headers lie. `decoding`: that, all checks, and the offsets and
 * numbers of a decoded record.
 */
export const WORK = ['framing', 'decoding'] as const;
export type Work = (typeof WORK)[number];

export const IMPLEMENTATIONS = ['TypeScript', 'native'] as const;
export type Implementation = (typeof IMPLEMENTATIONS)[number];

/** The implementations that can run here. */
export interface Contenders {
  /** Why there is no native one. */
  readonly absent?: string;
  /** Makes the framer of one byte stream; throws for an implementation that is absent. */
  readonly make: (implementation: Implementation, work: Work, options?: FramerOptions) => Framer;
}

/** Looks for the addon. Never throws. */
export function contenders(): Contenders {
  const result = loadAddon();
  const addon = 'addon' in result ? result.addon : undefined;
  return {
    ...('failures' in result ? { absent: explain(result.failures) } : {}),
    make: (implementation, work, options = {}) =>
      implementation === 'native' ? makeNative(addon, work, options) : makeTs(work, options),
  };
}

function makeTs(work: Work, options: FramerOptions): Framer {
  return work === 'framing' ? new TsFramer(options) : new TsDecoder(options);
}

function makeNative(addon: Addon | undefined, work: Work, options: FramerOptions): Framer {
  if (addon === undefined) throw new Error('there is no native framer');
  return new NativeFramer(addon.Framer, work === 'framing' ? options : { ...options, pathUris: PATH_URIS });
}
