import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { boundedScenarios, judge } from '../../bench/relay/gate.ts';
import type { Gates } from '../../bench/relay/gate.ts';
import { PAIRS, ratio } from '../../bench/relay/results.ts';
import type { Results } from '../../bench/relay/results.ts';
import { measurement } from '../../bench/relay/rounds.ts';
import { SCENARIOS } from '../../bench/relay/scenarios.ts';
import { table, verdictText } from '../../bench/relay/table.ts';
import { results, scenario } from './fixture.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const shipped = JSON.parse(readFileSync(join(root, 'bench', 'gates.json'), 'utf8')) as Gates;

const GATES: Gates = {
  ratios: { 'ts/bare': { chat: 2 }, 'native/bare': { chat: 1.3 }, 'native/ts': { chat: 0.7 } },
  idle: { native: { bytesPerSession: 4096, cpuPercent: 1 } },
};

const bare = [10, 10, 10, 10, 10];

describe('the gate', () => {
  it('passes what is within its bounds', () => {
    const verdict = judge(results([scenario('chat', { bare, ts: [19, 18, 19, 18, 19] })]), GATES);
    assert.deepEqual(verdict.objections, []);
    assert.equal(verdict.checked.length, 1);
  });

  it('passes noise around a good build, not a slowdown', () => {
    const noisy = results([scenario('chat', { bare, ts: [19, 35, 30, 18, 40] })]);
    assert.deepEqual(judge(noisy, GATES).objections, []);
    const slow = results([scenario('chat', { bare, ts: [21, 22, 21, 24, 23] })]);
    assert.equal(judge(slow, GATES).objections.length, 1);
    assert.match(judge(slow, GATES).objections[0] as string, /chat ts\/bare: 2\.20 \(2\.10–2\.40\) exceeds 2\.00/);
  });

  it('compares rounds that ran one after another, so that a slow machine is no slowdown', () => {
    const measured = scenario('chat', { bare: [10, 100, 1000], ts: [15, 150, 1500] });
    assert.equal(ratio(measured, 'ts/bare')?.high, 1.5);
  });

  it('a bound of what is JavaScript is wider where that costs more beside the bare relay, never narrower', () => {
    const gates: Gates = { ...GATES, scriptPerBare: { 'ts/bare': { chat: 0.1 } } };
    const at = (ts: number, scriptUs: number) =>
      judge({ ...results([scenario('chat', { bare, ts: bare.map(() => ts) })]), scriptUs }, gates).objections.length;
    // 1 µs beside 10 of the bare relay is what the bound was set for; half as much again gives two thirds of that.
    assert.deepEqual([at(20, 1), at(21, 1), at(26, 1.5), at(27, 1.5)], [0, 1, 0, 1]);
    assert.deepEqual([at(20, 0.5), at(21, 0.5)], [0, 1]);
    // Twice at most.
    assert.deepEqual([at(33, 100), at(34, 100)], [0, 1]);
  });

  it('judges the native engine as soon as it can run, against the other one, too', () => {
    const costs = { bare, ts: [18, 18, 18, 18, 18], native: [12, 12, 12, 12, 12] };
    assert.deepEqual(judge(results([scenario('chat', costs)], {}), GATES).objections, []);
    const slow = { ...costs, native: [17, 17, 17, 17, 17] };
    const { objections } = judge(results([scenario('chat', slow)], {}), GATES);
    assert.deepEqual(
      objections.map((text) => text.split(':')[0]),
      ['chat native/bare', 'chat native/ts'],
    );
  });

  it('bounds memory and idleness', () => {
    const idle = (bytes: number) =>
      results([scenario('idle', { bare: [300], ts: [9000], native: [bytes] }, 'bytes/session')], {});
    assert.deepEqual(judge(idle(4000), GATES).objections, []);
    assert.equal(judge(idle(5000), GATES).objections.length, 1);
  });

  it('is not passed by what could not be measured', () => {
    assert.equal(judge(results([]), GATES).objections.length, 1);
    const failed = { ...scenario('chat', { bare, ts: bare }), failure: 'ts: errors: {"stalled":1}' };
    assert.deepEqual(judge(results([failed]), GATES).objections, ['chat: ts: errors: {"stalled":1}']);
    const missing = judge(results([scenario('chat', { bare })]), GATES);
    assert.ok(missing.objections.includes('chat ts/bare: not measured'));
    const nonsense = judge(results([scenario('chat', { bare, ts: [Number.NaN] })]), GATES);
    assert.equal(nonsense.objections.length, 1);
    assert.throws(() =>
      measurement({
        units: 0,
        cpu: { relay: { cpu_percent: 0, us_per_unit: null }, generator: { cpu_percent: 0, us_per_unit: null } },
      }),
    );
  });
});

