import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import { eventPayload } from '../../src/trace/event-text.ts';
import type { EventFields } from '../../src/trace/event-text.ts';
import { MAX_PAYLOAD } from '../../src/trace/hep.ts';
import { frame } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import { files } from '../listen/chain.ts';
import { KINDS } from '../listen/engines.ts';
import { startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { Collector } from './collector.ts';

for (const engine of KINDS) {
  describe(`what a collector can be told otherwise, engine ${engine}`, () => {
    let ca: TestCa;
    let tls: string;
    before(async () => {
      ca = await TestCa.create();
      tls = files(await ca.issue('localhost'));
    });

    const start = (collector: Collector, hep = '', msrp = ''): Promise<Fixture> =>
      startRelay(`
engine: ${engine}
listeners:
  - msrp:127.0.0.1:0
  - {uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}
  - ws:127.0.0.1:0
  - {uri: "wss:127.0.0.1:0", advertise: "localhost:0"}
msrp: {send_timeout: 30000, max_msg_chunks: 0, trace_destination: x, trace_on: true${msrp}}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
tls: {domains: {default: {${tls}}}}
hep: {hep_id: {x: "127.0.0.1:${collector.port}"}${hep}}
`);

    const login = (relay: string): Promise<MsrpClient> =>
      MsrpClient.connect({ relay, user: 'alice', password: 'secret', tls: { ca: ca.certificate } });

    for (const [hep, numbers] of [
      ['', [6, 6, 6, 6]],
      [', opensips_proto_numbers: true', [6, 22, 50, 50]],
    ] as const)
      it(`D-61: the protocol of each listener, and its IP protocol${hep}`, async () => {
        await using collector = await Collector.start('tcp');
        await using fixture = await start(collector, hep);
        for (const { uri } of fixture.server.listeners) await (await login(uri)).close();
        const accepted = await collector.until(4, ({ payload }) => payload.includes('"ACCEPTED"'));
        const closed = await collector.until(4, ({ payload }) => payload.includes('"CLOSED"'));
        for (const seen of [accepted, closed]) {
          const byPort = new Map(
            seen.map(({ info, payload }) => [
              info['dstPort'],
              [(JSON.parse(payload) as { Protocol: string }).Protocol, info['protocol']],
            ]),
          );
          assert.deepEqual(
            fixture.server.listeners.map(({ port }) => byPort.get(port)),
            ['MSRP', 'MSRPS', 'MSRP-WS', 'MSRP-WSS'].map((name, i) => [name, numbers[i]]),
          );
        }
      });

    it('D-61: homer5_on is the values alone, joined by homer5_delim', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await start(collector, ', homer5_on: true, homer5_delim: "|"');
      await (await login(fixture.uri)).close();
      assert.deepEqual(
        (await collector.until(2)).map(({ payload }) => payload),
        ['MSRP|ACCEPTED|SUCCESS|Connection accepted...', 'MSRP|CLOSED|SUCCESS|Closed by the peer (peer_closed)'],
      );
    });

    for (const [hep, ends] of [
      ['', ['srcPort', 'dstPort']],
      [', opensips_address_order: true', ['dstPort', 'srcPort']],
    ] as const)
      it(`D-63: who is the source of a connection that this relay makes${hep}`, async () => {
        await using collector = await Collector.start('tcp');
        await using fixture = await start(collector, hep);
        await using listener = await MsrpListener.listen();
        await using client = await login(fixture.uri);
        const local = new Promise<unknown>((resolve) =>
          listener.once('session', () =>
            resolve(fixture.server.connections().find(({ direction }) => direction === 'out')?.local.port),
          ),
        );
        await client.send({ to: listener.uri, contentType: 'text/plain', body: 'hello' });
        const [connected] = await collector.until(1, ({ payload }) => payload.includes('"CONNECTED"'));
        const target = Number(/:(\d+)\//.exec(listener.uri)?.[1]);
        assert.deepEqual(
          ends.map((end) => connected?.info[end]),
          [await local, target],
        );
        // One that has come from elsewhere has the same order in both.
        const [accepted] = await collector.until(1, ({ payload }) => payload.includes('"ACCEPTED"'));
        assert.equal(accepted?.info['dstPort'], fixture.server.listeners[0]?.port);
      });

    it('D-66: a frame that no packet can hold is cut, and marked', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await start(collector, '', ', trace_frames: bodies, trace_body_bytes: 32768');
      const socket = connect({ host: '127.0.0.1', port: fixture.server.listeners[0]?.port as number });
      const from = 'msrp://127.0.0.1:9/x;tcp';
      const long = Array.from({ length: 7 }, (_, i) => `X-${i}: ${'x'.repeat(8000)}`);
      socket.write(frame('long1', 'FROB', fixture.uri, from, long, 'y'.repeat(10_000)));
      socket.write(frame('short1', 'FROB', fixture.uri, from));
      const [cut] = await collector.until(1, ({ payload }) => payload.startsWith('MSRP long1 FROB'));
      const [whole] = await collector.until(1, ({ payload }) => payload.startsWith('MSRP short1 FROB'));
      socket.destroy();
      assert.equal(cut?.payload.length, MAX_PAYLOAD);
      assert.ok(cut.packet.includes('"Truncated":"true"'));
      assert.ok(!whole?.packet.includes('Truncated'));
    });
  });
}

describe('events that no packet can hold (D-66)', () => {
  const fields: EventFields = {
    protocol: 'MSRPS',
    event: 'CLOSED',
    status: 'FAILURE',
    message: '\0'.repeat(MAX_PAYLOAD),
  };
  const tls = { 'client-subject': '\0'.repeat(MAX_PAYLOAD), 'client-issuer': 'CN=test CA' };

  it('are still JSON, and say so', () => {
    const payload = eventPayload({ ...fields, tls }, undefined);
    assert.ok(payload.length <= MAX_PAYLOAD, `${payload.length}`);
    const {
      'client-subject': subject,
      Message: message,
      ...rest
    } = JSON.parse(payload.toString()) as Record<string, string>;
    assert.deepEqual(rest, {
      Protocol: 'MSRPS',
      'client-issuer': 'CN=test CA',
      Event: 'CLOSED',
      Status: 'FAILURE',
      Truncated: 'true',
    });
    assert.match(`${subject}${message}`, /^\0{2048}$/);
    assert.ok(!eventPayload({ ...fields, message: 'x'.repeat(MAX_PAYLOAD - 1000) }, undefined).includes('Truncated'));
  });

  it('as values alone, too', () => {
    const payload = eventPayload({ ...fields, message: 'x'.repeat(MAX_PAYLOAD) }, ':').toString();
    assert.match(payload, /^MSRPS:CLOSED:FAILURE:x{1024}:true$/);
  });
});
