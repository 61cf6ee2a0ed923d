import { MsrpError } from '../errors.ts';
import type { EngineFactory } from './engine.ts';
import { createTsEngine } from './ts/engine.ts';

/** The engine that runs, and why it and no other. */
export interface EngineChoice {
  readonly kind: 'ts' | 'native';
  readonly reason: string;
  readonly create: EngineFactory;
}

/**
 * Chooses the data plane: what the configuration says, unless MSRPD_ENGINE (`override`) says otherwise. Throws `E_ENGINE` when
 * what was asked for cannot run; `auto` never does.
 */
export function chooseEngine(configured: 'auto' | 'native' | 'ts', override: string | undefined): EngineChoice {
  const wanted = override === undefined || override === '' ? configured : override;
  const by = wanted === override ? 'MSRPD_ENGINE' : 'the configuration';
  switch (wanted) {
    case 'ts':
      return { kind: 'ts', reason: `${by} asks for it`, create: createTsEngine };
    case 'auto':
      return { kind: 'ts', reason: 'this version has no native engine', create: createTsEngine };
    case 'native':
      throw new MsrpError('E_ENGINE', `${by} asks for the native engine, which this version does not have`);
    default:
      throw new MsrpError('E_ENGINE', `${by} asks for "${wanted}": expected auto, native or ts`);
  }
}
