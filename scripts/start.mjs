// npm start: sets the checkout up and runs a relay on loopback with a demo user. Arguments go to `msrpd serve`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildAddon } from './addon.mjs';
import { build, install, root } from './prepare.mjs';

/** Longest that a start waits for the addon. */
const BUILD_MS = 180_000;

install();
await build();
const without = await buildAddon(BUILD_MS);
if (without !== undefined) console.error(`${without}; starting on TypeScript`);
const args = process.argv.slice(2);
const child = spawn(
  process.execPath,
  [join(root, 'dist', 'cli', 'main.js'), 'serve', ...(args.length > 0 ? args : ['--demo'])],
  // Ctrl-C goes to a whole group: in one of its own the relay hears it once, from here. A second one would end its drain.
  { stdio: 'inherit', detached: true },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
