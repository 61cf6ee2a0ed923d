import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, it } from 'node:test';
import { LONG_DEADLINE_MS, within } from '../engine/harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'msrpd-start-'));
after(() => rmSync(folder, { recursive: true }));

/** A clone as it is after `npm install`: what is committed, and node_modules. */
function clone(): string {
  const path = join(folder, 'clone');
  mkdirSync(path);
  const excluded = /(^|\/)(node_modules|dist|target|coverage|\.git)(\/|$)|\.node(\.sha256)?$/;
  for (const name of [
    'src',
    'scripts',
    'native',
    'npm',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'Cargo.toml',
    'Cargo.lock',
    'rust-toolchain.toml',
  ])
    cpSync(join(root, name), join(path, name), {
      recursive: true,
      filter: (from) => !excluded.test(from.slice(root.length)),
    });
  symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'));
  for (const name of ['package.json', 'package-lock.json']) utimesSync(join(path, name), 0, 0);
  writeFileSync(
    join(path, 'relay.yaml'),
    'listeners: [msrp:127.0.0.1:0]\nrelay: {allow_plain_auth: true, allow_ip_use_path: true}\n',
  );
  return path;
}

/** A PATH with Node.js only, and what is given. */
function pathWith(commands: Readonly<Record<string, string>>): string {
  const bin = mkdtempSync(join(folder, 'bin-'));
  symlinkSync(process.execPath, join(bin, 'node'));
  for (const [name, script] of Object.entries(commands))
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return [bin, '/nowhere'].join(delimiter);
}

async function start(cwd: string, PATH: string): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '', PATH };
  const child = spawn(process.execPath, ['scripts/start.mjs', '-c', 'relay.yaml'], { cwd, env });
  let said = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  await within(
    'the relay',
    new Promise<void>((resolve, reject) => {
      const note = (chunk: Buffer): void => {
        said += chunk.toString();
        if (/engine chosen.*\n/.test(said)) resolve();
      };
      child.stdout.on('data', note);
      child.stderr.on('data', note);
      void ended.then(() => reject(new Error(said)));
    }),
    LONG_DEADLINE_MS,
  ).finally(() => child.kill('SIGTERM'));
  assert.equal(await ended, 0, said);
  return said;
}

it('npm start of a clone: without cargo, or when cargo fails, it runs on TypeScript and says why', async () => {
  const path = clone();
  const without = await start(path, pathWith({}));
  assert.match(without, /compiling/);
  assert.match(without, /the addon is not built, since there is no cargo here; starting on TypeScript\n/);
  assert.match(
    without,
    /"engine":"ts","framer":"ts","reason":"the configuration says auto; no addon: .*: no such file/,
  );
  const failing = await start(path, pathWith({ cargo: '[ "$1" = --version ] || { echo no network >&2; exit 101; }' }));
  assert.match(failing, /building the addon .*\nno network\n/);
  assert.match(failing, /could not be built: cargo has ended with 101; starting on TypeScript\n/);
  assert.match(failing, /"framer":"ts"/);
});
