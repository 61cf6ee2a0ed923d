// npm run addon:pack [FOLDER]: packs the addon that was built here as the package of this platform, into FOLDER (default: here).
import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildAddon } from './addon.mjs';
import { build, install, must, root } from './prepare.mjs';

const into = resolve(process.argv[2] ?? '.');
install();
await build();
const without = await buildAddon();
if (without !== undefined) {
  console.error(without);
  process.exit(1);
}
const { fileName, platformName } = await import(pathToFileURL(join(root, 'dist', 'addon', 'platform.js')).href);
const platform = platformName();
const folder = join(root, 'npm', platform);
for (const name of [fileName(platform), `${fileName(platform)}.sha256`]) {
  copyFileSync(join(root, 'native', 'addon', name), join(folder, name));
}
must('npm', ['pack', folder, '--pack-destination', into]);
