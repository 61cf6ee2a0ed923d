import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { PLATFORMS, fileName, packageName, platformName } from '../../src/addon/platform.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'msrpd-pack-'));
after(() => rmSync(folder, { recursive: true }));

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly main: string;
  readonly files: readonly string[];
  readonly os: readonly string[];
  readonly cpu: readonly string[];
  readonly libc?: readonly string[];
}

const read = (...path: string[]): Manifest =>
  JSON.parse(readFileSync(join(...path, 'package.json'), 'utf8')) as Manifest;
const ours = read(root);
const platform = platformName();

function npm(args: readonly string[], cwd: string): string {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd, env, encoding: 'utf8' });
  assert.equal(status, 0, `npm ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Names of the files in a package, without their common folder. */
function list(tarball: string): string[] {
  const { stdout } = spawnSync('tar', ['tzf', join(folder, tarball)], { encoding: 'utf8' });
  return stdout
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
}

function manifestIn(tarball: string): Manifest {
  const { stdout } = spawnSync('tar', ['xzOf', join(folder, tarball), 'package/package.json'], { encoding: 'utf8' });
  return JSON.parse(stdout) as Manifest;
}

describe('packages of the platforms', () => {
  it('each has a package, of our version, that npm takes where it fits only', () => {
    assert.deepEqual(readdirSync(join(root, 'npm')).toSorted(), [...PLATFORMS].toSorted());
    for (const name of PLATFORMS) {
      const [os, cpu, abi] = name.split('-');
      const { libc, main, files, ...manifest } = read(root, 'npm', name);
      assert.equal(manifest.name, packageName(name));
      assert.equal(manifest.version, ours.version, name);
      assert.deepEqual([manifest.os, manifest.cpu], [[os], [cpu]]);
      assert.deepEqual(libc, os === 'linux' ? [abi === 'musl' ? 'musl' : 'glibc'] : undefined);
      assert.equal(main, fileName(name));
      assert.deepEqual(files, [main, `${main}.sha256`]);
    }
    const workspace = readFileSync(join(root, 'Cargo.toml'), 'utf8');
    assert.equal(/\nversion = "([^"]+)"/.exec(workspace)?.[1], ours.version);
    // They are not published yet, so a clone and its lock file must not ask for them (docs/adr/0004-framer-addon.md).
    assert.deepEqual(Object.keys(ours.optionalDependencies), ['uWebSockets.js']);
  });
});

/** A copy of the checkout with what was built: packing changes package.json for a moment, which other tests read. */
function copyOfCheckout(): string {
  const path = join(folder, 'checkout');
  mkdirSync(path);
  for (const name of [
    ...['src', 'dist', 'scripts', 'native', 'npm', 'docs'],
    ...['package.json', 'package-lock.json', 'tsconfig.json', 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml'],
    ...['README.md', 'CHANGELOG.md', 'LICENSE'],
  ])
    cpSync(join(root, name), join(path, name), {
      recursive: true,
      preserveTimestamps: true,
      filter: (from) => !/(^|\/)(target|corpus)(\/|$)/.test(from.slice(root.length)),
    });
  symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'));
  return path;
}

describe('npm pack', () => {
  let main = '';
  let addon = '';
  before(() => {
    const checkout = copyOfCheckout();
    const file = join(checkout, 'package.json');
    const manifest = readFileSync(file, 'utf8');
    const { mtimeMs } = statSync(file);
    npm(['pack', '--pack-destination', folder], checkout);
    main = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    assert.equal(readFileSync(file, 'utf8'), manifest, 'package.json is as it was');
    // To the precision of what sets it.
    assert.ok(Math.abs(statSync(file).mtimeMs - mtimeMs) < 2, 'its time, too');
    npm(['run', '--silent', 'addon:pack', folder], checkout);
    addon = readdirSync(folder).find((name) => name.includes(platform)) ?? '';
  });

  it('the main package: the compiled program, the schema, the texts; nothing of this machine', () => {
    const files = list(main);
    for (const name of [
      'package.json',
      'README.md',
      'CHANGELOG.md',
      'LICENSE',
      'docs/configuration.md',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'dist/addon/load.js',
      'dist/browser/index.js',
      'dist/browser/index.d.ts',
      'dist/config/config.schema.json',
      'dist/control/page/index.html',
      'dist/control/page/status.css',
      'dist/control/page/status.js',
    ]) {
      assert.ok(files.includes(name), name);
    }
    const strange = files.filter(
      (name) =>
        !/^dist\/[\w/-]+\.(js|d\.ts|schema\.json|html|css)$/.test(name) &&
        !/^docs\/[\w-]+\.md$/.test(name) &&
        !/^(package\.json|\w+\.md|LICENSE)$/.test(name),
    );
    assert.deepEqual(strange, []);
    const { dependencies, optionalDependencies } = manifestIn(main);
    // It is under the GPL: for tests alone (docs/adr/0003-dependencies.md).
    assert.ok(!('hep-js' in dependencies), 'hep-js is no dependency of who installs this');
    const { stdout: text } = spawnSync('tar', ['xzOf', join(folder, main), '--exclude', 'package/package.json'], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    assert.ok(text.length > 100_000 && !text.includes('hep-js'), 'no file of the package names it');
    assert.deepEqual(optionalDependencies, {
      ...ours.optionalDependencies,
      ...Object.fromEntries(PLATFORMS.map((name) => [packageName(name), ours.version])),
    });
  });

  it('the package of this platform: the addon with its checksum', () => {
    assert.deepEqual(
      list(addon).toSorted(),
      ['README.md', fileName(platform), `${fileName(platform)}.sha256`, 'package.json'].toSorted(),
    );
  });

  it('installed into an empty folder, without a compiler and without this checkout, it runs natively', () => {
    const empty = mkdtempSync(join(folder, 'install-'));
    // Their dependencies come from here, so that no registry is asked.
    const theirs = Object.keys({ ...ours.dependencies, ...ours.optionalDependencies });
    const overrides = theirs.map((name) => [name, `file:${join(root, 'node_modules', name)}`]);
    const dependencies = {
      msrpd: `file:${join(folder, main)}`,
      [packageName(platform)]: `file:${join(folder, addon)}`,
    };
    writeFileSync(
      join(empty, 'package.json'),
      JSON.stringify({ private: true, dependencies, overrides: Object.fromEntries(overrides) }),
    );
    // No script of theirs either: those are for who develops them.
    npm(['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], empty);
    const capture = 'MSRP abcd 200 OK\r\nTo-Path: msrp://a;tcp\r\nFrom-Path: msrp://b;tcp\r\n-------abcd$\r\n';
    const msrpd = (args: readonly string[], env: Readonly<Record<string, string>> = {}): ReturnType<typeof run> =>
      run(empty, ['msrpd', ...args], capture, env);
    const parsed = msrpd(['parse', '--json', '--engine', 'native']);
    assert.equal(parsed.status, 0, parsed.stderr);
    assert.equal((JSON.parse(parsed.stdout) as { status: number }).status, 200);
    rmSync(join(empty, 'node_modules', '@msrpd'), { recursive: true });
    const without = msrpd(['parse', '--json', '--engine', 'native']);
    assert.equal(without.status, 1);
    assert.match(without.stderr, new RegExp(`native code cannot be used: ${packageName(platform)}: is not installed`));
    assert.equal(msrpd(['parse', '--json']).stdout, parsed.stdout);
  });
});

function run(
  cwd: string,
  args: readonly string[],
  input: string,
  more: Readonly<Record<string, string>>,
): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, NODE_OPTIONS: '', ...more };
  return spawnSync('npx', ['--offline', ...args], { cwd, env, input, encoding: 'utf8' });
}
