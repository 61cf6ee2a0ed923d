import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { TlsDomain } from '../../src/engine/engine.ts';
import { Bench, ENGINES, frame, freePort, header, respondTo, send } from './harness.ts';
import type { Client } from './harness.ts';

for (const { name, make } of ENGINES) {
  describe(`${name}: next hops`, () => {
    let bench: Bench;
    let alice: Client;
    beforeEach(async () => {
      bench = await Bench.start(make);
      alice = await bench.client('alice');
    });
    afterEach(() => bench.stop());

    const loopback = (port: number): { address: string; port: number }[] => [{ address: '127.0.0.1', port }];

    it('an unknown next hop is asked for; what is sent meanwhile goes out in order', async () => {
      const target = await bench.target();
      for (let i = 0; i < 20; i++) alice.peer.write(send(`early${i}`, [alice.uri, target.uri], alice.own, `body ${i}`));
      const hop = await bench.event('hop');
      assert.deepEqual([hop.uri, hop.session, hop.pathLength, hop.method], [target.uri, alice.session, 1, 'SEND']);
      for (let i = 0; i < 20; i++) await alice.peer.response(200);
      bench.engine.connectHop(hop.hop, { key: 'k', candidates: loopback(target.port), timeoutMs: 5000 });
      const peer = await target.accept();
      for (let i = 0; i < 20; i++) {
        const got = await peer.request('SEND');
        assert.equal(got.body?.toString(), `body ${i}`);
        assert.deepEqual(got.fromPath, [alice.uri, alice.own]);
        peer.write(respondTo(got, 200));
      }
      alice.peer.write(send('late', [alice.uri, target.uri], alice.own, 'late'));
      assert.equal((await peer.request('SEND')).body?.toString(), 'late');
      assert.equal(bench.events.filter(({ type }) => type === 'hop').length, 0);
      // The peer answers over the same connection.
      peer.write(send('answer', [alice.uri, alice.own], target.uri, 'answer'));
      await alice.peer.response(200);
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'answer');
      await peer.response(200);
    });

    it('core section 7: candidates are tried in order', async () => {
      const target = await bench.target();
      const port = await freePort();
      alice.peer.write(send('cand', [alice.uri, target.uri], alice.own));
      const hop = await bench.event('hop');
      bench.engine.connectHop(hop.hop, {
        key: 'k',
        candidates: [...loopback(port), ...loopback(target.port)],
        timeoutMs: 5000,
      });
      await (await target.accept()).request('SEND');
    });

    it('R-062: nobody can be reached: REPORT 408 for a SEND, 408 for another request, and the next SEND asks again', async () => {
      const port = await freePort();
      const uri = `msrp://127.0.0.1:${port}/x;tcp`;
      alice.peer.write(send('unre', [alice.uri, uri], alice.own) + frame('auth', 'AUTH', [alice.uri, uri], alice.own));
      await alice.peer.response(200);
      const hop = await bench.event('hop');
      bench.engine.connectHop(hop.hop, { key: 'k', candidates: loopback(port), timeoutMs: 5000 });
      assert.equal(header(await alice.peer.request('REPORT'), 'Status'), '000 408 Timeout');
      assert.equal((await alice.peer.response(408)).tid, 'auth');
      assert.equal((await bench.event('closed')).reason, 'connect_failed');
      alice.peer.write(send('unr2', [alice.uri, uri], alice.own));
      await alice.peer.response(200);
      bench.engine.refuseHop((await bench.event('hop')).hop, 403);
      assert.equal(header(await alice.peer.request('REPORT'), 'Status'), '000 403 Forbidden');
      assert.equal(bench.engine.stats().transactions, 0);
    });

    it('two sessions with the same key share one connection, merged while frames wait', async () => {
      const bob = await bench.client('bob');
      const target = await bench.target();
      const other = target.uri.replace('target', 'other1');
      alice.peer.write(send('one1', [alice.uri, target.uri], alice.own, 'from alice'));
      const first = await bench.event('hop');
      bench.engine.connectHop(first.hop, { key: 'same', candidates: loopback(target.port), timeoutMs: 5000 });
      const peer = await target.accept();
      const one = await peer.request('SEND');
      bob.peer.write(
        send('two1', [bob.uri, other], bob.own, 'from bob') + send('two2', [bob.uri, other], bob.own, 'again'),
      );
      const second = await bench.event('hop');
      assert.equal(second.session, bob.session);
      await bob.peer.response(200);
      bench.engine.connectHop(second.hop, { key: 'same', candidates: loopback(target.port), timeoutMs: 5000 });
      const two = await peer.request('SEND');
      assert.equal(two.body?.toString(), 'from bob');
      assert.equal((await peer.request('SEND')).body?.toString(), 'again');
      assert.equal((await bench.event('closed')).reason, 'merged');
      // Transactions have moved along: a refusal still finds its sender.
      peer.write(respondTo(two, 403) + respondTo(one, 413));
      await bob.peer.response(200);
      assert.equal(header(await bob.peer.request('REPORT'), 'Message-ID'), 'mtwo1');
      await alice.peer.response(200);
      assert.equal(header(await alice.peer.request('REPORT'), 'Status'), '000 413 Message Too Large');
      bob.peer.write(send('two3', [bob.uri, other], bob.own, 'third'));
      assert.equal((await peer.request('SEND')).body?.toString(), 'third');
      assert.equal(bench.engine.connections().filter(({ direction }) => direction === 'out').length, 1);
    });

    it('no decision for a minute is a refusal', async () => {
      // Otherwise the SEND is given up before.
      bench.engine.setLimits({ ...bench.limits, transactionMs: 300_000 });
      alice.peer.write(send('wait', [alice.uri, 'msrp://nowhere.example:1/x;tcp'], alice.own));
      await alice.peer.response(200);
      await bench.event('hop');
      bench.clock.advance(59_000);
      await alice.peer.quiet();
      bench.clock.advance(3000);
      assert.equal(header(await alice.peer.request('REPORT'), 'Status'), '000 408 Timeout');
      assert.equal((await bench.event('closed')).reason, 'hop_refused');
    });

    it('a dial that nobody answers ends in its time', async () => {
      alice.peer.write(send('dead', [alice.uri, 'msrp://192.0.2.1:1/x;tcp'], alice.own));
      await alice.peer.response(200);
      const hop = await bench.event('hop');
      // A listener that accepts and never says a word of TLS.
      const silent = await bench.target();
      const domain: TlsDomain = {
        name: 'x',
        identities: [],
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.3',
        verifyCert: false,
        requireCert: false,
      };
      const tls = { serverName: 'x', domain };
      bench.engine.connectHop(hop.hop, { key: 'k', candidates: loopback(silent.port), timeoutMs: 5000, tls });
      (await silent.accept()).onRaw = () => undefined;
      bench.clock.advance(4000);
      await alice.peer.quiet();
      bench.clock.advance(1500);
      assert.equal((await bench.event('closed')).reason, 'connect_timeout');
      assert.equal(header(await alice.peer.request('REPORT'), 'Status'), '000 408 Timeout');
    });

    it('one session may have so many next hops open, and not more', async () => {
      for (let i = 0; i < 20; i++)
        alice.peer.write(send(`hop${i}x`, [alice.uri, `msrp://h${i}.example:1/x;tcp`], alice.own));
      let refused = 0;
      for (let i = 0; i < 20; i++) {
        const answer = await alice.peer.next();
        assert.equal(answer.kind, 'response');
        if (answer.kind === 'response' && answer.status === 403) refused++;
      }
      assert.equal(refused, 4);
    });

    it('AUTH and unknown methods for this relay go up, and are answered with the whole path (R-003, C-073)', async () => {
      const own = `msrp://127.0.0.1:${bench.port};tcp`;
      const from = ['msrp://relay.example:2855/r;tcp', 'msrp://carol.example:1/c;tcp'];
      const carol = await bench.connect();
      carol.write(frame('auth1', 'AUTH', own, from, ['Expires: 60', 'X-A: b']));
      const request = await bench.event('request');
      assert.deepEqual([request.method, request.toPath, request.fromPath], ['AUTH', [own], from]);
      assert.deepEqual(request.headers, [
        ['Expires', '60'],
        ['X-A', 'b'],
      ]);
      bench.engine.answer(request.request, { status: 401, comment: 'Unauthorized', headers: [['X-C', 'd']] });
      const answer = await carol.response(401);
      assert.equal(answer.raw.toString(), frame('auth1', '401 Unauthorized', from, own, ['X-C: d']));
      // Answered is answered.
      bench.engine.answer(request.request, { status: 200, comment: 'OK', headers: [] });
      await carol.quiet();
      carol.write(frame('auth2', 'AUTH', own, from));
      const late = await bench.event('request');
      carol.destroy();
      await bench.event('closed', ({ connection }) => connection === carol.connection);
      bench.engine.answer(late.request, { status: 200, comment: 'OK', headers: [] });
    });

    it('a client that floods AUTHs is not read from until some are answered', async () => {
      const own = `msrp://127.0.0.1:${bench.port};tcp`;
      const carol = await bench.connect();
      const flood = frame('auth1', 'AUTH', own, 'msrp://c.example:1/c;tcp').repeat(16);
      carol.write(flood);
      const first = await bench.event('request');
      for (let i = 1; i < 16; i++) await bench.event('request');
      const info = bench.engine.connections().find(({ connection }) => connection === carol.connection);
      assert.equal(info?.paused, true);
      bench.engine.answer(first.request, { status: 200, comment: 'OK', headers: [] });
      await carol.response(200);
      const after = bench.engine.connections().find(({ connection }) => connection === carol.connection);
      assert.equal(after?.paused, false);
    });
  });
}
