import { chooseFramer } from '../addon/choose.ts';
import type { EngineWish } from '../addon/choose.ts';
import { MsrpError } from '../errors.ts';
import type { EngineFactory } from './engine.ts';
import { createTsEngine } from './ts/engine.ts';

/** The engine and the framer that run, and why they and no others. */
export interface EngineChoice {
  /** Who owns the sockets. */
  readonly kind: 'ts' | 'native';
  /** What finds the frames. */
  readonly framer: 'ts' | 'native';
  /** Of the addon; undefined without one. */
  readonly version?: string;
  readonly reason: string;
  readonly create: EngineFactory;
}

/**
 * Chooses the data plane: what the configuration says, unless MSRPD_ENGINE (`override`) says otherwise. Throws `E_ADDON` when
 * `native` cannot be had, `E_ENGINE` for a word that is none; `auto` never throws.
 *
 * There is no native engine yet. Until there is, `native` asks for the TypeScript engine with the native framer.
 */
export function chooseEngine(configured: EngineWish, override: string | undefined): EngineChoice {
  const wanted = override === undefined || override === '' ? configured : override;
  const by = wanted === override ? 'MSRPD_ENGINE' : 'the configuration';
  if (wanted !== 'auto' && wanted !== 'native' && wanted !== 'ts')
    throw new MsrpError('E_ENGINE', `${by} asks for "${wanted}": expected auto, native or ts`);
  const { kind: framer, version, reason, make } = chooseFramer(wanted);
  return {
    kind: 'ts',
    framer,
    ...(version === undefined ? {} : { version }),
    reason: `${by} says ${wanted}; ${reason}${wanted === 'ts' ? '' : '; this version has no native engine'}`,
    create: (options) => createTsEngine(options, make),
  };
}
