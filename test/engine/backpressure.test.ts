import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Bench, TRANSPORTS, header, respondTo, send, until, within } from './harness.ts';
import type { Client } from './harness.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';
const OUTBOX = 65536;
/** What waits of an outbox that was full: the kernel may have taken some since, and nobody goes on above half. */
const STILL_FULL = OUTBOX / 2;
/** One read of a source may come on top of the limit. */
const READ = 65536;

for (const { name, make } of TRANSPORTS) {
  describe(`${name}: back-pressure (I2, I8, R-085)`, () => {
    let bench: Bench;
    let alice: Client;
    beforeEach(async () => {
      bench = await Bench.start(make, { outboxBytes: OUTBOX, sendTimeoutMs: 5000 });
      alice = await bench.client('alice', { exclusivePeer: false });
    });
    afterEach(() => bench.stop());

    const info = (connection: number) => bench.engine.connections().find((entry) => entry.connection === connection);

    /** What is answered late, or never, closes nothing. */
    const unhurried = () => ({
      ...bench.limits,
      transactionsPerConnection: 0,
      probationMs: 0,
      idleMs: 0,
      transactionMs: 3_000_000,
    });

    /**
     * Writes messages until the relay has stopped reading them for good: the kernel takes no more either. It may take some late,
     * when a delayed ACK (40 ms) or a probe of the window (200 ms) tells it of room.
     */
    const fill = async (
      write: (text: string) => void,
      connection: number,
      make: (i: number) => string,
    ): Promise<number> => {
      let i = 0;
      for (let since = performance.now(); performance.now() - since < 300;) {
        if (info(connection)?.paused !== true) {
          for (let k = 0; k < 50; k++) write(make(i++));
          since = performance.now();
        }
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(i < 200_000, 'the relay never stopped reading');
      }
      return i;
    };

    it('a reader that stops stops its sources; other sessions go on; nothing is lost when it goes on', async () => {
      const bob = await bench.connect();
      const carol = await bench.client('carol');
      alice.peer.pauseReading();
      const count = await fill(
        (text) => bob.write(text),
        bob.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, `${i} ${'x'.repeat(1000)}`),
      );
      const queued = info(alice.peer.connection)?.queuedBytes ?? 0;
      assert.ok(queued > STILL_FULL && queued <= OUTBOX + 2 * READ, `${queued}`);
      assert.ok(bench.engine.stats().pauses >= 1);
      // Another session is served meanwhile.
      const dave = await bench.connect();
      dave.write(send('other', [carol.uri, carol.own], 'msrp://dave.example:1/d;tcp', 'not disturbed'));
      assert.equal((await carol.peer.request('SEND')).body?.toString(), 'not disturbed');
      await dave.response(200);

      alice.peer.resumeReading();
      for (let i = 0; i < count; i++) {
        const got = await alice.peer.request('SEND');
        assert.ok(got.body?.toString().startsWith(`${i} `), `${i}`);
        alice.peer.write(respondTo(got, 200));
      }
      for (let i = 0; i < count; i++) await bob.response(200);
      await bench.emptied();
      assert.equal(info(bob.connection)?.paused, false);
      assert.equal(bench.engine.stats().dropped, 0);
    });

    it('a reader that ends its side gets all that is queued for it', async () => {
      const bob = await bench.connect();
      alice.peer.pauseReading();
      const count = await fill(
        (text) => bob.write(text),
        bob.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, `${i} ${'x'.repeat(1000)}`),
      );
      const { bytesOut, queuedBytes } = info(alice.peer.connection)!;
      assert.ok(queuedBytes > STILL_FULL && count > 0);
      alice.peer.end();
      assert.equal((await bench.event('closed')).reason, 'peer_closed');
      alice.peer.resumeReading();
      await alice.peer.untilClosed();
      assert.ok(alice.peer.received >= bytesOut + queuedBytes, `${alice.peer.received}`);
      for (const [i, got] of alice.peer.frames.entries()) assert.ok(got.body?.toString().startsWith(`${i} `), `${i}`);
    });

    it('send_timeout: a reader that never reads is closed, and its senders are told', async () => {
      const bob = await bench.connect();
      alice.peer.pauseReading();
      const count = await fill(
        (text) => bob.write(text),
        bob.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, 'x'.repeat(1000)),
      );
      bench.clock.advance(4000);
      assert.equal(info(alice.peer.connection)?.state, 'open');
      // The kernel may have taken some more in the meantime, and its time runs anew then.
      await until('its end', () => {
        bench.clock.advance(1000);
        return info(alice.peer.connection)?.state !== 'open';
      });
      assert.equal((await bench.event('closed')).reason, 'send_timeout');
      assert.equal(bench.engine.stats().closes.send_timeout, 1);
      const seen = { ok: 0, report: 0, gone: 0 };
      while (seen.ok + seen.gone < count || seen.report < seen.ok) {
        const got = await bob.next();
        if (got.kind === 'request') {
          assert.equal(header(got, 'Status'), '000 408 Timeout');
          seen.report++;
        } else if (got.status === 200) seen.ok++;
        else seen.gone++;
      }
      // Each accepted one is reported, the others are refused: the session has gone.
      assert.equal(seen.report, seen.ok);
      assert.equal(info(bob.connection)?.paused, false);
    });

    it('a client that does not read its responses is not read from', async () => {
      const bob = await bench.connect();
      bob.pauseReading();
      alice.peer.onRaw = () => undefined;
      await fill(
        (text) => bob.write(text),
        bob.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, 'x', []),
      );
      assert.ok((info(bob.connection)?.queuedBytes ?? 0) <= OUTBOX + 2 * READ);
    });

    it('a receiver that reads and never answers: the transactions are bounded, too', async () => {
      bench.engine.setLimits({ ...unhurried(), transactionsPerConnection: 500 });
      const bob = await bench.connect();
      await fill(
        (text) => bob.write(text),
        bob.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, 'x'),
      );
      assert.ok(bench.engine.stats().transactions <= 500 + READ / 100);
      assert.ok(bench.engine.stats().transactions > 500);
    });

    it('one that owes more answers than it may is read all the same: they come no other way', async () => {
      bench.engine.setLimits({ ...unhurried(), transactionsPerConnection: 10 });
      const bob = await bench.connect();
      const owed: Parameters<typeof respondTo>[0][] = [];
      for (let i = 0; i < 11; i++) {
        bob.write(send(`owed${i}`, [alice.uri, alice.own], bobUri));
        await bob.response(200);
        owed.push(await alice.peer.request('SEND'));
      }
      alice.peer.write(send('own1', [alice.uri, bobUri], alice.own));
      await alice.peer.response(200);
      bob.write(respondTo(await bob.request('SEND'), 200));
      for (const frame of owed) alice.peer.write(respondTo(frame, 200));
      await until('all answers', () => bench.engine.stats().transactions === 0);
      bob.write(send('more1', [alice.uri, alice.own], bobUri));
      await bob.response(200);
    });

    it('two that owe each other more answers than they may do not wait for each other', async () => {
      bench.engine.setLimits({ ...unhurried(), transactionsPerConnection: 100 });
      const carol = await bench.client('carol', { exclusivePeer: false });
      const COUNT = 3000;
      for (const [from, to] of [
        [alice, carol],
        [carol, alice],
      ] as const) {
        from.peer.answering = true;
        for (let i = 0; i < COUNT; i++)
          from.peer.write(send(`n${String(i).padStart(5, '0')}`, [from.uri, to.uri, to.own], from.own));
      }
      await until('all answers', () => {
        const { responses, transactions } = bench.engine.stats();
        return (responses['200'] ?? 0) >= 2 * COUNT && transactions === 0;
      });
      assert.deepEqual(bench.engine.stats().reports, {});
    });

    it('R-085: one stuck session does not stop others of the same source for ever', async () => {
      bench.engine.setLimits({ ...unhurried(), sendTimeoutMs: 0 });
      const carol = await bench.client('carol', { exclusivePeer: false });
      const relay = await bench.connect();
      relay.write(send('warm', [carol.uri, carol.own], bobUri));
      await carol.peer.request('SEND');
      await relay.response(200);
      alice.peer.pauseReading();
      await fill(
        (text) => relay.write(text),
        relay.connection,
        (i) => send(`n${String(i).padStart(7, '0')}`, [alice.uri, alice.own], bobUri, 'x'.repeat(1000)),
      );
      relay.write(send('carol1', [carol.uri, carol.own], bobUri, 'at last'));
      bench.clock.advance(20_000);
      assert.equal(info(relay.connection)?.paused, true);
      bench.clock.advance(12_000);
      // Over there, on an engine with more than one thread.
      await until('it to be read from', () => info(relay.connection)?.paused === false);
      assert.equal((await carol.peer.request('SEND')).body?.toString(), 'at last');
      // What was meant for the stuck one is refused from then on.
      relay.write(send('late01', [alice.uri, alice.own], bobUri));
      const answers = async (): Promise<number> => {
        for (;;) {
          const got = await relay.next();
          if (got.kind === 'response' && got.tid === 'late01') return got.status;
        }
      };
      assert.equal(await within('the refusal', answers()), 408);
    });
  });
}
