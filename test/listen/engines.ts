import { loadAddon } from '../../src/addon/load.ts';

export const addonIsThere = 'addon' in loadAddon();

/** Engines that a whole server runs on here: the native one, too, wherever the addon is. */
export const KINDS = (['native', 'ts'] as const).filter((kind) => kind === 'ts' || addonIsThere);
