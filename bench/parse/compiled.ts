import type * as contenders from '../../src/measure/contenders.ts';
import type * as frames from '../../src/measure/frames.ts';
import type * as parse from '../../src/parse/parse.ts';

/** The compiled modules, as users run them: what a loader makes of the sources while it loads them is not what is to be timed. */
export interface Compiled {
  readonly contenders: typeof contenders;
  readonly frames: typeof frames;
  readonly parse: typeof parse;
}

/** Loads them from dist/. */
export async function compiled(): Promise<Compiled> {
  return {
    contenders: (await load('measure/contenders.js')) as typeof contenders,
    frames: (await load('measure/frames.js')) as typeof frames,
    parse: (await load('parse/parse.js')) as typeof parse,
  };
}

function load(name: string): Promise<unknown> {
  return import(new URL(`../../dist/${name}`, import.meta.url).href);
}
