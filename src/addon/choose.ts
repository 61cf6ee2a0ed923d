import { MsrpError } from '../errors.ts';
import { MixedFramer } from '../frame/mixed-framer.ts';
import { NativeFramer } from '../frame/native-framer.ts';
import { PATH_URIS, TsDecoder } from '../syntax/decoder.ts';
import type { DecoderFactory } from '../syntax/decoder.ts';
import type { Addon } from './contract.ts';
import { explain, loadAddon } from './load.ts';

/** What runs where there is a choice. `auto`: native code where it loads, TypeScript elsewhere. */
export type EngineWish = 'auto' | 'native' | 'ts';

/** The framer that runs, and why it and no other. */
export interface FramerChoice {
  readonly kind: 'native' | 'ts';
  /** Of the addon; undefined without one. */
  readonly version?: string;
  readonly reason: string;
  /** Makes the decoder of one stream. */
  readonly make: DecoderFactory;
  /** The addon, when there is one and it was looked for. */
  readonly addon?: Addon;
}

/** Chooses the framer. `native` throws `E_ADDON` with the whole chain of causes when the addon does not load. */
export function chooseFramer(wish: EngineWish): FramerChoice {
  if (wish === 'ts') return { kind: 'ts', reason: 'no addon is looked for', make: makeTs };
  const result = loadAddon();
  if ('addon' in result) {
    const { addon, from } = result;
    const version = addon.version();
    return { kind: 'native', version, reason: `addon ${version} from ${from}`, make: makeMixed(addon), addon };
  }
  const reason = explain(result.failures);
  if (wish === 'auto') return { kind: 'ts', reason: `no addon: ${reason}`, make: makeTs };
  throw new MsrpError('E_ADDON', reason, { cause: result.failures[0]?.error });
}

const makeTs: DecoderFactory = (options) => new TsDecoder(options);

function makeMixed(addon: Addon): DecoderFactory {
  return (options) =>
    new MixedFramer(
      new TsDecoder(options),
      () => new NativeFramer(addon.Framer, { pathUris: PATH_URIS, ...options }),
      NATIVE_FROM_BYTES,
    );
}

/**
 * Inputs of so many bytes and more go to the addon: the shortest start line. Its call of 0.1 µs pays at the beginning of a frame
 * from the first bytes on (measured; docs/BENCHMARKING.md), but a framer of its own takes 4.5 µs to make, and a peer that has
 * not sent a start line may never send one.
 */
const NATIVE_FROM_BYTES = 16;
