import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, it } from 'node:test';
import { fileName, packageName, platformName } from '../../src/addon/platform.ts';
import { Shell } from '../cli/shell.ts';
import type { RunOptions } from '../cli/shell.ts';
import { VECTORS, bytesOf } from '../frame/vectors.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const name = fileName(platformName());
const built = join(root, 'native', 'addon', name);
const folder = mkdtempSync(join(tmpdir(), 'msrpd-relay-'));
const shell = new Shell(folder);
after(() => {
  shell.end();
  rmSync(folder, { recursive: true });
});

writeFileSync(join(folder, 'users.txt'), 'alice::secret\n');
const config = join(folder, 'relay.yaml');
writeFileSync(
  config,
  'listeners: [msrp:127.0.0.1:0]\nmsrp: {send_timeout: 30000, max_msg_chunks: 0}\n' +
    'relay: {allow_plain_auth: true, allow_ip_use_path: true, users: {file: users.txt}}\n',
);

/** A relay starts, says what it runs on, and carries a message. Returns what it has said. */
async function serves(options: RunOptions): Promise<Record<string, unknown>> {
  const relay = shell.start(['serve', '-c', config], options);
  const [, port] = await relay.says(/"port":(\d+)/);
  const [line] = await relay.says(/^.*engine chosen.*$/m);
  const login = ['--relay', `msrp://127.0.0.1:${port};tcp`, '--user', 'alice', '--password', 'secret'];
  const listener = shell.start(['listen', ...login, '--count', '1'], options);
  const [, to] = await listener.says(/path: (.*)/);
  const sent = await shell.run(['send', '--to', to!, '--text', 'Hello', '--success-report'], options);
  assert.equal(sent.code, 0, sent.err);
  assert.equal(await listener.exit, 0);
  assert.match(listener.out(), /Hello/);
  relay.child.kill('SIGTERM');
  assert.equal(await relay.exit, 0);
  assert.equal(relay.out().split('engine chosen').length, 2, 'one line');
  return JSON.parse(line) as Record<string, unknown>;
}

/** It does not start: exit code 1, and one line that says all. */
async function refuses(options: RunOptions, reason: RegExp): Promise<void> {
  for (const args of [
    ['serve', '-c', config],
    ['parse', '--engine', 'native', config],
  ]) {
    const { code, out, err } = await shell.run(args, {
      ...options,
      env: { ...options.env, ...(args[0] === 'serve' ? { MSRPD_ENGINE: 'native' } : {}) },
    });
    assert.equal(code, 1, err);
    assert.equal(out, '');
    assert.equal(err.trimEnd().split('\n').length, 1, err);
    assert.match(err, /^msrpd: native code cannot be used: /);
    assert.match(err, reason);
  }
}

describe('a relay with the native framer', () => {
  for (const engine of ['auto', 'native']) {
    it(`engine ${engine}: framer, version and reason are told`, async () => {
      const said = await serves({ env: { MSRPD_ENGINE: engine } });
      assert.equal(said['engine'], 'native');
      assert.equal(said['framer'], 'native');
      assert.match(String(said['version']), /^\d+\.\d+\.\d+$/);
      assert.match(String(said['reason']), new RegExp(`^MSRPD_ENGINE says ${engine}; addon .*$`));
    });
  }

  it('engine ts: no addon', async () => {
    const said = await serves({ env: { MSRPD_ENGINE: 'ts' } });
    assert.deepEqual([said['engine'], said['framer'], said['version']], ['ts', 'ts', undefined]);
  });

  it('msrpd parse says the same on either framer', async () => {
    const capture = Buffer.concat(
      VECTORS.filter(({ expected }) => expected.kind === 'request' || expected['fatal'] === false).map((vector) =>
        bytesOf(vector).subarray(0, vector.expected['consumedBytes'] as number),
      ),
    );
    for (const args of [[], ['--json'], ['--strict', '--json']]) {
      const [ts, native, auto] = await Promise.all(
        ['ts', 'native', 'auto'].map((engine) => shell.run(['parse', ...args, '--engine', engine], { input: capture })),
      );
      assert.ok(ts!.out.length > 5000);
      assert.deepEqual(native, ts);
      assert.deepEqual(auto, ts);
    }
  });
});

describe('a relay without an addon that works', () => {
  const broken = (file: string, change: (path: string) => void): string => {
    const path = join(folder, file);
    cpSync(built, path);
    cpSync(`${built}.sha256`, `${path}.sha256`);
    change(path);
    return path;
  };
  const cases: readonly [what: string, addon: () => string, reason: RegExp][] = [
    ['no file', () => join(folder, 'missing.node'), /missing\.node: no such file/],
    ['a file cut short', () => broken('cut.node', (path) => truncateSync(path, 200_000)), /cut\.node: is damaged/],
    ['garbage', () => broken('garbage.node', (path) => writeFileSync(path, 'garbage')), /garbage\.node: is damaged/],
    ['another ABI', otherAbi, /other-abi\.cjs: has ABI version 7, and this version of msrpd needs \d/],
  ];
  for (const [what, addon, reason] of cases) {
    it(`${what}: starts on TypeScript and says why; native exits with 1`, async () => {
      const env = { MSRPD_ADDON: addon() };
      const said = await serves({ env });
      assert.deepEqual([said['engine'], said['framer']], ['ts', 'ts']);
      assert.match(String(said['reason']), reason);
      await refuses({ env }, reason);
    });
  }

  it('neither a package of the platform nor a file of the checkout', async () => {
    const installed = join(folder, 'installed');
    mkdirSync(installed);
    cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(installed, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'));
    const program = join(installed, 'dist', 'cli', 'main.js');
    const reason = new RegExp(
      `${packageName(platformName())}: is not installed: Cannot find module .*; .*${name}: no such file`,
    );
    const said = await serves({ program });
    assert.deepEqual([said['engine'], said['framer']], ['ts', 'ts']);
    assert.match(String(said['reason']), reason);
    await refuses({ program }, reason);
  });
});

/** The addon that was built, with another ABI version. */
function otherAbi(): string {
  const path = join(folder, 'other-abi.cjs');
  writeFileSync(path, `module.exports = { ...require(${JSON.stringify(built)}), abiVersion: () => 7 };`);
  assert.match(readFileSync(path, 'utf8'), /msrpd\./);
  return path;
}
