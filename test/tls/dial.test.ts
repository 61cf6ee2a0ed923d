import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import type { TlsDomain, TlsServerSpec } from '../../src/engine/engine.ts';
import type { Pair } from '../listen/certificates.ts';
import { ENGINES, TEST_LIMITS, until } from '../engine/harness.ts';
import { TlsBench, ca, domain, failureOf, issue, stranger, untilLater } from './harness.ts';

for (const { name, make } of ENGINES) {
  describe(`${name}: TLS, dialled`, () => {
    let own: Pair;
    let good: Pair;
    let old: Pair;
    let gone: Pair;
    let foreign: Pair;
    let crl: string;
    before(async () => {
      own = await issue({ names: ['us.example'] });
      good = await issue({ names: ['peer.example', '127.0.0.1'] });
      old = await issue({ names: ['peer.example'], daysLeft: -1 });
      gone = await issue({ names: ['peer.example'] });
      foreign = await issue({ names: ['peer.example'] }, stranger);
      crl = await ca.revoke(gone);
    });

    const withBench = async (spec: TlsServerSpec, run: (bench: TlsBench) => Promise<void>): Promise<void> => {
      const bench = await TlsBench.listen(make, spec, { ...TEST_LIMITS, tlsHandshakeTimeoutMs: 5000 });
      try {
        await run(bench);
      } finally {
        await bench.stop();
      }
    };
    /** What dialling its own TLS listener comes to. */
    const dialled = async (bench: TlsBench, with_: TlsDomain, host = 'peer.example'): Promise<string> => {
      await bench.dial(with_, host, bench.tlsPort);
      const event = await bench.outcome('out');
      if (event.type === 'opened') return `${event.tls?.domain} ${String(event.tls?.peer?.verified)}`;
      assert.ok(event.detail?.startsWith(`${event.handshake}: 127.0.0.1 ${bench.tlsPort}: `), event.detail);
      assert.equal(event.tlsDomain, with_.name);
      return `${event.reason} ${event.handshake}`;
    };

    it('R-091: the certificate must verify and carry the name', () =>
      withBench(
        {
          byName: [
            { pattern: 'old.example', domain: domain('old', [old]) },
            { pattern: 'gone.example', domain: domain('gone', [gone]) },
            { pattern: 'foreign.example', domain: domain('foreign', [foreign]) },
          ],
          fallback: domain('default', [good]),
        },
        async (bench) => {
          const client = domain('client', [], { crl });
          assert.equal(await dialled(bench, client), 'client true');
          assert.equal(await dialled(bench, client, '127.0.0.1'), 'client true');
          // Nothing of the first is taken up again by the second.
          for (const maxVersion of ['TLSv1.2', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3'] as const) {
            const one = domain('client', [], { crl, maxVersion });
            for (let i = 0; i < 2; i++)
              assert.equal(await dialled(bench, one, 'other.example'), 'tls_handshake_failed name_mismatch');
          }
          assert.equal(await dialled(bench, client, 'old.example'), 'tls_handshake_failed certificate_expired');
          assert.equal(await dialled(bench, client, 'gone.example'), 'tls_handshake_failed certificate_revoked');
          assert.equal(await dialled(bench, client, 'foreign.example'), 'tls_handshake_failed unknown_ca');
          const lax = domain('lax', [], { verifyCert: false });
          assert.equal(await dialled(bench, lax, 'foreign.example'), 'lax false');
          const { handshakeFailures } = bench.engine.stats();
          assert.deepEqual(
            [handshakeFailures.name_mismatch, handshakeFailures.certificate_revoked, handshakeFailures.unknown_ca],
            [8, 1, 1],
          );
        },
      ));

    it('shows its own certificate where one is asked for', () =>
      withBench({ byName: [], fallback: domain('default', [good], { requireCert: true }) }, async (bench) => {
        assert.equal(await dialled(bench, domain('client', [own])), 'client true');
        const accepted = await bench.outcome('in');
        assert.ok(accepted.type === 'opened');
        assert.deepEqual(accepted.tls?.peer?.altNames, ['us.example']);
        await bench.dial(domain('bare', []), 'peer.example', bench.tlsPort);
        assert.equal(failureOf(await bench.outcome('in')), 'no_certificate');
      }));

    it('takes a session of before up again', () =>
      withBench({ byName: [], fallback: domain('default', [good]) }, async (bench) => {
        const client = domain('client', [own]);
        const once = async (): Promise<boolean> => {
          await bench.dial(client, 'peer.example', bench.tlsPort);
          const [out, accepted] = [await bench.outcome('out'), await bench.outcome('in')];
          assert.ok(out.type === 'opened' && accepted.type === 'opened');
          assert.deepEqual([out.tls?.peer?.verified, accepted.tls?.peer?.verified], [true, true]);
          assert.equal(out.tls?.resumed, accepted.tls?.resumed);
          return out.tls?.resumed === true;
        };
        assert.equal(await once(), false);
        // A ticket of TLS 1.3 comes some time behind the handshake.
        let resumed = false;
        for (let i = 0; i < 20 && !resumed; i++) resumed = await once();
        assert.ok(resumed);
      }));

    it('a peer that says nothing has the time of a handshake; one that is no TLS fails at once', () =>
      withBench({ byName: [], fallback: domain('default', [good]) }, async (bench) => {
        let accepted = 0;
        const silent = createServer((socket) => {
          accepted++;
          socket.on('error', () => undefined);
        });
        await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
        await bench.dial(domain('client', []), 'peer.example', (silent.address() as AddressInfo).port);
        await until('the dial', () => accepted === 1);
        // Accepted there is not connected here yet.
        await untilLater('the timeout', bench.clock, 1000, () => bench.engine.stats().handshakeFailures.timeout === 1);
        const late = await bench.outcome('out');
        assert.ok(late.type === 'closed');
        assert.deepEqual([late.reason, late.handshake], ['tls_handshake_timeout', 'timeout']);
        silent.close();
        const plain = await bench.target();
        await bench.dial(domain('client', []), 'peer.example', plain.port);
        const peer = await plain.accept();
        peer.onRaw = () => undefined;
        peer.write('MSRP 1234 200 OK\r\nTo-Path: msrp://x:1/x;tcp\r\n');
        assert.equal(failureOf(await bench.outcome('out')), 'protocol');
      }));
  });
}
