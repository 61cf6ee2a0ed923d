import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { TlsServerSpec } from '../../src/engine/engine.ts';
import type { Pair } from '../listen/certificates.ts';
import { ENGINES, TEST_LIMITS, until } from '../engine/harness.ts';
import {
  Openssl,
  TlsBench,
  ca,
  caFile,
  domain,
  failureOf,
  filled,
  folder,
  issue,
  protocolOf,
  stranger,
} from './harness.ts';

/** Files of sessions: one for each. */
let sessions = 0;

type Own = Pair & { readonly path: string };

for (const { name, make } of ENGINES) {
  describe(`${name}: TLS, accepted (openssl s_client)`, () => {
    let ec: Own;
    let rsa: Own;
    let good: Own;
    let expired: Own;
    let revoked: Own;
    let foreign: Own;
    let crl: string;
    before(async () => {
      [ec, rsa] = [await issue({ names: ['relay.example'] }), await issue({ names: ['relay.example'], kind: 'rsa' })];
      good = await issue({ names: ['peer.example', '192.0.2.7'] });
      expired = await issue({ names: ['peer.example'], daysLeft: -1 });
      revoked = await issue({ names: ['peer.example'] });
      foreign = await issue({ names: ['peer.example'] }, stranger);
      crl = await ca.revoke(revoked);
    });

    const withBench = async (
      spec: TlsServerSpec,
      run: (bench: TlsBench) => Promise<void>,
      limits: Parameters<typeof TlsBench.listen>[2] = {},
    ): Promise<void> => {
      const bench = await TlsBench.listen(make, spec, limits);
      try {
        await run(bench);
      } finally {
        await bench.stop();
      }
    };

    it('versions: TLS 1.2 and 1.3, nothing older; each domain has its own', () =>
      withBench(
        {
          byName: [{ pattern: 'new.example', domain: domain('new', [ec], { minVersion: 'TLSv1.3' }) }],
          fallback: domain('both', [ec]),
        },
        async (bench) => {
          assert.equal(protocolOf(await bench.handshake('-tls1_3')), 'TLSv1.3');
          assert.equal(protocolOf(await bench.handshake('-tls1_2')), 'TLSv1.2');
          const old = await bench.handshake('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
          assert.ok(old.type === 'closed');
          assert.deepEqual([old.reason, old.handshake], ['tls_handshake_failed', 'version']);
          assert.match(old.detail ?? '', /^version: /);
          const only = await bench.handshake('-tls1_2', '-servername', 'new.example');
          assert.ok(only.type === 'closed');
          assert.deepEqual([only.handshake, only.tlsDomain], ['version', 'new']);
          assert.equal(protocolOf(await bench.handshake('-servername', 'new.example')), 'TLSv1.3');
          const stats = bench.engine.stats();
          assert.deepEqual([stats.handshakeFailures.version, stats.closes.tls_handshake_failed], [2, 2]);
          assert.equal(stats.handshakes, 0);
        },
      ));

    it('SNI: an exact name, a wildcard of one label, else the fallback, else unrecognized_name', () =>
      withBench(
        {
          byName: [
            { pattern: '*.example', domain: domain('wild', [ec]) },
            { pattern: 'relay.example', domain: domain('exact', [ec]) },
          ],
          fallback: domain('fallback', [rsa]),
        },
        async (bench) => {
          const served = async (...args: string[]): Promise<string | undefined> => {
            const event = await bench.handshake(...args);
            return event.type === 'opened' ? event.tls?.domain : event.handshake;
          };
          assert.equal(await served('-servername', 'Relay.Example'), 'exact');
          assert.equal(await served('-servername', 'other.example'), 'wild');
          assert.equal(await served('-servername', 'a.other.example'), 'fallback');
          assert.equal(await served('-noservername'), 'fallback');
          const named = await bench.handshake('-servername', 'relay.example');
          assert.ok(named.type === 'opened');
          assert.equal(named.tls?.serverName, 'relay.example');
          bench.engine.updateTls(bench.listener, {
            byName: [{ pattern: 'only.example', domain: domain('only', [ec]) }],
          });
          assert.equal(await served('-servername', 'only.example'), 'only');
          assert.equal(await served('-noservername'), 'unrecognized_name');
          const client = new Openssl('s_client', '-connect', `127.0.0.1:${bench.tlsPort}`, '-servername', 'x.example');
          assert.equal(failureOf(await bench.outcome('in')), 'unrecognized_name');
          await client.says(/unrecognized name/);
          await client.end();
        },
      ));

    it('RSA and ECDSA in one domain; suites by name; none in common is no_shared_cipher', () =>
      withBench(
        {
          byName: [{ pattern: 'ec.example', domain: domain('ec', [ec]) }],
          fallback: domain('both', [rsa, ec], { ciphers: ['TLS_AES_128_GCM_SHA256', ...SUITES] }),
        },
        async (bench) => {
          for (const suite of SUITES) {
            const event = await bench.handshake('-tls1_2', '-cipher', suite);
            assert.ok(event.type === 'opened');
            assert.equal(event.tls?.cipher, suite);
          }
          const tls13 = await bench.handshake('-tls1_3');
          assert.ok(tls13.type === 'opened');
          assert.equal(tls13.tls?.cipher, 'TLS_AES_128_GCM_SHA256');
          const none = await bench.handshake('-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256');
          assert.equal(failureOf(none), 'no_shared_cipher');
          const wrongKind = ['-tls1_2', '-cipher', SUITES[1] as string, '-servername', 'ec.example'];
          assert.equal(failureOf(await bench.handshake(...wrongKind)), 'no_shared_cipher');
        },
      ));

    it('R-040: client certificates as verify_cert and require_cert say', () =>
      withBench(
        {
          byName: [
            { pattern: 'strict.example', domain: domain('strict', [ec], { requireCert: true, crl }) },
            { pattern: 'lax.example', domain: domain('lax', [ec], { verifyCert: false }) },
            { pattern: 'some.example', domain: domain('some', [ec], { verifyCert: false, requireCert: true }) },
          ],
          fallback: domain('default', [ec], { crl }),
        },
        async (bench) => {
          for (const version of ['-tls1_2', '-tls1_3']) {
            const to = async (host: string, own?: Own): Promise<string> => {
              const event = await bench.handshake(
                version,
                ...['-servername', `${host}.example`],
                ...(own === undefined ? [] : ['-cert', own.path]),
              );
              if (event.type === 'closed') return String(event.handshake);
              const { peer } = event.tls as NonNullable<typeof event.tls>;
              return peer === undefined ? 'none' : peer.verified ? 'verified' : 'not verified';
            };
            assert.equal(await to('default'), 'none');
            assert.equal(await to('default', good), 'verified');
            assert.equal(await to('default', foreign), 'unknown_ca');
            assert.equal(await to('default', expired), 'certificate_expired');
            assert.equal(await to('default', revoked), 'certificate_revoked');
            assert.equal(await to('strict'), 'no_certificate');
            assert.equal(await to('strict', good), 'verified');
            assert.equal(await to('strict', revoked), 'certificate_revoked');
            assert.equal(await to('lax', good), 'verified');
            assert.equal(await to('lax', foreign), 'not verified');
            assert.equal(await to('lax', expired), 'not verified');
            assert.equal(await to('some'), 'no_certificate');
            assert.equal(await to('some', foreign), 'not verified');
          }
          const shown = await bench.handshake('-cert', good.path);
          assert.ok(shown.type === 'opened');
          assert.deepEqual(shown.tls?.peer, {
            verified: true,
            altNames: ['peer.example', '192.0.2.7'],
            subject: 'CN=peer.example',
            issuer: 'CN=test CA',
          });
        },
      ));

    it('sessions are taken up again, with the certificate of before; not where the trust has changed', () =>
      withBench({ byName: [], fallback: domain('default', [ec]) }, async (bench) => {
        for (const version of ['-tls1_2', '-tls1_3']) {
          bench.engine.updateTls(bench.listener, { byName: [], fallback: domain('default', [ec]) });
          const path = join(folder, `session${++sessions}.pem`);
          const first = new Openssl(
            ...['s_client', '-connect', `127.0.0.1:${bench.tlsPort}`, version],
            ...['-cert', good.path, '-sess_out', path],
          );
          const opened = await bench.outcome('in');
          assert.ok(opened.type === 'opened');
          assert.equal(opened.tls?.resumed, false);
          await filled(path, bench.clock);
          await first.end();
          await bench.event('closed', ({ connection }) => connection === opened.connection);
          const again = async (): Promise<string> => {
            const event = await bench.handshake(version, '-sess_in', path, '-cert', good.path);
            if (event.type === 'closed') return String(event.handshake);
            return `${String(event.tls?.resumed)} ${event.tls?.peer?.altNames[0] ?? ''} ${String(event.tls?.peer?.verified)}`;
          };
          assert.equal(await again(), 'true peer.example true', version);
          // A reload with another certificate takes no ticket away.
          bench.engine.updateTls(bench.listener, { byName: [], fallback: domain('default', [rsa, ec]) });
          assert.equal(await again(), 'true peer.example true', version);
          const other = domain('default', [ec], { requireCert: true, crl: await ca.revoke(good) });
          bench.engine.updateTls(bench.listener, { byName: [], fallback: other });
          assert.equal(await again(), 'certificate_revoked', version);
        }
      }));

    it('garbage is no handshake; alerts and hang-ups of the peer are told apart', () =>
      withBench({ byName: [], fallback: domain('default', [ec]) }, async (bench) => {
        const speak = async (bytes: Buffer | string, end = false): Promise<string | undefined> => {
          const socket = connect({ host: '127.0.0.1', port: bench.tlsPort });
          socket.on('error', () => undefined);
          if (end) socket.end(bytes);
          else socket.write(bytes);
          const event = await bench.outcome('in');
          socket.destroy();
          return failureOf(event);
        };
        assert.equal(await speak('GET / HTTP/1.1\r\n\r\n'), 'protocol');
        assert.equal(await speak('MSRP a786hjs2 AUTH\r\n'), 'protocol');
        assert.equal(await speak(randomBytes(400).fill(0x80, 0, 1)), 'protocol');
        assert.equal(await speak(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0])), 'protocol');
        assert.equal(await speak(Buffer.from([22, 3, 1, 2, 0, 1, 0]), true), 'closed');
        assert.equal(await speak('', true), 'closed');
        // openssl does not trust the relay, and says so.
        const refusing = await bench.handshake(
          '-tls1_2',
          '-verify_return_error',
          '-verify',
          '1',
          '-no-CApath',
          '-no-CAstore',
        );
        assert.equal(failureOf(refusing), 'peer_alert');
        const trusting = await bench.handshake('-CAfile', caFile, '-verify_return_error', '-verify', '1');
        assert.equal(trusting.type, 'opened');
      }));

    it('200 half handshakes hold nobody up, end in their time, and have a bound', () =>
      withBench(
        { byName: [], fallback: domain('default', [ec]) },
        async (bench) => {
          const sockets: Socket[] = [];
          try {
            for (let i = 0; i < 200; i++) {
              const socket = connect({ host: '127.0.0.1', port: bench.tlsPort });
              socket.on('error', () => undefined);
              // Nothing at all, or the beginning of a ClientHello.
              if (i % 2 === 0) socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
              sockets.push(socket);
            }
            await underWay(bench, 200);
            assert.equal(protocolOf(await bench.handshake('-tls1_3')), 'TLSv1.3');
            bench.engine.setLimits({ ...LIMITS, maxHandshakes: 200, tlsHandshakeTimeoutMs: 5000 });
            const over = await bench.handshake('-tls1_3');
            assert.ok(over.type === 'closed');
            assert.deepEqual([over.reason, over.handshake], ['max_handshakes', 'max_handshakes']);
            bench.clock.advance(6000);
            await underWay(bench, 0);
            const { handshakeFailures, closes } = bench.engine.stats();
            assert.deepEqual([handshakeFailures.timeout, closes.tls_handshake_timeout], [200, 200]);
            assert.deepEqual([handshakeFailures.max_handshakes, closes.max_handshakes], [1, 1]);
            assert.equal((await bench.event('closed')).handshake, 'timeout');
          } finally {
            for (const socket of sockets) socket.destroy();
          }
        },
        LIMITS,
      ));
  });
}

const SUITES = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
] as const;

const LIMITS = { ...TEST_LIMITS, tlsHandshakeTimeoutMs: 5000 };

function underWay(bench: TlsBench, count: number): Promise<void> {
  return until(`${count} handshakes`, () => bench.engine.stats().handshakes === count);
}
