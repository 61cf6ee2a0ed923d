import type { Server } from 'node:http';

/** The server of the example. */
export const { servePage } = (await import(new URL('../../examples/browser/page.mjs', import.meta.url).href)) as {
  servePage: (options: { host?: string; port?: number; relay: string }) => Promise<Server>;
};
