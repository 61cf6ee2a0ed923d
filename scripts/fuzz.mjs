// node scripts/fuzz.mjs [seconds [target …]]: runs the fuzz targets of native/fuzz, each for so many seconds (default 60).
// Ends non-zero when one of them finds something, or could not run. Needs cargo and a nightly compiler.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const fuzz = join(root, 'native', 'fuzz');
const [seconds = '60', ...chosen] = process.argv.slice(2);
if (!/^[1-9][0-9]*$/.test(seconds)) fail(`${seconds} is no number of seconds`);

const all = readdirSync(join(fuzz, 'fuzz_targets')).map((file) => file.replace(/\.rs$/, ''));
const targets = chosen.length > 0 ? chosen : all;
if (targets.length === 0) fail('there are no targets');
for (const target of targets) if (!all.includes(target)) fail(`there is no target ${target}`);

if (!works('cargo', ['fuzz', '--version'])) run('cargo', ['install', 'cargo-fuzz', '--locked']);
run(process.execPath, [join(fuzz, 'seed.mjs')]);
run('cargo', ['+nightly', 'fuzz', 'build', '--fuzz-dir', fuzz]);
for (const target of targets) {
  console.log(`fuzz: ${target}, ${seconds} s`);
  const limits = [
    `-max_total_time=${seconds}`,
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-max_len=8192',
    `-dict=${join(fuzz, 'msrp.dict')}`,
  ];
  run('cargo', ['+nightly', 'fuzz', 'run', '--fuzz-dir', fuzz, target, '--', ...limits]);
}
console.log(`fuzz: ${targets.length} targets, nothing found`);

function works(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0)
    fail(`${command} ${args.slice(0, 4).join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
}

function fail(reason) {
  console.error(`fuzz: ${reason}`);
  process.exit(1);
}
