import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { until, within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import { files } from '../listen/chain.ts';
import { KINDS } from '../listen/engines.ts';
import { file, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { Collector } from './collector.ts';
import type { Seen } from './collector.ts';

const [PLAIN, TLS] = [0, 1];

interface Told {
  readonly Protocol: string;
  readonly Event: string;
  readonly Status: string;
  readonly Message: string;
  readonly [name: string]: string;
}

const told = ({ payload }: Seen): Told => JSON.parse(payload) as Told;

/** That event, of a connection whose initiator has that port. */
const is =
  (event: string, status: string, port?: number) =>
  (seen: Seen): boolean =>
    told(seen).Event === event && told(seen).Status === status && (port === undefined || seen.info['srcPort'] === port);

for (const engine of KINDS) {
  describe(`connection events over HEP, TLS, engine ${engine}`, () => {
    let ca: TestCa;
    let domain: string;

    before(async () => {
      ca = await TestCa.create();
      domain = `${files(await ca.issue('localhost'))}, ca_list: ${file(`trace-${engine}-ca.pem`, ca.certificate)}`;
    });

    const start = (collector: Collector, limits = ''): Promise<Fixture> =>
      startRelay(`
engine: ${engine}
listeners: [msrp:127.0.0.1:0, {uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}]
msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 15000, trace_destination: x, trace_on: true}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
tls: {domains: {default: {${domain}}}}
hep: {hep_id: {x: "127.0.0.1:${collector.port}"}}
${limits}`);

    /** A client of the TLS listener; its port. */
    const dial = async (fixture: Fixture, options: ConnectionOptions): Promise<{ socket: Socket; port: number }> => {
      const { port } = fixture.server.listeners[TLS]!;
      const raw = connectTcp({ host: '127.0.0.1', port });
      raw.on('error', () => undefined);
      const own = await within(
        'connect',
        new Promise<number>((resolve) => raw.once('connect', () => resolve(raw.localPort!))),
      );
      const socket = connect({ socket: raw, ca: ca.certificate, servername: 'localhost', ...options });
      socket.on('error', () => undefined);
      return { socket, port: own };
    };

    it('handshakes that succeed, with the name that the peer has proven; those that fail, with the reason', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await start(collector);
      const { port: relayPort } = fixture.server.listeners[TLS]!;
      const alice = await ca.issue('alice.example');
      const good = await dial(fixture, { cert: alice.certificate, key: alice.key });
      const [accepted] = await collector.until(1, is('ACCEPTED', 'SUCCESS', good.port));
      assert.deepEqual(told(accepted!), {
        Protocol: 'MSRPS',
        'client-subject': 'CN=alice.example',
        'client-issuer': 'CN=test CA',
        Event: 'ACCEPTED',
        Status: 'SUCCESS',
        Message: 'Connection accepted...',
      });
      assert.deepEqual([accepted!.info['dstPort'], accepted!.info['protocol']], [relayPort, 6]);
      good.socket.destroy();
      const [closed] = await collector.until(
        1,
        ({ payload, info }) => /CLOSED/.test(payload) && info['srcPort'] === good.port,
      );
      assert.equal(closed!.info['correlation_id'], accepted!.info['correlation_id']);
      assert.equal(told(closed!).Protocol, 'MSRPS');

      const stranger = await (await TestCa.create('another CA')).issue('mallory.example');
      const unknown = await dial(fixture, { cert: stranger.certificate, key: stranger.key });
      const [refused] = await collector.until(1, is('ACCEPTED', 'FAILURE', unknown.port));
      assert.equal(told(refused!).Protocol, 'MSRPS');
      assert.match(
        told(refused!).Message,
        /^Failed to accept connection\.\.\. TLS handshake failed \(tls_handshake_failed: unknown_ca: /,
      );
      assert.equal(refused!.info['dstPort'], relayPort);
      assert.notEqual(refused!.info['correlation_id'], accepted!.info['correlation_id']);
      unknown.socket.destroy();

      const rude = connectTcp({ host: '127.0.0.1', port: relayPort });
      rude.on('error', () => undefined);
      rude.write('GET / HTTP/1.1\r\n\r\n');
      await collector.until(1, (seen) => /tls_handshake_failed: protocol: /.test(seen.payload));
      rude.destroy();
      assert.ok(
        collector.seen.every(({ payload }) => !/master|private|secret/i.test(payload)),
        'names only (D-62)',
      );
    });

    it('more handshakes than may be at once', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await start(collector, 'limits: {max_handshakes: 1}\n');
      const { port } = fixture.server.listeners[TLS]!;
      const silent = connectTcp({ host: '127.0.0.1', port });
      await within('connect', once(silent, 'connect'));
      await until('the first handshake', () => fixture.server.stats().handshakes >= 1);
      const late = await dial(fixture, {});
      const [refused] = await collector.until(1, is('ACCEPTED', 'FAILURE', late.port));
      assert.match(told(refused!).Message, /Too many TLS handshakes at once \(max_handshakes/);
      assert.deepEqual([told(refused!).Protocol, refused!.info['dstPort']], ['MSRPS', port]);
      silent.destroy();
      await collector.until(1, ({ payload }) => /tls_handshake_failed: closed: /.test(payload));
      late.socket.destroy();
    });

    it('dials: CONNECT_START, and CONNECTED with the name of the server or why it was not to be had', async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await start(collector);
      await using client = await MsrpClient.connect({
        relay: fixture.server.listeners[PLAIN]!.uri,
        user: 'alice',
        password: 'secret',
      });
      for (const [name, status] of [
        ['127.0.0.1', 'SUCCESS'],
        ['192.0.2.7', 'FAILURE'],
      ] as const) {
        const pair = await ca.issue(name);
        const server = createServer({ cert: pair.certificate, key: pair.key });
        server.on('tlsClientError', () => undefined);
        server.on('secureConnection', (socket) => socket.on('error', () => undefined));
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        await client.send({ to: [`msrps://127.0.0.1:${port}/peer;tcp`], contentType: 'text/plain', body: 'x' });
        const ofServer = (event: string) => (seen: Seen) => told(seen).Event === event && seen.info['dstPort'] === port;
        const [begun] = await collector.until(1, ofServer('CONNECT_START'));
        const [done] = await collector.until(1, ofServer('CONNECTED'));
        assert.deepEqual(told(begun!), {
          Protocol: 'MSRPS',
          Event: 'CONNECT_START',
          Status: 'SUCCESS',
          Message: 'Async connect in progress...',
        });
        assert.equal(done!.info['correlation_id'], begun!.info['correlation_id']);
        assert.deepEqual([told(done!).Protocol, told(done!).Status], ['MSRPS', status]);
        if (status === 'SUCCESS') assert.equal(told(done!)['server-subject'], `CN=${name}`);
        else
          assert.match(
            told(done!).Message,
            /^Failed to connect\.\.\. TLS handshake failed \(tls_handshake_failed: name_mismatch: /,
          );
        server.close();
      }
    });
  });
}