describe('bench/gates.json', () => {
  it('names scenarios that there are', () => {
    const names = new Set(SCENARIOS.map(({ name }) => name));
    for (const name of boundedScenarios(shipped)) assert.ok(names.has(name), name);
    assert.deepEqual(Object.keys(shipped.ratios), [...PAIRS]);
  });

  it('holds what was promised of each engine', () => {
    const { 'ts/bare': ts, 'native/bare': native } = shipped.ratios;
    assert.ok((ts['chat-16x1-200'] as number) <= 2.2 && (ts['chat-16x16-200'] as number) <= 6);
    for (const pairs of [16, 256]) {
      assert.ok((native[`chat-${pairs}x1-200`] as number) <= 1.3);
      assert.ok((native[`chat-${pairs}x16-200`] as number) <= 1.8);
    }
    assert.ok((native['chat-16x1-60000'] as number) <= 1.3);
    assert.ok((shipped.idle.native?.bytesPerSession as number) <= 4096 && shipped.idle.native?.cpuPercent === 1);
  });
});

describe('npm run bench:relay -- --gate', () => {
  const gated = (measured: Results) => {
    const folder = mkdtempSync(join(tmpdir(), 'msrpd-gate-'));
    try {
      writeFileSync(join(folder, 'results.json'), JSON.stringify(measured));
      const main = join(root, 'bench', 'relay', 'main.ts');
      const args = ['--import', 'tsx', main, '--gate', '--from', join(folder, 'results.json')];
      return spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  /** Just within every bound, times `factor`. */
  const measured = (factor: number): Results => {
    const scenarios = Object.entries(shipped.ratios['ts/bare']).map(([name, bound]) =>
      scenario(name, { bare, ts: bare.map((cost) => cost * bound * factor) }),
    );
    return results(scenarios);
  };

  it('exits 0 for a good build and 1 for a slowdown', () => {
    const good = gated(measured(0.99));
    assert.equal(good.status, 0, good.stderr);
    assert.match(good.stderr, /gate passed\n$/);
    const slow = gated(measured(1.01));
    assert.equal(slow.status, 1);
    assert.match(slow.stderr, /exceeds[^]*gate failed\n$/);
  });

  it('exits 1 when there is nothing to judge', () => {
    assert.equal(gated(results([])).status, 1);
    const missing = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(root, 'bench', 'relay', 'main.ts'), '--gate', '--from', join(root, 'no-such-file')],
      { encoding: 'utf8', cwd: root },
    );
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /no-such-file/);
  });
});

describe('the table', () => {
  it('has a row for each relay, ratios, failures and doubts', () => {
    const doubtful = scenario('chat', { bare: [10, 10], ts: [20, 21] });
    const [first, second] = doubtful.rounds.bare as [NonNullable<typeof doubtful.rounds.bare>[0], never];
    const rounds = { ...doubtful.rounds, bare: [{ ...first, warnings: ['the generator was the bottleneck'] }, second] };
    const text = table(results([{ ...doubtful, rounds, failure: 'ts: stopped' }]));
    const lines = text.split('\n').map((line) => line.split(/\s{2,}/));
    assert.ok(lines.some(([name, relay]) => name === 'chat' && relay === 'bare'));
    assert.ok(
      lines.some((cells) => cells.includes('2.05 ts/bare') && cells.includes('2.00–2.10 (50 %)')),
      text,
    );
    assert.match(text, /chat: ts: stopped/);
    assert.match(text, /chat bare: in 1 of 2 rounds the generator was the bottleneck/);
    assert.match(text, /native: cannot run: not here/);
    assert.equal(verdictText({ checked: [], objections: [] }), 'gate passed');
  });
});
