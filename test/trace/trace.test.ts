import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import { until, within } from '../engine/harness.ts';
import { KINDS } from '../listen/engines.ts';
import { file, rpc, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { Collector } from './collector.ts';
import type { Seen } from './collector.ts';

const user = { user: 'alice', password: 'secret' };

function relay(
  engine: string,
  collector: Collector,
  transport: string,
  msrp = 'trace_on: true',
  more = '',
): Promise<Fixture> {
  return startRelay(`
engine: ${engine}
listeners: [msrp:127.0.0.1:0]
msrp: {send_timeout: 30000, max_msg_chunks: 0, trace_destination: x, ${msrp}}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
hep: {hep_id: {x: "127.0.0.1:${collector.port};transport=${transport}"}}
control: {listen: "http:127.0.0.1:0"}
${more}`);
}

async function trace(fixture: Fixture, mode: 'on' | 'off'): Promise<void> {
  assert.equal((await rpc(fixture, 'msrp_trace', [mode])).result, 'OK');
}

/** A connection, and its port: a socket that was turned away has none any more. */
async function open(fixture: Fixture): Promise<{ socket: Socket; port: number }> {
  const socket = connect({ host: '127.0.0.1', port: fixture.server.listeners[0]!.port });
  socket.on('error', () => undefined);
  const port = await within(
    'connect',
    new Promise<number>((resolve) => socket.once('connect', () => resolve(socket.localPort!))),
  );
  return { socket, port };
}

/** `EVENT:STATUS` of a packet. */
function eventOf({ payload }: Seen): string {
  const { Event: event, Status: status } = JSON.parse(payload) as Record<string, string>;
  return `${event}:${status}`;
}

for (const engine of KINDS) {
  describe(`connection events over HEP, engine ${engine}`, () => {
    for (const transport of ['udp', 'tcp'] as const) {
      it(`a conversation over ${transport}: every event with its addresses and one correlation id a connection (D-60…D-63)`, async () => {
        await using collector = await Collector.start(transport);
        await using fixture = await relay(engine, collector, transport);
        await using listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
        const { port } = fixture.server.listeners[0]!;
        const client = await MsrpClient.connect({ relay: fixture.uri, ...user });
        await client.send({ to: [listener.uri], contentType: 'text/plain', body: 'hello' });
        await client.close();
        const all = await collector.until(4);
        const byId = new Map<unknown, Seen[]>();
        for (const seen of all) {
          const id = seen.info['correlation_id'];
          byId.set(id, [...(byId.get(id) ?? []), seen]);
        }
        const [inside, outside] = [...byId.values()].sort((a) => (eventOf(a[0]!) === 'ACCEPTED:SUCCESS' ? -1 : 1));
        assert.deepEqual(inside!.map(eventOf), ['ACCEPTED:SUCCESS', 'CLOSED:SUCCESS']);
        assert.deepEqual(outside!.slice(0, 2).map(eventOf), ['CONNECT_START:SUCCESS', 'CONNECTED:SUCCESS']);
        for (const { info } of inside!) {
          assert.deepEqual([info['payloadType'], info['protocol'], info['captureId']], [0x59, 6, 1]);
          assert.deepEqual([info['srcIp'], info['dstIp'], info['dstPort']], ['127.0.0.1', '127.0.0.1', port]);
        }
        assert.equal(new Set(inside!.map(({ info }) => info['srcPort'])).size, 1);
        assert.deepEqual(JSON.parse(inside![0]!.payload), {
          Protocol: 'MSRP',
          Event: 'ACCEPTED',
          Status: 'SUCCESS',
          Message: 'Connection accepted...',
        });
        assert.match(inside![1]!.payload, /"Message":"Closed by the peer \(peer_closed\)"/);
        const target = Number(/:(\d+)\//.exec(listener.uri)![1]);
        assert.deepEqual(outside!.map(({ info }) => info['dstPort']).slice(0, 2), [target, target]);
        assert.notEqual(outside![1]!.info['srcPort'], 0);
        const nowS = Date.now() / 1000;
        assert.ok(all.every(({ info }) => Math.abs((info['timeSeconds'] as number) - nowS) < 60));
      });
    }

    it('what fails: a dial, a peer that speaks no MSRP, one that is not admitted', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await relay(
        engine,
        collector,
        'tcp',
        'trace_on: true',
        'limits: {max_connections_per_ip: 2}\n',
      );
      const { port } = fixture.server.listeners[0]!;
      const client = await MsrpClient.connect({ relay: fixture.uri, ...user });
      const away = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
      const to = [away.uri];
      await away.close();
      await client.send({ to, contentType: 'text/plain', body: 'x' });
      const [start] = await collector.until(1, (seen) => eventOf(seen) === 'CONNECT_START:SUCCESS');
      const [failed] = await collector.until(1, (seen) => eventOf(seen) === 'CONNECTED:FAILURE');
      assert.equal(failed!.info['correlation_id'], start!.info['correlation_id']);
      assert.equal(failed!.info['dstPort'], start!.info['dstPort']);
      assert.match(
        failed!.payload,
        /Failed to connect\.\.\. Could not connect \(connect_failed: 127\.0\.0\.1 \d+: ECONNREFUSED\)/,
      );
      const { socket: rude, port: rudePort } = await open(fixture);
      rude.write('GET / HTTP/1.1\r\n\r\n');
      const [closed] = await collector.until(1, (seen) => eventOf(seen) === 'CLOSED:FAILURE');
      assert.deepEqual([closed!.info['srcPort'], closed!.info['dstPort']], [rudePort, port]);
      assert.match(closed!.payload, /Peer does not speak MSRP \(protocol_error: E_/);
      rude.destroy();
      await until('the end of it', () => fixture.server.connections().length <= 1);
      const second = await open(fixture);
      // Another thread may accept the third one before it.
      await until('the second one', () => fixture.server.connections().length === 2);
      const third = await open(fixture);
      const [refused] = await collector.until(1, (seen) => eventOf(seen) === 'ACCEPTED:FAILURE');
      assert.deepEqual([refused!.info['srcPort'], refused!.info['dstPort']], [third.port, port]);
      assert.match(refused!.payload, /max_connections_per_ip/);
      second.socket.destroy();
      await client.close();
    });

    it('the switch: nothing while it is off, open connections are judged when it goes on', async () => {
      await using collector = await Collector.start('tcp');
      const hooks = file(
        'hooks-trace.mjs',
        'globalThis.traceAsked = []; export const traceFilter = (c) => { globalThis.traceAsked.push(c); return c.remote.port !== globalThis.traceNot; };',
      );
      await using fixture = await relay(engine, collector, 'tcp', 'trace_on: false', `hooks: ${hooks}\n`);
      const asked = (globalThis as { traceAsked?: Record<string, unknown>[] }).traceAsked!;
      asked.length = 0;
      const [one, two] = [await open(fixture), await open(fixture)];
      (globalThis as { traceNot?: number }).traceNot = two.port;
      await until('two connections', () => fixture.server.connections().length >= 2);
      assert.deepEqual(asked, [], 'no filter is asked while tracing is off');
      await trace(fixture, 'on');
      await until('the filter', () => asked.length >= 2);
      const { port } = fixture.server.listeners[0]!;
      assert.deepEqual(
        asked.find(({ remote }) => (remote as { port: number }).port === one.port),
        {
          direction: 'in',
          remote: { address: '127.0.0.1', port: one.port },
          local: { address: '127.0.0.1', port },
          listener: 'msrp:127.0.0.1:0',
          users: [],
          user: undefined,
          tlsName: undefined,
        },
      );
      two.socket.destroy();
      await until('the end of two', () => fixture.server.connections().length <= 1);
      one.socket.destroy();
      const seen = await collector.until(1);
      assert.deepEqual(
        seen.map((packet) => [eventOf(packet), packet.info['srcPort']]),
        [['CLOSED:SUCCESS', one.port]],
      );
      await trace(fixture, 'off');
      asked.length = 0;
      const three = await open(fixture);
      three.socket.destroy();
      await until(
        'the end of three',
        () => fixture.server.stats().closes.peer_closed >= 3 || fixture.server.stats().closes.peer_reset > 0,
      );
      assert.deepEqual([asked.length, collector.seen.length], [0, 1]);
    });

    it('rules: the first that fits decides, a user counts from his AUTH on', async () => {
      await using collector = await Collector.start('tcp');
      const rules =
        'trace_on: true, trace_filter_route: [{action: trace, user: alice}, {action: drop, peer: 127.0.0.0/8, direction: in}]';
      await using fixture = await relay(engine, collector, 'tcp', rules);
      const nobody = await open(fixture);
      const client = await MsrpClient.connect({ relay: fixture.uri, ...user });
      nobody.socket.destroy();
      await until('the end', () => fixture.server.connections().length <= 1);
      await client.close();
      assert.deepEqual((await collector.until(1)).map(eventOf), ['CLOSED:SUCCESS']);
      // Of one whose session was open before, too.
      await trace(fixture, 'off');
      const early = await MsrpClient.connect({ relay: fixture.uri, ...user });
      await trace(fixture, 'on');
      await early.close();
      assert.deepEqual((await collector.until(2)).map(eventOf), ['CLOSED:SUCCESS', 'CLOSED:SUCCESS']);
    });
  });
}
