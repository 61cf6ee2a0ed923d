import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { TestCa } from './certificates.ts';
import type { Pair } from './certificates.ts';
import { COMMON, failureOf, files, next, user } from './chain.ts';
import { KINDS } from './engines.ts';
import { config, file, startRelay } from './fixture.ts';
import type { Fixture } from './fixture.ts';

for (const engine of KINDS)
  describe(`${engine}: connections to next hops that are used again`, () => {
    let ca: TestCa;
    let trust: string;
    let far: Pair;
    let first: Pair;
    let second: Pair;
    before(async () => {
      ca = await TestCa.create();
      trust = file(`${engine}-reuse-ca.pem`, ca.certificate);
      far = await ca.issue('127.0.0.1');
      [first, second] = [await ca.issue('localhost', 'first.example'), await ca.issue('localhost', 'second.example')];
    });

    /** The relay that dials: what it shows, and its setting. */
    const near = (own: Pair, check: boolean, verify = true): string => `
engine: ${engine}
workers: 2
listeners: [{uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}]
${COMMON.replace('msrp: {', `msrp: {cert_check_on_conn_reusage: ${check}, `)}
tls: {domains: {default: {${files(own)}, ca_list: ${trust}, verify_cert: ${verify}}}}
`;
    /** The next hop. */
    const beyond = (own: Pair, port = 0): string => `
engine: ${engine}
workers: 2
listeners: ["msrps:127.0.0.1:${port}"]
${COMMON.replace('msrp: {', 'msrp: {cert_check_on_conn_reusage: true, ')}
tls: {domains: {default: {${files(own)}, ca_list: ${trust}}}}
`;
    /** A client with a session at both: the near one needs a connection to the far one. */
    const through = (inside: Fixture, outside: Fixture): Promise<MsrpClient> =>
      MsrpClient.connect({ relay: [inside.uri, outside.uri], ...user, tls: { ca: ca.certificate } });
    const shown = ({ server }: Fixture): string[] =>
      server
        .connections()
        .flatMap(({ tls }) => tls?.peer?.altNames.filter((name) => name.endsWith('.example')) ?? [])
        .toSorted();

    it('cert_check_on_conn_reusage: after a reload with another certificate, another connection', async () => {
      await using outside = await startRelay(beyond(far));
      await using inside = await startRelay(near(first, true));
      await using one = await through(inside, outside);
      await using same = await through(inside, outside);
      assert.equal(inside.server.stats().dialled, 1);
      // One that has changed nothing is no other certificate.
      await inside.server.reload(config(near(first, true)));
      await using still = await through(inside, outside);
      assert.equal(inside.server.stats().dialled, 1);
      await inside.server.reload(config(near(second, true)));
      await using other = await through(inside, outside);
      assert.equal(inside.server.stats().dialled, 2);
      assert.deepEqual(shown(outside), ['first.example', 'second.example']);
      // Sessions of before go on over the connection of before, those of now share the new one.
      await using again = await through(inside, outside);
      const got = next(one);
      await again.send({ to: one.path, contentType: 'text/plain', body: 'still here', successReport: true });
      assert.equal((await got).text(), 'still here');
      assert.equal(inside.server.stats().dialled, 2);
      assert.ok(
        [same, still, other].every(({ closed }) => !closed),
        'nobody has lost a connection',
      );
    });

    it('without it the open connection is used, whatever it was made with', async () => {
      await using outside = await startRelay(beyond(far));
      await using inside = await startRelay(near(first, false));
      await using _one = await through(inside, outside);
      await inside.server.reload(config(near(second, false)));
      await using _other = await through(inside, outside);
      assert.equal(inside.server.stats().dialled, 1);
      assert.deepEqual(shown(outside), ['first.example']);
    });

    it('one whose certificate nobody has verified is not used where it must be', async () => {
      await using outside = await startRelay(beyond(far));
      await using inside = await startRelay(near(first, false, false));
      await using _one = await through(inside, outside);
      await inside.server.reload(config(near(first, false, true)));
      await using _other = await through(inside, outside);
      assert.equal(inside.server.stats().dialled, 2);
    });

    it('a next hop that comes back with another certificate is judged anew', async () => {
      await using inside = await startRelay(near(first, false));
      const before = await startRelay(beyond(far));
      const { port } = before.server.listeners[0] as { port: number };
      await using _one = await through(inside, before);
      await before.server.stop();
      {
        await using impostor = await startRelay(beyond(await ca.issue('elsewhere.example'), port));
        assert.equal((await failureOf(through(inside, impostor))).status, 408);
        assert.equal(inside.server.stats().handshakeFailures.name_mismatch, 1);
        assert.equal(impostor.server.sessions().length, 0);
      }
      await using back = await startRelay(beyond(await ca.issue('127.0.0.1'), port));
      await using _other = await through(inside, back);
      assert.equal(back.server.sessions().length, 1);
    });

    it('accepted connections are used as they are', async () => {
      await using outside = await startRelay(beyond(far));
      await using inside = await startRelay(near(first, true));
      await using alice = await through(inside, outside);
      await using bob = await MsrpClient.connect({ relay: outside.uri, ...user, tls: { ca: ca.certificate } });
      await outside.server.reload(config(beyond(await ca.issue('127.0.0.1', 'other.example'))));
      const got = next(alice);
      await bob.send({ to: alice.path, contentType: 'text/plain', body: 'inward', successReport: true });
      assert.equal((await got).text(), 'inward');
      assert.deepEqual([outside.server.stats().dialled, inside.server.stats().dialled], [0, 1]);
    });
  });
