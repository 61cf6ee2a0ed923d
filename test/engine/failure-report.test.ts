import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Bench, ENGINES, frame, header, respondTo, send } from './harness.ts';
import type { Client, Peer } from './harness.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';

for (const { name, make } of ENGINES) {
  describe(`${name}: failures of a SEND (relay section 6.1)`, () => {
    let bench: Bench;
    let alice: Client;
    let bob: Peer;
    before(async () => {
      bench = await Bench.start(make);
      alice = await bench.client('alice', { exclusivePeer: false });
      bob = await bench.connect();
    });
    after(() => bench.stop());

    for (const [value, response, report] of [
      ['yes', true, true],
      ['YES', true, true],
      [undefined, true, true],
      ['partial', false, true],
      ['no', false, false],
    ] as const) {
      it(`Failure-Report ${value ?? 'absent'}: ${response ? '200' : 'no 200'}, ${report ? 'REPORT' : 'no REPORT'} when the next hop refuses`, async () => {
        const more = value === undefined ? [] : [`Failure-Report: ${value}`];
        bob.write(send('fr01', [alice.uri, alice.own], bobUri, 'hello', more));
        const got = await alice.peer.request('SEND');
        if (response) await bob.response(200);
        alice.peer.write(respondTo(got, 415));
        if (report) {
          const frame = await bob.request('REPORT');
          // paths as received, own URI of the session, Message-ID, range, status.
          assert.deepEqual(frame.toPath, [bobUri]);
          assert.deepEqual(frame.fromPath, [alice.uri]);
          assert.equal(header(frame, 'Message-ID'), 'mfr01');
          assert.equal(header(frame, 'Byte-Range'), '1-5/5');
          assert.equal(header(frame, 'Status'), '000 415 Unsupported Media Type');
        }
        // A second response is one to nothing.
        alice.peer.write(respondTo(got, 415));
        await alice.peer.quiet();
        await bob.quiet();
      });
    }

    it('R-061: a SEND without Byte-Range is reported from octet 1, with its real length', async () => {
      bob.write(
        frame(
          'nobr',
          'SEND',
          [alice.uri, alice.own],
          bobUri,
          ['Message-ID: mid4', 'Content-Type: text/plain'],
          'seven77',
        ),
      );
      const got = await alice.peer.request('SEND');
      await bob.response(200);
      alice.peer.write(respondTo(got, 500));
      assert.equal(header(await bob.request('REPORT'), 'Byte-Range'), '1-7/*');
    });

    it('R-060: a silent receiver is reported 408 after 30 s, once, and only for Failure-Report yes', async () => {
      for (const value of ['yes', 'partial', 'no']) {
        bob.write(send(`snd-${value}`, [alice.uri, alice.own], bobUri, 'hello', [`Failure-Report: ${value}`]));
        await alice.peer.request('SEND');
      }
      await bob.response(200);
      bench.clock.advance(29_000);
      await bob.quiet();
      bench.clock.advance(2500);
      const report = await bob.request('REPORT');
      assert.equal(header(report, 'Message-ID'), 'msnd-yes');
      assert.equal(header(report, 'Status'), '000 408 Timeout');
      bench.clock.advance(60_000);
      await bob.quiet();
      assert.equal(bench.engine.stats().transactions, 0);
      assert.equal(bench.engine.stats().timeouts, 1);
    });

    it('D-44: an AUTH without an answer gets 408, other methods are forgotten', async () => {
      bob.write(frame('frob', 'FROB', [alice.uri, alice.own], bobUri));
      await alice.peer.request('FROB');
      bob.write(frame('auth', 'AUTH', [alice.uri, alice.own], bobUri));
      await alice.peer.request('AUTH');
      bench.clock.advance(31_000);
      assert.equal((await bob.response(408)).tid, 'auth');
      await bob.quiet();
      assert.equal(bench.engine.stats().transactions, 0);
    });

    it('R-062: the next hop goes away: REPORT 408 for all that it has not answered', async () => {
      const carol = await bench.client('carol', { exclusivePeer: false });
      bob.write(send('lost1', [carol.uri, carol.own], bobUri) + send('lost2', [carol.uri, carol.own], bobUri));
      await bob.response(200);
      await bob.response(200);
      await carol.peer.request('SEND');
      carol.peer.reset();
      for (const id of ['mlost1', 'mlost2']) {
        const report = await bob.request('REPORT');
        assert.equal(header(report, 'Message-ID'), id);
        assert.equal(header(report, 'Status'), '000 408 Timeout');
      }
      assert.equal((await bench.event('sessionClosed')).reason, 'connection_closed');
      bob.write(send('after', [carol.uri, carol.own], bobUri));
      await bob.response(481);
    });

    it('the asker goes away: what comes back for it is dropped', async () => {
      const dave = await bench.connect();
      dave.write(send('gone', [alice.uri, alice.own], bobUri) + frame('frob', 'FROB', [alice.uri, alice.own], bobUri));
      const first = await alice.peer.request('SEND');
      const second = await alice.peer.request('FROB');
      dave.destroy();
      await bench.event('closed', ({ connection }) => connection === dave.connection);
      alice.peer.write(respondTo(first, 400) + respondTo(second, 200));
      await alice.peer.quiet();
      assert.equal(bench.engine.stats().transactions, 0);
    });

    it('authRejected: a forwarded AUTH with credentials that comes back 401 without stale (R-037)', async () => {
      for (const [credentials, stale, told] of [
        [true, false, true],
        [true, true, false],
        [false, false, false],
      ] as const) {
        bob.write(
          frame('auth', 'AUTH', [alice.uri, alice.own], bobUri, credentials ? ['Authorization: Digest a=b'] : []),
        );
        const got = await alice.peer.request('AUTH');
        const challenge = `WWW-Authenticate: Digest realm="x", nonce="y", qop="auth"${stale ? ', stale=true' : ''}`;
        alice.peer.write(frame(got.tid, '401 no', got.fromPath, alice.own, [challenge]));
        await bob.response(401);
        if (told) {
          assert.equal((await bench.event('authRejected')).connection, bob.connection);
          continue;
        }
        // What an engine tells of one connection comes in order: this one would be behind it.
        bob.write(frame('frob', 'FROB', `msrp://127.0.0.1:${bench.port};tcp`, bobUri));
        const { request } = await bench.event('request');
        assert.equal(bench.events.filter(({ type }) => type === 'authRejected').length, 0);
        bench.engine.answer(request, { status: 501, comment: '', headers: [] });
        await bob.response(501);
      }
    });
  });
}
