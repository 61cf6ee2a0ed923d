import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { accepting, freePort, start, stop } from '../../bench/relay/processes.ts';
import { runLoad, startRelay, stopRelay } from '../../bench/relay/relays.ts';
import { runScenario } from '../../bench/relay/rounds.ts';
import type { Scenario } from '../../bench/relay/scenarios.ts';

const folder = mkdtempSync(join(tmpdir(), 'msrpd-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A command in the place of msrp-load: a relay that only listens, or a load that ends like this. */
function fakeLoad(name: string, code: number, out: string): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    `#!/usr/bin/env node
const [command, ...args] = process.argv.slice(2);
const after = (option) => args[args.indexOf(option) + 1];
if (command === 'relay') {
  const [host, port] = after('--listen').split(':');
  require('node:net').createServer((socket) => socket.on('error', () => {})).listen(Number(port), host);
} else {
  process.kill(Number(after('--relay-pid')), 0);
  process.stdout.write(${JSON.stringify(out)}, () => process.exit(${code}));
}
`,
  );
  chmodSync(path, 0o755);
  return path;
}

const cpu = { cpu_percent: 50, us_per_unit: 12 };
const REPORT = JSON.stringify({ units: 5, cpu: { relay: cpu, generator: cpu } });
const SCENARIO: Scenario = {
  name: 'chat',
  cost: 'µs/message',
  load: ['chat'],
  connections: 2,
  freshProcess: false,
  tls: false,
  quick: false,
};
const EFFORT = { rounds: 2, warmup: 0, firstWarmup: 0, duration: 0 };

describe('relays of a benchmark', () => {
  it('are ready when they have been started, and gone when they have been stopped', async () => {
    const relay = await startRelay('ts', 'no load generator');
    const port = Number(relay.address.split(':')[1]);
    await accepting(relay.process, port);
    assert.ok(existsSync(`/proc/${relay.process.pid}`));
    await stopRelay(relay);
    assert.ok(!existsSync(`/proc/${relay.process.pid}`));
    await assert.rejects(accepting(relay.process, port));
  });

  it('tell why they cannot run', async () => {
    const dead = start(0, process.execPath, [
      '-e',
      'console.error("first"); console.error("the reason"); process.exit(2)',
    ]);
    await assert.rejects(accepting(dead, await freePort()), /^Error: the reason$/);
    await stop(dead);
    await assert.rejects(startRelay('bare', join(folder, 'no-such-command')));
  });

  it('take turns, round after round', async () => {
    const load = fakeLoad('good', 0, REPORT);
    const order: string[] = [];
    const contenders = ['bare', 'ts'] as const;
    const result = await runScenario(SCENARIO, contenders, load, EFFORT, (text) =>
      order.push(text.split('  ').at(-1)!),
    );
    assert.equal(result.failure, undefined);
    assert.deepEqual(order, ['bare', 'ts', 'bare', 'ts']);
    assert.deepEqual(
      result.rounds.ts?.map(({ cost }) => cost),
      [12, 12],
    );
  });

  it('fail with what the load generator has counted or said', async () => {
    const counted = fakeLoad('counted', 3, JSON.stringify({ error_kinds: { 'body differs': 2 } }));
    const failed = await runScenario(SCENARIO, ['bare'], counted, EFFORT, () => {});
    assert.equal(failed.failure, 'bare: errors: {"body differs":2}');
    const relay = await startRelay('bare', counted);
    await assert.rejects(runLoad(fakeLoad('silent', 1, ''), relay, ['chat']), /bare: the load generator ended with 1/);
    await stopRelay(relay);
  });

  it('are not started for more connections than there may be files', async () => {
    const many = { ...SCENARIO, connections: 1e9 };
    const result = await runScenario(many, ['bare'], 'no load generator', EFFORT, () => {});
    assert.match(result.failure as string, /open files/);
  });
});
