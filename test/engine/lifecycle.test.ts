import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { Bench, TRANSPORTS, frame, respondTo, send } from './harness.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';

for (const { name, make } of TRANSPORTS) {
  describe(`${name}: life of an engine`, () => {
    it('drain: no new connections, what is under way is finished, then all is closed', async () => {
      await using bench = await Bench.start(make);
      const alice = await bench.client('alice');
      const bob = await bench.connect();
      bob.write(send('last', [alice.uri, alice.own], bobUri));
      const got = await alice.peer.request('SEND');
      const drained = bench.engine.drain(10_000);
      const late = connect({ host: '127.0.0.1', port: bench.port });
      await assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' });
      await bob.response(200);
      alice.peer.write(respondTo(got, 200));
      await bench.settled();
      bench.clock.advance(200);
      await drained;
      await alice.peer.untilClosed();
      await bob.untilClosed();
      assert.equal(bench.engine.stats().connections, 0);
      assert.equal((await bench.event('sessionClosed')).session, alice.session);
    });

    it('drain gives up after its time', async () => {
      await using bench = await Bench.start(make);
      const alice = await bench.client('alice');
      const bob = await bench.connect();
      bob.write(send('open', [alice.uri, alice.own], bobUri));
      await alice.peer.request('SEND');
      const drained = bench.engine.drain(5000);
      bench.clock.advance(6000);
      await drained;
      assert.equal(bench.engine.stats().connections, 0);
    });

    it('two engines in one process do not know each other', async () => {
      await using one = await Bench.start(make);
      await using two = await Bench.start(make);
      const alice = await one.client('alice');
      const bob = await two.connect();
      bob.write(send('wrong', [alice.uri, alice.own], bobUri));
      await bob.untilClosed();
      await one.stop();
      await two.connect();
    });

    it('a session for a client that has just gone is closed at once', async () => {
      await using bench = await Bench.start(make);
      const peer = await bench.connect();
      peer.destroy();
      await bench.event('closed');
      const uri = `msrp://127.0.0.1:${bench.port}/late0123456789;tcp`;
      const previousHop = { connection: peer.connection };
      const session = bench.engine.openSession({
        uri,
        clientPath: [bobUri],
        previousHop,
        expiresAtMs: 1e9,
        exclusivePeer: true,
      });
      const event = await bench.event('sessionClosed');
      assert.deepEqual([event.session, event.reason], [session, 'connection_closed']);
      assert.equal(bench.engine.stats().sessions, 0);
    });

    it('closeSession and closeConnection', async () => {
      await using bench = await Bench.start(make);
      const alice = await bench.client('alice');
      const bob = await bench.connect();
      bench.engine.closeSession(alice.session, 'command');
      assert.equal((await bench.event('sessionClosed')).reason, 'command');
      bob.write(frame('frob', 'FROB', [alice.uri, alice.own], bobUri));
      await bob.response(481);
      bench.engine.closeConnection(bob.connection, 'command');
      await bob.untilClosed();
      assert.equal((await bench.event('closed')).reason, 'command');
      // Ids that are gone are ignored.
      bench.engine.closeSession(alice.session, 'command');
      bench.engine.closeConnection(bob.connection, 'command');
      bench.engine.extendSession(alice.session, 1);
      bench.engine.refuseHop(4711, 403);
      bench.engine.answer(4711, { status: 200, comment: '', headers: [] });
    });

    it('the counters add up', async () => {
      await using bench = await Bench.start(make);
      const alice = await bench.client('alice');
      const bob = await bench.connect();
      for (let i = 0; i < 10; i++) bob.write(send(`n${i}xx`, [alice.uri, alice.own], bobUri));
      for (let i = 0; i < 10; i++) {
        alice.peer.write(respondTo(await alice.peer.request('SEND'), 200));
        await bob.response(200);
      }
      await alice.peer.quiet();
      const stats = bench.engine.stats();
      assert.deepEqual([stats.framesIn.SEND, stats.framesOut.SEND], [10, 10]);
      // 10 answers of alice; 10 of the relay, and the one that `quiet` asks for.
      assert.deepEqual([stats.framesIn.response, stats.framesOut.response], [10, 11]);
      assert.deepEqual([stats.responses[200], stats.responses[481]], [10, 1]);
      assert.deepEqual([stats.connections, stats.sessions, stats.transactions, stats.accepted], [2, 1, 0, 2]);
      const [session] = bench.engine.sessions();
      assert.deepEqual([session?.framesIn, session?.bytesIn, session?.framesOut], [10, 50, 0]);
    });

    it('a port that is taken refuses the listener with its reason', async () => {
      await using bench = await Bench.start(make);
      await assert.rejects(bench.engine.listen({ address: '127.0.0.1', port: bench.port }), { code: 'E_LISTEN' });
    });
  });
}
