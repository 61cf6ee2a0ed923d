import { explain, loadAddon } from '../../src/addon/load.ts';
import type { Addon } from '../../src/addon/contract.ts';

/** The addon of this checkout. */
export function theAddon(): Addon {
  const result = loadAddon();
  if ('addon' in result) return result.addon;
  throw new Error(`npm run build first: ${explain(result.failures)}`);
}
