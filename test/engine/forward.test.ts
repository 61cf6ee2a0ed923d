import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Bench, TRANSPORTS, frame, header, respondTo, send } from './harness.ts';
import type { Client } from './harness.ts';

for (const { name, make } of TRANSPORTS) {
  describe(`${name}: forwarding`, () => {
    let bench: Bench;
    let alice: Client;
    const bobUri = 'msrp://bob.example:2855/bob;tcp';
    before(async () => {
      bench = await Bench.start(make);
      alice = await bench.client('alice', { exclusivePeer: false });
    });
    after(() => bench.stop());

    it('R-052, R-054: towards the client only the transaction id and the paths change', async () => {
      const bob = await bench.connect();
      const body = 'héllo\r\n-------almost$\r\n\0binary';
      const headers = [
        'Message-ID: mid12345',
        'X-Odd: a: b',
        'x-odd: two  spaces',
        `Byte-Range: 1-*/*`,
        'Content-Type: text/plain',
      ];
      bob.write(frame('tidOfBob', 'SEND', [alice.uri, alice.own], bobUri, headers, body));
      const got = await alice.peer.request('SEND');
      assert.notEqual(got.tid, 'tidOfBob');
      assert.ok(got.tid.length >= 16);
      const expected = frame(got.tid, 'SEND', alice.own, [alice.uri, bobUri], headers, body);
      assert.equal(got.raw.toString(), expected);
      // the 200 goes to the previous hop, in the name of the session.
      const ok = await bob.response(200);
      assert.equal(ok.raw.toString(), frame('tidOfBob', '200 OK', bobUri, alice.uri));
      alice.peer.write(respondTo(got, 200));
      // that 200 goes no further.
      await bob.quiet();
    });

    it('R-053: every forwarded request has a transaction id of its own, never seen before', async () => {
      const bob = await bench.connect();
      const tids = new Set<string>();
      for (let i = 0; i < 50; i++) bob.write(send('same', [alice.uri, alice.own], bobUri, 'x', ['Failure-Report: no']));
      for (let i = 0; i < 50; i++) tids.add((await alice.peer.request('SEND')).tid);
      assert.equal(tids.size, 50);
      bob.destroy();
    });

    it('R-094: the answer goes back on the connection that the peer was heard on', async () => {
      const bob = await bench.connect();
      bob.write(send('bobTid', [alice.uri, alice.own], bobUri));
      const got = await alice.peer.request('SEND');
      alice.peer.write(respondTo(got, 200));
      await bob.response(200);
      alice.peer.write(send('aliceTid', [alice.uri, bobUri], alice.own, 'back'));
      const back = await bob.request('SEND');
      assert.deepEqual(back.toPath, [bobUri]);
      assert.deepEqual(back.fromPath, [alice.uri, alice.own]);
      assert.equal(back.body?.toString(), 'back');
      await alice.peer.response(200);
      bob.write(respondTo(back, 200));
      bob.destroy();
    });

    it('R-050: who is neither the client nor writes to it gets 403, and nothing passes', async () => {
      const mallory = await bench.connect();
      mallory.write(send('mal1', [alice.uri, 'msrp://victim.example:2855/v;tcp'], bobUri));
      await mallory.response(403);
      // The From-Path of the client, from another connection, proves nothing (C-155).
      mallory.write(send('mal2', [alice.uri, 'msrp://victim.example:2855/v;tcp'], alice.own));
      await mallory.response(403);
      await alice.peer.quiet();
      assert.equal(bench.events.filter(({ type }) => type === 'hop').length, 0);
    });

    it('R-051: an unknown session is answered 481, a REPORT for it is dropped', async () => {
      const bob = await bench.connect();
      const gone = alice.uri.replace('aliceSession', 'otherSession');
      bob.write(send('t481', [gone, alice.own], bobUri));
      const answer = await bob.response(481);
      assert.deepEqual(answer.fromPath, [gone]);
      bob.write(send('t482', [gone, alice.own], bobUri, 'x', ['Failure-Report: partial']));
      await bob.response(481);
      bob.write(send('t483', [gone, alice.own], bobUri, 'x', ['Failure-Report: no']));
      bob.write(frame('t484', 'REPORT', [gone, alice.own], bobUri, ['Message-ID: m123', 'Status: 000 200 OK']));
      bob.write(frame('t485', 'FROB', [gone, alice.own], bobUri));
      assert.equal((await bob.response(481)).tid, 't485');
      // To this relay itself nothing is sent.
      bob.write(send('t486', alice.uri, bobUri));
      await bob.response(481);
    });

    it('URIs are compared as core section 7 says, and copied as written', async () => {
      const bob = await bench.connect();
      const spelled = alice.uri.replace('msrp:', 'MSRP:').replace(';tcp', ';TCP;x=y');
      bob.write(send('case', [spelled, alice.own], bobUri));
      const got = await alice.peer.request('SEND');
      assert.deepEqual(got.fromPath, [spelled, bobUri]);
      assert.deepEqual((await bob.response(200)).fromPath, [spelled]);
      bob.write(send('sess', [alice.uri.replace('aliceSession', 'ALICEsession'), alice.own], bobUri));
      await bob.response(481);
      bob.destroy();
    });

    it('R-057: REPORTs are forwarded with new paths and never answered', async () => {
      const bob = await bench.connect();
      bob.write(
        frame('rep1', 'REPORT', [alice.uri, alice.own], bobUri, [
          'Message-ID: m1',
          'Byte-Range: 1-5/5',
          'Status: 000 200 OK',
        ]),
      );
      const got = await alice.peer.request('REPORT');
      assert.deepEqual(got.toPath, [alice.own]);
      assert.deepEqual(got.fromPath, [alice.uri, bobUri]);
      assert.equal(header(got, 'Status'), '000 200 OK');
      assert.notEqual(got.tid, 'rep1', 'R-053');
      // One that says nothing is dropped.
      bob.write(frame('rep2', 'REPORT', [alice.uri, alice.own], bobUri, ['Message-ID: m1']));
      await bob.quiet();
      await alice.peer.quiet();
    });

    it('R-059: a Success-Report is for the receiver to give: the relay makes none', async () => {
      const bob = await bench.connect();
      bob.write(send('succ', [alice.uri, alice.own], bobUri, 'hello', ['Success-Report: yes']));
      const got = await alice.peer.request('SEND');
      assert.equal(header(got, 'Success-Report'), 'yes');
      alice.peer.write(respondTo(got, 200));
      assert.equal((await bob.response(200)).tid, 'succ');
      await alice.peer.quiet();
      await bob.quiet();
    });

    it('R-058, R-072: another method goes end to end, its response with the transaction id of the asker', async () => {
      const bob = await bench.connect();
      bob.write(frame('nick', 'NICKNAME', [alice.uri, alice.own], bobUri, ['Use-Nickname: "b"']));
      const got = await alice.peer.request('NICKNAME');
      assert.equal(header(got, 'Use-Nickname'), '"b"');
      alice.peer.write(frame(got.tid, '425 taken', got.fromPath, alice.own, ['X-Why: so']));
      const answer = await bob.response(425);
      assert.equal(answer.tid, 'nick');
      assert.deepEqual(answer.toPath, [bobUri]);
      assert.deepEqual(answer.fromPath, [alice.uri, alice.own]);
      assert.equal(header(answer, 'X-Why'), 'so');
      assert.equal(answer.comment, 'taken');
    });

    it('D-45, R-070: a response on another connection, to nothing, or to another host is dropped', async () => {
      const bob = await bench.connect();
      const spy = await bench.connect();
      bob.write(frame('frob', 'FROB', [alice.uri, alice.own], bobUri));
      const got = await alice.peer.request('FROB');
      spy.write(frame(got.tid, '200 forged', got.fromPath, alice.own));
      await spy.quiet();
      alice.peer.write(frame('AAAAAA' + 'x'.repeat(16), '200 unknown', got.fromPath, alice.own));
      alice.peer.write(frame('short', '200 unknown', got.fromPath, alice.own));
      alice.peer.write(frame(got.tid, '200 astray', ['msrp://elsewhere.example:1/x;tcp', bobUri], alice.own));
      alice.peer.write(frame(got.tid, '200 true', got.fromPath, alice.own));
      assert.equal((await bob.response(200)).comment, 'true');
    });

    it('two sessions of this relay on one path are handled inside (no connection to itself)', async () => {
      const carol = await bench.client('carol');
      alice.peer.write(send('chain', [alice.uri, carol.uri, carol.own], alice.own));
      const got = await carol.peer.request('SEND');
      assert.deepEqual(got.toPath, [carol.own]);
      assert.deepEqual(got.fromPath, [carol.uri, alice.uri, alice.own]);
      await alice.peer.response(200);
      // Its failure REPORT comes back, and so does a REPORT of the receiver.
      carol.peer.write(respondTo(got, 413));
      const report = await alice.peer.request('REPORT');
      assert.equal(header(report, 'Status'), '000 413 Message Too Large');
      carol.peer.write(
        frame('rback', 'REPORT', [carol.uri, alice.uri, alice.own], carol.own, [
          'Message-ID: m1',
          'Status: 000 200 OK',
        ]),
      );
      const back = await alice.peer.request('REPORT');
      assert.deepEqual(back.fromPath, [alice.uri, carol.uri, carol.own]);
      carol.peer.write(frame('nick', 'NICKNAME', [carol.uri, alice.uri, alice.own], carol.own));
      const asked = await alice.peer.request('NICKNAME');
      alice.peer.write(respondTo(asked, 200));
      const answer = await carol.peer.response(200);
      assert.equal(answer.tid, 'nick');
      assert.deepEqual(answer.fromPath, [carol.uri, alice.uri, alice.own]);
      assert.equal(bench.events.filter(({ type }) => type === 'hop').length, 0);
    });

    it('5,000 pipelined frames leave in the order in which they came (I6)', async () => {
      const bob = await bench.connect();
      let text = '';
      for (let i = 0; i < 5000; i++)
        text += send(`n${String(i).padStart(6, '0')}`, [alice.uri, alice.own], bobUri, `body ${i}`);
      bob.write(text);
      for (let i = 0; i < 5000; i++) {
        const got = await alice.peer.request('SEND');
        assert.equal(got.body?.toString(), `body ${i}`);
        alice.peer.write(respondTo(got, 200));
      }
      for (let i = 0; i < 5000; i++) assert.equal((await bob.response(200)).tid, `n${String(i).padStart(6, '0')}`);
      bob.destroy();
    });

    it('frames split at every byte are forwarded all the same', async () => {
      const bob = await bench.connect();
      const text = send('slow', [alice.uri, alice.own], bobUri, 'drop by drop');
      for (const byte of text) await bob.flush(byte);
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'drop by drop');
      await bob.response(200);
      bob.destroy();
    });

    it('200 sessions on one connection do not mix', async () => {
      const peer = await bench.connect();
      const sessions = Array.from({ length: 200 }, (_, i) => {
        const uri = `msrp://127.0.0.1:${bench.port}/many${i}x0123456789;tcp`;
        const own = `msrp://many.example:1/${i}x;tcp`;
        const previousHop = { connection: peer.connection };
        bench.engine.openSession({ uri, clientPath: [own], previousHop, expiresAtMs: 1e9, exclusivePeer: true });
        return { uri, own };
      });
      const bob = await bench.connect();
      for (const [i, { uri, own }] of sessions.entries()) bob.write(send(`to${i}x`, [uri, own], bobUri, `for ${i}`));
      for (const [i, { uri, own }] of sessions.entries()) {
        // Answers to what it has sent itself come in between.
        let got = await peer.next();
        while (got.kind === 'response') got = await peer.next();
        assert.deepEqual([got.toPath, got.fromPath, got.body?.toString()], [[own], [uri, bobUri], `for ${i}`]);
        peer.write(send(`re${i}x`, [uri, bobUri], own, `from ${i}`));
      }
      const bodies = new Set<string>();
      while (bodies.size < 200) {
        const got = await bob.next();
        if (got.kind === 'request') bodies.add(got.body?.toString() ?? '');
      }
      assert.ok(bodies.has('from 0') && bodies.has('from 199'));
    });
  });
}
