// Around `npm pack` and `npm publish`: `before` makes the package of this checkout depend on the packages of the platforms,
// `after` takes that back. They are not in package.json all the time, since the lock file can only name what is published.
import {
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build, install, root } from './prepare.mjs';

const file = join(root, 'package.json');
const kept = join(root, '.package.json.kept');

if (process.argv[2] === 'before') {
  // What an earlier run that was cut short has left behind.
  if (existsSync(kept)) takeBack();
  install();
  await build();
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  const platforms = readdirSync(join(root, 'npm')).map((name) =>
    JSON.parse(readFileSync(join(root, 'npm', name, 'package.json'), 'utf8')),
  );
  const addons = Object.fromEntries(platforms.map(({ name, version }) => [name, version]));
  manifest.optionalDependencies = { ...manifest.optionalDependencies, ...addons };
  const { atime, mtime } = statSync(file);
  copyFileSync(file, kept);
  utimesSync(kept, atime, mtime);
  writeFileSync(`${file}.new`, `${JSON.stringify(manifest, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
} else takeBack();

/** The file as it was, its time included, by which a start sees whether dependencies have changed. */
function takeBack() {
  if (existsSync(kept)) renameSync(kept, file);
}
