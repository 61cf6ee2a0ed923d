import type { AddonFramerClass } from '../frame/native-framer.ts';
import type { AddonEngineClass } from './engine-handle.ts';

/** What the addon must give as its ABI version: it grows with every change of {@link Addon} or of the frame record. */
export const ABI_VERSION = 5;

/** What the addon exports; `native/addon/index.d.ts` is made from its source, and a test holds both against each other. */
export interface Addon {
  abiVersion(): number;
  version(): string;
  readonly Framer: AddonFramerClass;
  readonly EngineHandle: AddonEngineClass;
}
