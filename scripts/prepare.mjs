// Sets up a checkout: dependencies, then the compiled output, each only when it is missing or out of date.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Installs the dependencies of package-lock.json unless that was done since it last changed. */
export function install() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (newest([marker]) > newest([join(root, 'package.json'), join(root, 'package-lock.json')])) return;
  console.error('installing dependencies …');
  // Not `npm ci`: it wants entries for the optional packages of every other platform, which not every registry has.
  must('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Compiles src/ to dist/ unless nothing has changed since the last time. */
export async function build() {
  const stamp = join(root, 'dist', '.built');
  if (newest([stamp]) > newest([join(root, 'src'), join(root, 'tsconfig.json'), join(root, 'package.json')])) return;
  console.error('compiling …');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  must(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(root, 'tsconfig.json')]);
  const { configSchema } = await import(pathToFileURL(join(root, 'dist', 'config', 'schema.js')).href);
  mkdirSync(join(root, 'dist', 'config'), { recursive: true });
  writeFileSync(join(root, 'dist', 'config', 'config.schema.json'), `${JSON.stringify(configSchema, undefined, 2)}\n`);
  cpSync(join(root, 'src', 'control', 'page'), join(root, 'dist', 'control', 'page'), { recursive: true });
  chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);
  writeFileSync(stamp, '');
}

/** Runs a command in the checkout; ends this process with its exit code when it fails. */
export function must(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) console.error(`cannot run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** True when a command can be run. */
export function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Latest change of files and folders, in ms; 0 when one is missing. */
export function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    if (!existsSync(path)) return 0;
    const stat = statSync(path);
    latest = Math.max(
      latest,
      stat.isDirectory() ? newest(readdirSync(path).map((name) => join(path, name))) : stat.mtimeMs,
    );
  }
  return latest;
}
