import { existsSync, mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

/** The server of the example. */
export const { servePage } = (await import(new URL('../../examples/browser/page.mjs', import.meta.url).href)) as {
  servePage: (options: { host?: string; port?: number; relay: string }) => Promise<Server>;
};

/** Debian's, or the one that is named. */
const executable = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** `skip` of a suite that needs a browser. */
export const NO_BROWSER = existsSync(executable) ? false : `no browser at ${executable}`;

/** Where screenshots stay, for people to look at. */
export const shots = fileURLToPath(new URL('../../coverage/screenshots', import.meta.url));

export async function launch(): Promise<Browser> {
  mkdirSync(shots, { recursive: true });
  return chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu'] });
}
