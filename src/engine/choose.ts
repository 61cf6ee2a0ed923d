import { chooseFramer } from '../addon/choose.ts';
import type { EngineWish } from '../addon/choose.ts';
import { MsrpError } from '../errors.ts';
import type { EngineFactory } from './engine.ts';
import { createNativeEngine } from './native/engine.ts';
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

/** What decides besides the wish. */
export interface EngineNeeds {
  /** Threads of the native engine. */
  readonly workers: number;
}

/**
 * Chooses the data plane: what the configuration says, unless MSRPD_ENGINE (`override`) says otherwise. Throws `E_ADDON` when
 * `native` is asked for and the addon cannot be had, `E_ENGINE` for what no engine can do; `auto` never throws.
 */
export function chooseEngine(configured: EngineWish, override: string | undefined, needs: EngineNeeds): EngineChoice {
  const wanted = override === undefined || override === '' ? configured : override;
  const by = wanted === override ? 'MSRPD_ENGINE' : 'the configuration';
  if (wanted !== 'auto' && wanted !== 'native' && wanted !== 'ts')
    throw new MsrpError('E_ENGINE', `${by} asks for "${wanted}": expected auto, native or ts`);
  const { kind: framer, version, reason, make, addon } = chooseFramer(wanted);
  const why = `${by} says ${wanted}; ${reason}`;
  const about = { framer, ...(version === undefined ? {} : { version }) };
  if (addon !== undefined) {
    const onFault = (detail: string): void => {
      // Nothing can be done about it here: whoever owns the process ends it.
      throw new MsrpError('E_ENGINE', `a worker has failed: ${detail}`);
    };
    const parts = { EngineHandle: addon.EngineHandle, workers: needs.workers, onFault };
    return { kind: 'native', ...about, reason: why, create: (options) => createNativeEngine(options, parts) };
  }
  return { kind: 'ts', ...about, reason: why, create: (options) => createTsEngine(options, make) };
}
