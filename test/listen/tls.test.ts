import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { until, within } from '../engine/harness.ts';
import { TestCa } from './certificates.ts';
import type { Pair } from './certificates.ts';
import { KINDS } from './engines.ts';
import { config, file, startRelay } from './fixture.ts';

const user = { user: 'alice', password: 'secret' };

describe('TLS (core C-130, C-131; relay R-040, R-090…R-092)', () => {
  let ca: TestCa;
  let other: TestCa;
  let localhost: Pair;
  let n = 0;

  before(async () => {
    ca = await TestCa.create();
    other = await TestCa.create('another CA');
    localhost = await ca.issue('localhost');
  });

  const yaml = (pair: Pair, more = ''): string => {
    n++;
    const [certificate, key, trust] = [
      file(`c${n}.pem`, pair.certificate),
      file(`k${n}.pem`, pair.key),
      file(`t${n}.pem`, ca.certificate),
    ];
    return `
listeners: [{uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}]
msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 5000}
relay: {next_hops: {allow: [127.0.0.0/8, "::1"]}}
tls: {domains: {default: {certificate: ${certificate}, private_key: ${key}, ca_list: ${trust}${more}}}}
`;
  };

  const handshake = async (port: number, options: ConnectionOptions): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, ca: ca.certificate, servername: 'localhost', ...options });
    const closed = new Promise<string>((resolve) => {
      socket.once('error', (error) => resolve((error as { code?: string }).code ?? error.message));
      socket.once('close', () => resolve('closed'));
    });
    const up = once(socket, 'secureConnect').then(
      () => socket.getProtocol() ?? '',
      () => closed,
    );
    const result = await within('handshake', Promise.race([up, closed]));
    socket.destroy();
    return result;
  };

  it('a conversation over msrps, each side checked', async () => {
    await using fixture = await startRelay(yaml(localhost));
    assert.match(fixture.uri, /^msrps:\/\/localhost:\d+;tcp$/);
    const tls = { ca: ca.certificate };
    await using alice = await MsrpClient.connect({ relay: fixture.uri, ...user, tls });
    await using bob = await MsrpClient.connect({ relay: fixture.uri, ...user, tls });
    assert.match(alice.usePath[0] ?? '', /^msrps:\/\/localhost:/);
    const got = once(bob, 'message') as Promise<[IncomingMessage]>;
    await alice.send({ to: bob.path, contentType: 'text/plain', body: 'sealed', successReport: true });
    assert.equal((await got)[0].text(), 'sealed');
    const [info] = fixture.server.connections();
    assert.equal(info?.tls?.protocol, 'TLSv1.3');
  });

  it('a client refuses a certificate of another CA or name', async () => {
    await using wrongName = await startRelay(yaml(await ca.issue('elsewhere.example')));
    await assert.rejects(MsrpClient.connect({ relay: wrongName.uri, ...user, tls: { ca: ca.certificate } }), {
      code: 'E_CONNECT',
    });
    await using fixture = await startRelay(yaml(localhost));
    await assert.rejects(MsrpClient.connect({ relay: fixture.uri, ...user, tls: { ca: other.certificate } }), {
      code: 'E_CONNECT',
    });
    await using trusting = await MsrpClient.connect({ relay: fixture.uri, ...user, tls: { verify: false } });
    assert.equal(trusting.usePath.length, 1);
  });

  it('versions as tls_method says', async () => {
    await using both = await startRelay(yaml(localhost));
    const port = both.server.listeners[0]!.port;
    assert.equal(await handshake(port, {}), 'TLSv1.3');
    assert.equal(await handshake(port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
    await using only = await startRelay(yaml(localhost, ', tls_method: TLSv1_3'));
    assert.notEqual(await handshake(only.server.listeners[0]!.port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  });

  it('R-040: a client certificate is asked for; one that does not verify, or is missing where required, is refused', async () => {
    const good = await ca.issue('relay.example');
    const bad = await other.issue('relay.example');
    await using fixture = await startRelay(yaml(localhost));
    const port = fixture.server.listeners[0]!.port;
    const use = (pair: Pair): ConnectionOptions => ({ cert: pair.certificate, key: pair.key, maxVersion: 'TLSv1.2' });
    assert.equal(await handshake(port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
    assert.equal(await handshake(port, use(good)), 'TLSv1.2');
    const opened = (): number => fixture.lines.filter(({ msg }) => msg === 'connection opened').length;
    // Told when the engine has another thread to hear it from.
    await until('both of them', () => opened() === 2);
    const before = opened();
    await handshake(port, use(bad));
    await until('the refusal', () => fixture.server.stats().closes.tls_handshake_failed === 1);
    assert.equal(opened(), before);
    const told = (): boolean =>
      fixture.lines.some(({ detail }) => String(detail).startsWith('unknown_ca: client certificate: '));
    await until('the log line', told);
    await using strict = await startRelay(yaml(localhost, ', require_cert: true'));
    await handshake(strict.server.listeners[0]!.port, { maxVersion: 'TLSv1.2' });
    await until('the refusal', () => strict.server.stats().closes.tls_handshake_failed === 1);
  });

  it('garbage and half handshakes hold nobody up', async () => {
    await using fixture = await startRelay(
      yaml(localhost).replace('tls_handshake_timeout: 5000', 'tls_handshake_timeout: 200'),
    );
    const port = fixture.server.listeners[0]!.port;
    const sockets = Array.from({ length: 50 }, (_, i) => {
      const socket = connectTcp({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      if (i % 2 === 0) socket.write('GET / HTTP/1.1\r\n\r\n');
      return socket;
    });
    await using alice = await MsrpClient.connect({ relay: fixture.uri, ...user, tls: { ca: ca.certificate } });
    assert.equal(alice.usePath.length, 1);
    await until('all refusals', () => {
      const { closes } = fixture.server.stats();
      return closes.tls_handshake_failed === 25 && closes.tls_handshake_timeout === 25;
    });
    for (const socket of sockets) socket.destroy();
  });

  for (const engine of KINDS)
    it(`${engine}: a burst of 500 failed handshakes is two lines of the log, and all of them are counted`, async () => {
      const { server, uri, lines } = await startRelay(`engine: ${engine}\nworkers: 2\n${yaml(localhost)}`);
      const port = Number(/:(\d+);/.exec(uri)?.[1]);
      const burst = Array.from({ length: 500 }, async () => {
        const socket = connectTcp({ host: '127.0.0.1', port });
        socket.on('error', () => undefined);
        socket.write('GET / HTTP/1.1\r\n\r\n');
        await once(socket.resume(), 'close');
      });
      await within('the refusals', Promise.all(burst));
      await until('their count', () => server.stats().handshakeFailures.protocol === 500);
      const told = (msg: string): typeof lines => lines.filter((line) => line['msg'] === msg);
      await until('the first of them', () => told('connection closed').length === 500);
      await server.stop();
      const [first, ...more] = told('TLS handshake failed');
      assert.deepEqual([first?.['address'], first?.['handshake'], more.length], ['127.0.0.1', 'protocol', 0]);
      const counts = told('TLS handshakes failed').map(({ count }) => Number(count));
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        499,
      );
    });

  it('reload takes a new certificate for new handshakes; a broken one changes nothing', async () => {
    const text = yaml(localhost);
    await using fixture = await startRelay(text);
    const port = fixture.server.listeners[0]!.port;
    const next = await ca.issue('localhost', 'next.example');
    const same = text.replace(/certificate: (\S+),/, (_, path: string) => {
      file(path.split('/').at(-1)!, next.certificate);
      return `certificate: ${path},`;
    });
    const keyPath = /private_key: (\S+?),/.exec(text)?.[1] ?? '';
    assert.throws(() => fixture.server.reloadTls(), { code: 'E_TLS_MATERIAL' });
    assert.throws(() => config(same), /is not the key of/);
    assert.equal(await handshake(port, {}), 'TLSv1.3');
    assert.notEqual(await handshake(port, { servername: 'next.example' }), 'TLSv1.3');
    file(keyPath.split('/').at(-1)!, next.key);
    fixture.server.reloadTls();
    assert.equal(await handshake(port, { servername: 'next.example' }), 'TLSv1.3');
    await fixture.server.reload(config(same));
    assert.equal(await handshake(port, { servername: 'next.example' }), 'TLSv1.3');
  });

  it('material that cannot be used refuses the start', async () => {
    const stranger = await ca.issue('localhost');
    await assert.rejects(
      startRelay(yaml({ certificate: localhost.certificate, key: stranger.key })),
      /is not the key of/,
    );
    await assert.rejects(
      startRelay(yaml({ certificate: 'nonsense', key: localhost.key })),
      /expected a certificate in PEM/,
    );
  });
});
