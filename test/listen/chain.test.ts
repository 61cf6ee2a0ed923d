import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { HandshakeFailure } from '../../src/engine/engine.ts';
import { TestCa } from './certificates.ts';
import type { Pair } from './certificates.ts';
import { COMMON, failureOf, files, next, told, user } from './chain.ts';
import { KINDS } from './engines.ts';
import { file, startRelay } from './fixture.ts';
import type { Fixture } from './fixture.ts';

/** A client's own relay, and the one behind it, which asks for a certificate. Both are on loopback, by different names. */
const INNER = 'localhost';
const OUTER = '127.0.0.1';

for (const inner of KINDS)
  for (const outer of KINDS)
    describe(`a chain of relays over TLS: ${inner}, then ${outer} (relay R-030, R-090…R-092)`, () => {
      let ca: TestCa;
      let stranger: TestCa;
      let innerOwn: Pair;
      let outerOwn: Pair;
      let revoked: Pair;
      let trust: string;
      let lists: string;
      before(async () => {
        [ca, stranger] = [await TestCa.create(), await TestCa.create('another CA')];
        [innerOwn, outerOwn] = [await ca.issue(INNER), await ca.issue(OUTER)];
        revoked = await ca.issue(INNER);
        trust = file(`${inner}-${outer}-ca.pem`, ca.certificate);
        lists = join(dirname(trust), `${inner}-${outer}-lists`);
        mkdirSync(lists);
        writeFileSync(join(lists, 'list.pem'), await ca.revoke(revoked));
      });

      /** The outer relay: one listener for relays, which must prove themselves, one for clients. */
      const startOuter = (own = outerOwn): Promise<Fixture> =>
        startRelay(`
engine: ${outer}
workers: 2
listeners: [{uri: "msrps:${OUTER}:0", tls_domain: relays}, {uri: "msrps:${OUTER}:0", tls_domain: clients}]
${COMMON}
tls:
  domains:
    relays: {type: server, ${files(own)}, ca_list: ${trust}, crl_dir: ${lists}, require_cert: true}
    clients: {${files(own)}, ca_list: ${trust}}
`);
      /** The inner relay, and what it shows when it dials. */
      const startInner = (dialsWith: Pair | undefined): Promise<Fixture> =>
        startRelay(`
engine: ${inner}
workers: 2
listeners: [{uri: "msrps:127.0.0.1:0", advertise: "${INNER}:0"}]
${COMMON}
tls:
  domains:
    default: {type: server, ${files(innerOwn)}, ca_list: ${trust}}
    dial: {type: client, ${dialsWith === undefined ? '' : `${files(dialsWith)}, `}ca_list: ${trust}}
`);
      const connect = (...relays: (string | undefined)[]): Promise<MsrpClient> =>
        MsrpClient.connect({ relay: relays as string[], ...user, tls: { ca: ca.certificate } });

      it('mutual TLS: messages, chunks and REPORTs both ways, over one connection', async () => {
        await using outside = await startOuter();
        await using inside = await startInner(innerOwn);
        await using alice = await connect(inside.uri, outside.uri);
        await using bob = await connect(outside.server.listeners[1]?.uri);
        assert.deepEqual(alice.usePath.map(hostOf), [INNER, OUTER]);
        assert.equal(outside.server.sessions().find(({ relay }) => relay !== undefined)?.relay, INNER);
        const body = randomBytes(1_000_000);
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const small = next(to);
          await from.send({ to: to.path, contentType: 'text/plain', body: 'hello', successReport: true });
          assert.equal((await small).text(), 'hello');
          const large = next(to);
          const sent = await from.send({
            to: to.path,
            contentType: 'a/b',
            body,
            chunkBytes: 16_384,
            successReport: true,
          });
          assert.deepEqual([sent.octets, sent.confirmed], [body.length, true]);
          assert.ok((await large).body?.equals(body) === true, 'octet for octet');
        }
        // One more session over the same connection: it stands for the relay, not for the client.
        await using carol = await connect(inside.uri, outside.uri);
        const got = next(carol);
        await bob.send({ to: carol.path, contentType: 'text/plain', body: 'you too', successReport: true });
        assert.equal((await got).text(), 'you too');
        assert.deepEqual([inside.server.stats().dialled, outside.server.stats().dialled], [1, 0]);
        const between = inside.server.connections().find(({ direction }) => direction === 'out');
        assert.equal(between?.tls?.peer?.verified, true);
        // A REPORT of failure comes back through both.
        await bob.close();
        const { code, status } = await failureOf(
          alice.send({ to: bob.path, contentType: 'text/plain', body: 'gone', successReport: true }),
        );
        assert.deepEqual([code, status], ['E_REFUSED', 481]);
      });

      it('a relay that shows no good certificate is refused, and both say why', async () => {
        const cases: [HandshakeFailure, Pair | undefined][] = [
          ['no_certificate', undefined],
          ['unknown_ca', await stranger.issue(INNER)],
          ['certificate_expired', await ca.issueWith({ names: [INNER], daysLeft: -1 })],
          ['certificate_revoked', revoked],
        ];
        for (const [failure, shown] of cases) {
          await using outside = await startOuter();
          await using inside = await startInner(shown);
          assert.equal((await failureOf(connect(inside.uri, outside.uri))).status, 408, failure);
          assert.equal(outside.server.stats().handshakeFailures[failure], 1, failure);
          const line = await told(outside, ({ handshake }) => handshake === failure);
          assert.deepEqual(
            [line['direction'], line['address'], line['tlsDomain'], line['msg']],
            ['in', '127.0.0.1', 'relays', 'TLS handshake failed'],
          );
          assert.equal(outside.server.sessions().length, 0);
        }
      });

      it('R-030: a good certificate of another host is no proof', async () => {
        await using outside = await startOuter();
        await using inside = await startInner(await ca.issue('elsewhere.example'));
        assert.equal((await failureOf(connect(inside.uri, outside.uri))).status, 403);
        const line = await told(outside, ({ msg }) => msg === 'AUTH refused');
        assert.deepEqual(
          [line['status'], line['cause'], line['certificate']],
          [403, 'certificate of another host', ['elsewhere.example']],
        );
        assert.equal(outside.server.stats().responses['403'], 1);
        assert.equal(outside.server.sessions().length, 0);
      });

      it('R-091: the next relay must prove itself, too', async () => {
        const cases: [HandshakeFailure, Pair][] = [
          ['name_mismatch', await ca.issue('elsewhere.example')],
          ['unknown_ca', await stranger.issue(OUTER)],
          ['certificate_expired', await ca.issueWith({ names: [OUTER], daysLeft: -1 })],
        ];
        for (const [failure, own] of cases) {
          await using outside = await startOuter(own);
          await using inside = await startInner(innerOwn);
          assert.equal((await failureOf(connect(inside.uri, outside.uri))).status, 408, failure);
          assert.equal(inside.server.stats().handshakeFailures[failure], 1, failure);
          const line = await told(inside, ({ handshake }) => handshake === failure);
          assert.deepEqual([line['direction'], line['tlsDomain']], ['out', 'dial']);
          assert.equal(outside.server.sessions().length, 0);
        }
      });
    });

function hostOf(uri: string): string | undefined {
  return /^msrps:\/\/([^:/]+):\d+\//.exec(uri)?.[1];
}
