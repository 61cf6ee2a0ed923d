// npm test: sets the checkout up, checks types and style, runs every test, and ends with
// `N passed, N failed, N skipped`. Arguments are test files (or patterns) to run instead of all.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { buildAddon } from './addon.mjs';
import { build, has, install, must, root } from './prepare.mjs';

install();
await build();
const without = await buildAddon();
if (without !== undefined) {
  console.error(without);
  if (has('cargo')) process.exit(1);
}

/** What is tested with the addon only; everything else runs on the framer in TypeScript alone where there is no cargo. */
const NEEDS_ADDON = /^test.(addon|differential|packaging.pack)\b/;

/** Why a test may be skipped even where all is to be run: it needs what is not on every machine. */
const LACKS = [/^no browser at /, ...(without === undefined ? [] : [/^needs the engine\b/])];

const chosen = process.argv.slice(2);
if (chosen.length === 0) {
  must(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.test.json']);
  must('npm', ['run', '--silent', 'lint']);
  if (without === undefined) must(process.execPath, [join(root, 'scripts', 'addon-types.mjs'), '--check']);
}

let files = chosen.length > 0 ? chosen.map((file) => join(process.cwd(), file)) : testFiles(join(root, 'test'));
if (without !== undefined) {
  const native = files.filter((file) => NEEDS_ADDON.test(relative(root, file)));
  files = files.filter((file) => !native.includes(file));
  console.error(`not run, since they need it: ${native.map((file) => relative(root, file)).join(' ')}`);
}
let passed = 0;
let failed = 0;
let skipped = 0;
const failures = [];
// The loader is inherited by the processes that run the files.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import tsx`.trim();
process.chdir(root);
const stream = run({ files, concurrency: 2, timeout: 300_000 });
stream.on('test:pass', (event) => {
  if (event.skip !== undefined) onSkip(event);
  else if (event.details.type !== 'suite') passed++;
});
stream.on('test:fail', (event) => {
  if (event.details.type === 'suite') return;
  failed++;
  failures.push(`${event.file ?? ''}: ${event.name}`);
});
const report = stream.compose(spec);
report.pipe(process.stdout, { end: false });
await new Promise((resolve) => report.on('end', resolve));

if (chosen.length === 0 && has('cargo')) {
  const cargo = spawnSync('cargo', ['test', '--workspace', '--quiet'], { cwd: root, encoding: 'utf8' });
  process.stdout.write(cargo.stdout);
  process.stderr.write(cargo.stderr);
  for (const [, ok, bad] of cargo.stdout.matchAll(/test result: \w+\. (\d+) passed; (\d+) failed/g)) {
    passed += Number(ok);
    failed += Number(bad);
  }
  if (cargo.status !== 0 && !/ [1-9]\d* failed/.test(cargo.stdout)) {
    failed++;
    failures.push('cargo test');
  }
}

// A run that found nothing to run has failed.
if (passed === 0) failed++;
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

/** What is skipped is no success. Where all is to be run, it is a failure, unless this machine lacks what it needs. */
function onSkip({ file = '', name, skip }) {
  skipped++;
  if (process.env.CI !== 'true' || LACKS.some((reason) => reason.test(String(skip)))) return;
  failed++;
  failures.push(`${file}: ${name}: skipped: ${skip}`);
}

function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
    .sort();
}
