import { chooseFramer } from '../../src/addon/choose.ts';
import { loadAddon } from '../../src/addon/load.ts';
import { NativeFramer } from '../../src/frame/native-framer.ts';
import { PATH_URIS, TsDecoder } from '../../src/syntax/decoder.ts';
import type { DecoderFactory } from '../../src/syntax/decoder.ts';

const result = loadAddon();

/**
 * Every framer there is, decoding. Without the addon only that in TypeScript: `npm test` lets that happen only where there is no
 * cargo to build it with, and says so.
 */
export const FRAMERS: readonly { readonly name: string; readonly make: DecoderFactory }[] = [
  { name: 'TypeScript', make: (options) => new TsDecoder(options) },
  ...('addon' in result
    ? [
        {
          name: 'native',
          make: ((options) =>
            new NativeFramer(result.addon.Framer, { pathUris: PATH_URIS, ...options })) satisfies DecoderFactory,
        },
        { name: 'mixed', make: chooseFramer('native').make },
      ]
    : []),
];
