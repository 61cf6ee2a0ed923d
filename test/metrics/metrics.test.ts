import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { EngineStats } from '../../src/engine/engine.ts';
import { Metrics } from '../../src/metrics/metrics.ts';
import { KINDS } from '../listen/engines.ts';
import { PLAIN, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';

const root = new URL('../../', import.meta.url);

/** Values by name and labels as they are written. */
async function scrape(fixture: Fixture): Promise<Map<string, number>> {
  const response = await fetch(`${fixture.server.control}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const values = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const match = /^(msrpd_\w+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match !== null) values.set(match[1]!, Number(match[2]));
    else assert.match(line, /^(# (HELP|TYPE) msrpd_.*)?$/);
  }
  return values;
}

const namesOf = (values: Map<string, number>): string[] => [
  ...new Set(Array.from(values.keys(), (key) => key.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, ''))),
];

for (const engine of KINDS) {
  describe(`metrics, engine ${engine}`, () => {
    it('a conversation is to be seen', async () => {
      await using fixture = await startRelay(`${PLAIN}engine: ${engine}\ncontrol: {listen: "http:127.0.0.1:0"}\n`);
      await using listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
      await using client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
      for (let i = 0; i < 10; i++) await client.send({ to: [listener.uri], contentType: 'text/plain', body: 'hello' });
      const values = await scrape(fixture);
      const is = (key: string, value: number): void => assert.equal(values.get(key), value, key);
      is('msrpd_connections{listener="msrp:127.0.0.1:0",transport="tcp"}', 1);
      is('msrpd_connections{listener="out",transport="tcp"}', 1);
      is('msrpd_connections_accepted_total', 1);
      is('msrpd_connections_dialled_total', 1);
      is('msrpd_sessions', 1);
      is('msrpd_sessions_opened_total', 1);
      is('msrpd_auth_total{status="401"}', 1);
      is('msrpd_auth_total{status="200"}', 1);
      is('msrpd_frames_total{method="SEND",direction="in"}', 10);
      is('msrpd_frames_total{method="SEND",direction="out"}', 10);
      is('msrpd_transaction_seconds_count', 10);
      is('msrpd_transaction_seconds_bucket{le="+Inf"}', 10);
      is('msrpd_closes_total{reason="peer_closed"}', 0);
      is('msrpd_trace_on', 0);
      let before = 0;
      for (const [key, value] of values) {
        if (!key.startsWith('msrpd_transaction_seconds_bucket')) continue;
        assert.ok(value >= before, 'buckets are cumulative');
        before = value;
      }
      const info = [...values.keys()].find((key) => key.startsWith('msrpd_engine_info'));
      assert.ok(info?.includes(`kind="${engine}"`), info);
      if (process.platform === 'linux') {
        assert.ok((values.get('msrpd_thread_cpu_seconds_total{thread="main"}') ?? 0) > 0);
        assert.equal(values.has('msrpd_thread_cpu_seconds_total{thread="worker-0"}'), engine === 'native');
      }
    });
  });
}

describe('metrics, asked by many', () => {
  it('scrapes at once ask the engine once; one that comes later asks again', async () => {
    await using fixture = await startRelay();
    let asked = 0;
    const stats = (): EngineStats => {
      asked++;
      return fixture.server.stats();
    };
    const metrics = new Metrics({
      stats,
      engine: { kind: 'ts', framer: 'ts', reason: '' },
      relay: { sessionsOpened: 0, sessionsClosed: new Map(), auth: new Map() },
      trace: undefined,
      connectionCounts: () => [],
      certificates: () => [],
    });
    const all = await Promise.all(Array.from({ length: 50 }, () => metrics.scrape()));
    assert.equal(asked, 1);
    for (const { text } of all) assert.match(text, /^msrpd_sessions 0$/m);
    await metrics.scrape();
    assert.equal(asked, 2);
    metrics.close();
  });
});

describe('metrics and what is written of them', () => {
  it('docs/metrics.md has a row for each, and the dashboard asks for no other', async () => {
    await using fixture = await startRelay(`${PLAIN}control: {listen: "http:127.0.0.1:0"}\n`);
    await using client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
    assert.ok(client.path.length > 0);
    const response = await fetch(`${fixture.server.control}/metrics`);
    const names = Array.from((await response.text()).matchAll(/^# TYPE (\w+) /gm), ([, name]) => name!);
    const rows = Array.from(
      readFileSync(new URL('docs/metrics.md', root), 'utf8').matchAll(/^\| `(msrpd_\w+)` \|/gm),
      ([, name]) => name!,
    );
    assert.deepEqual(rows.toSorted(), names.toSorted());
    assert.ok(namesOf(await scrape(fixture)).every((name) => names.includes(name)));
    const dashboard = readFileSync(new URL('docs/grafana-dashboard.json', root), 'utf8');
    JSON.parse(dashboard);
    const asked = new Set(
      Array.from(dashboard.matchAll(/msrpd_\w+/g), ([name]) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    assert.ok(asked.size > 15);
    for (const name of asked) assert.ok(names.includes(name), name);
  });
});
