import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import { within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import type { Pair } from '../listen/certificates.ts';
import { FarSide, Timers, answer, challenge, granted } from './scripted.ts';

describe('TLS of a client (R-010, C-130, C-131)', () => {
  let ca: TestCa;
  let localhost: Pair;
  let elsewhere: Pair;
  before(async () => {
    ca = await TestCa.create();
    localhost = await ca.issue('localhost');
    elsewhere = await ca.issue('elsewhere.example');
  });

  it('the certificate must be trusted and name the host of the URI', async () => {
    const other = await TestCa.create('another CA');
    for (const [pair, tls, good] of [
      [localhost, { ca: ca.certificate }, true],
      [localhost, {}, false],
      [localhost, { ca: other.certificate }, false],
      [elsewhere, { ca: ca.certificate }, false],
      [elsewhere, { ca: ca.certificate, serverName: 'elsewhere.example' }, true],
      [localhost, { ca: ca.certificate, serverName: 'elsewhere.example' }, false],
      [elsewhere, { verify: false }, true],
    ] as const) {
      using far = await FarSide.start({ cert: pair.certificate, key: pair.key });
      const client = MsrpClient.connect({ peer: `msrps://localhost:${far.port}/x;tcp`, tls });
      if (good) await (await client).close();
      else await assert.rejects(client, { code: 'E_CONNECT' });
    }
  });

  it('an AUTH over TLS; the own URI says msrps', async () => {
    using far = await FarSide.start({ cert: localhost.certificate, key: localhost.key });
    const relay = `msrps://localhost:${far.port};tcp`;
    const given = `msrps://localhost:${far.port}/9dK2mQ7xR4tY1zWb0Lp8;tcp`;
    const client = MsrpClient.connect({ relay, user: 'alice', password: 'wonderland', tls: { ca: ca.certificate } });
    const peer = await far.accept();
    const first = await peer.request('AUTH');
    assert.match(first.fromPath[0]!, /^msrps:/);
    peer.write(answer(first, '401 Unauthorized', [challenge('n1')]));
    const second = await peer.request('AUTH');
    peer.write(answer(second, '200 OK', granted(second, given, 900)));
    assert.deepEqual((await client).usePath, [given]);
  });

  it('a server that is no TLS server, or says nothing, fails the connection', async () => {
    using far = await FarSide.start();
    const garbage = MsrpClient.connect({ peer: `msrps://localhost:${far.port}/x;tcp` });
    const plain = await far.accept();
    plain.onRaw = () => undefined;
    plain.write('MSRP abcd 200\r\n');
    await assert.rejects(garbage, { code: 'E_CONNECT' });
    const timers = new Timers();
    const silent = MsrpClient.connect({
      peer: `msrps://localhost:${far.port}/x;tcp`,
      timeoutMs: 5000,
      environment: timers,
    });
    (await far.accept()).onRaw = () => undefined;
    timers.advance(5000);
    await assert.rejects(silent, { code: 'E_CONNECT', message: /no answer within 5000 ms/ });
  });

  it('two endpoints over TLS; a client that ends early leaves the listener whole', async () => {
    await using listener = await MsrpListener.listen({
      tls: { cert: localhost.certificate, key: localhost.key },
      maxConnections: 3,
    });
    // More than may be there at a time: each must be forgotten when it ends.
    for (let i = 0; i < 5; i++) {
      const socket = connect({
        host: 'localhost',
        port: Number(/:(\d+)\//.exec(listener.uri)?.[1]),
        ca: ca.certificate,
      });
      await once(socket, 'secureConnect');
      socket.destroy();
      await once(socket, 'close');
    }
    const peer = listener.uri.replace('127.0.0.1', 'localhost');
    const got = new Promise<string>((resolve) =>
      listener.on('session', (session) => session.on('message', (message) => resolve(message.text()))),
    );
    await using client = await MsrpClient.connect({ peer, tls: { ca: ca.certificate } });
    const result = await client.send({
      to: listener.uri,
      contentType: 'text/plain',
      body: 'hello',
      successReport: true,
    });
    assert.equal(result.confirmed, true);
    assert.equal(await within('the message', got), 'hello');
  });
});
