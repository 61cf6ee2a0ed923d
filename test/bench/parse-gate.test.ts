import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { slowCore } from '../../bench/gate/slow-core.ts';
import { judgeAtLeast, judgeAtMost, judgeCounts } from '../../bench/gate/verdict.ts';
import type { Finding, Gates } from '../../bench/gate/verdict.ts';
import { intervalOf } from '../../src/measure/interval.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const shipped = JSON.parse(readFileSync(join(root, 'bench', 'gates.json'), 'utf8')) as Gates;

const counts = (values: Readonly<Record<string, number>>): ReadonlyMap<string, number> =>
  new Map(Object.entries(values));
const failed = (findings: readonly Finding[]): string[] =>
  findings.filter(({ passed }) => !passed).map(({ text }) => text);

describe('the gate of instructions', () => {
  const bounds = { growth: 0.02, atMost: { framing: 1100 }, committed: {} };

  it('passes a growth of 2 %, and no more', () => {
    const before = counts({ framing: 1000, decoding: 2000 });
    assert.deepEqual(failed(judgeCounts(counts({ framing: 1020, decoding: 1900 }), before, bounds)), []);
    const slow = failed(judgeCounts(counts({ framing: 1000, decoding: 2042 }), before, bounds));
    assert.equal(slow.length, 1);
    assert.match(slow[0]!, /^decoding: 2,042 instructions, 2,000 before \(\+2\.1 %\)/);
  });

  it('has a bound that does not follow the base', () => {
    const slow = failed(judgeCounts(counts({ framing: 1101 }), counts({ framing: 1100 }), bounds));
    assert.match(slow.join(), /^framing: 1,101 instructions, at most 1,100$/);
  });

  it('is not passed by what was not counted', () => {
    assert.equal(failed(judgeCounts(counts({}), counts({ framing: 1 }), bounds)).length, 2);
    assert.match(failed(judgeCounts(counts({ framing: 1 }), counts({}), bounds)).join(), /no counts to compare with/);
    const nothing = counts({ framing: Number.NaN });
    assert.equal(failed(judgeCounts(nothing, counts({ framing: 1 }), bounds)).length, 2);
  });
});

describe('the gates of time', () => {
  it('pass noise around a good build, not a slowdown', () => {
    const noisy = intervalOf([
      [1.0, 1.02, 0.97, 1.3, 1.1],
      [0.99, 1.4, 1.01, 1.0, 0.9],
    ]);
    assert.ok(judgeAtMost('x', noisy, 1.05).passed);
    const slow = intervalOf([
      [1.11, 1.12, 1.08, 1.3, 1.1],
      [1.12, 1.4, 1.11, 1.1, 1.07],
    ]);
    assert.ok(!judgeAtMost('x', slow, 1.05).passed);
    assert.match(judgeAtMost('x', slow, 1.05).text, /^x: 1\.1\d \(1\.\d\d–1\.\d\d\), at most 1\.05$/);
    assert.ok(judgeAtLeast('x', noisy, 1.1).passed);
    assert.ok(!judgeAtLeast('x', noisy, 2).passed);
  });

  it('are not passed by nonsense', () => {
    const nothing = { median: Number.NaN, low: Number.NaN, high: Number.NaN };
    assert.ok(!judgeAtLeast('x', nothing, 1).passed && !judgeAtMost('x', nothing, 1).passed);
  });
});

describe('npm run bench:gate', () => {
  const gate = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    spawnSync(process.execPath, ['--import', 'tsx', join(root, 'bench', 'gate', 'main.ts'), ...args], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '', ...env },
    });

  it('fails when it cannot run', () => {
    const empty = mkdtempSync(join(tmpdir(), 'msrpd-path-'));
    try {
      for (const [name, env, pattern] of [
        ['native', { MSRPD_ADDON: '/nowhere.node' }, /the native framer cannot run: .*no such file/],
        ['typescript', { MSRPD_BENCH_BASE: 'no-such-branch' }, /could not run: /],
        ['instructions', { PATH: empty }, /cannot run valgrind/],
        ['self-test', { PATH: empty }, /cannot run valgrind/],
        ['nonsense', {}, /there is no such gate/],
      ] as const) {
        const { status, stdout } = gate(['--only', name], env);
        assert.equal(status, 1, `${name}: ${stdout}`);
        assert.match(stdout, pattern);
      }
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  it('finds what it makes slow in the core, in a copy', () => {
    const path = join('native', 'core', 'src', 'frame', 'end_line.rs');
    const { folder, remove } = slowCore();
    try {
      assert.match(readFileSync(join(folder, path), 'utf8'), /black_box/);
      assert.doesNotMatch(readFileSync(join(root, path), 'utf8'), /black_box/);
      assert.ok(existsSync(join(folder, 'Cargo.lock')));
    } finally {
      remove();
    }
    assert.ok(!existsSync(folder));
  });
});

describe('bench/gates.json', () => {
  it('holds what was promised', () => {
    assert.ok(shipped.instructions.growth <= 0.02);
    assert.ok(shipped.parse.typescriptOverBase <= 1.05);
    const { framing, decoding } = shipped.parse.nativeOverTypeScript;
    assert.ok((framing as number) >= 2.5 && (decoding as number) >= 3);
  });

  it('has a count of every case of the program', () => {
    const source = readFileSync(join(root, 'native', 'core', 'examples', 'instructions.rs'), 'utf8');
    const list = (name: string): string[] =>
      new RegExp(`const ${name}: [^=]*= \\[([^\\]]*)\\]`).exec(source)![1]!.replaceAll('"', '').split(/,\s*/);
    const cases = list('WORK').flatMap((work) =>
      list('PATHS').flatMap((paths) => list('SIZES').map((size) => `${work}-${paths}-${size}`)),
    );
    assert.equal(cases.length, 18);
    assert.deepEqual(Object.keys(shipped.instructions.committed), cases);
    for (const name of Object.keys(shipped.instructions.atMost)) assert.ok(cases.includes(name), name);
  });
});
