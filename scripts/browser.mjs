// The client for browsers: one file without anything of Node, and its types, into dist/browser/.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './prepare.mjs';

const browser = (name) => join(root, 'src', 'browser', name);

/** Files of the endpoint that are others in a browser. */
const INSTEAD = /^\.\/(open-transport|platform)\.ts$/;

/** Writes dist/browser/index.js; needs the types in dist/. */
export async function buildBrowser() {
  await build({
    entryPoints: [browser('index.ts')],
    outfile: join(root, 'dist', 'browser', 'index.js'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    legalComments: 'eof',
    inject: [browser('globals.ts')],
    alias: {
      'node:events': 'events',
      'node:crypto': browser('node-crypto.ts'),
      'node:net': browser('node-net.ts'),
      'node:fs/promises': browser('node-fs.ts'),
    },
    plugins: [
      {
        name: 'browser',
        setup: (bundle) =>
          bundle.onResolve({ filter: INSTEAD }, ({ path, importer }) =>
            importer.includes(join('src', 'endpoint')) ? { path: browser(path.slice(2)) } : undefined,
          ),
      },
    ],
  });
  // The same API: its types are those of the package.
  const names = readFileSync(browser('index.ts'), 'utf8').replaceAll(".ts';", ".js';");
  writeFileSync(join(root, 'dist', 'browser', 'index.d.ts'), names);
}
