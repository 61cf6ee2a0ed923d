import { loadAddon } from '../../src/addon/load.ts';

/** Tests of a whole server run on the native engine, too, wherever the addon is. */
export const addonIsThere = 'addon' in loadAddon();
