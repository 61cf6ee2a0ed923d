import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import type { EngineLimits } from '../../src/engine/engine.ts';
import { Bench, ENGINES, frame, header, respondTo, send, until, within } from './harness.ts';
import type { Client } from './harness.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';

for (const { name, make } of ENGINES) {
  describe(`${name}: limits, each with its reason and counter`, () => {
    let bench: Bench;
    const start = async (limits: Partial<EngineLimits> = {}): Promise<Bench> =>
      (bench = await Bench.start(make, limits));
    afterEach(() => bench.stop());

    const refused = async (): Promise<void> => {
      const socket = connect({ host: '127.0.0.1', port: bench.port });
      socket.on('error', () => undefined);
      await within('the refusal', new Promise((resolve) => socket.once('close', resolve)));
    };

    it('max_connections', async () => {
      await start({ maxConnections: 2 });
      await bench.connect();
      await bench.connect();
      await refused();
      assert.equal((await bench.event('closed')).reason, 'max_connections');
      assert.equal(bench.engine.stats().closes.max_connections, 1);
    });

    it('max_connections_per_ip, and the place is free again afterwards', async () => {
      await start({ maxConnectionsPerIp: 2 });
      const first = await bench.connect();
      await bench.connect();
      await refused();
      assert.equal((await bench.event('closed')).reason, 'max_connections_per_ip');
      first.destroy();
      await bench.event('closed', ({ connection }) => connection === first.connection);
      await bench.connect();
    });

    it('R-041 probation: no successful request in 30 s closes; a success ends it', async () => {
      await start();
      const idle = await bench.connect();
      const failing = await bench.connect();
      const alice = await bench.client('alice');
      alice.peer.answering = true;
      const bob = await bench.connect();
      failing.write(
        frame('fail', 'FROB', [`msrp://127.0.0.1:${bench.port}/no;tcp`, 'msrp://a.example:1/x;tcp'], bobUri),
      );
      await failing.response(481);
      bob.write(send('good', [alice.uri, alice.own], bobUri));
      await bob.response(200);
      await bench.settled();
      bench.clock.advance(31_000);
      for (const peer of [idle, failing]) await peer.untilClosed();
      assert.equal((await bench.event('closed')).reason, 'probation');
      assert.equal(bench.engine.stats().closes.probation, 2);
      await bob.quiet();
      await alice.peer.request('SEND');
      await alice.peer.quiet();
    });

    it('R-043 idle: an hour without traffic', async () => {
      await start({ probationMs: 0 });
      const quiet = await bench.connect();
      const busy = await bench.connect();
      bench.clock.advance(3_000_000);
      await busy.quiet();
      bench.clock.advance(700_000);
      await quiet.untilClosed();
      assert.equal((await bench.event('closed')).reason, 'idle');
      await busy.quiet();
    });

    it('transactions_per_connection stops a sender that waits for answers, and none that does not (Failure-Report partial)', async () => {
      await start({ transactionsPerConnection: 8 });
      const alice = await bench.client('alice', { exclusivePeer: false });
      const bob = await bench.connect();
      // A receiver that accepts these answers nothing (core C-070), so nothing is owed for them.
      for (let i = 0; i < 1500; i++) {
        bob.write(send(`part${i}`, [alice.uri, alice.own], bobUri, 'x', ['Failure-Report: partial']));
      }
      let latest;
      for (let i = 0; i < 1500; i++) latest = await alice.peer.request('SEND');
      await bob.quiet();
      assert.equal(bench.engine.stats().transactions, 0);
      // Of the latest ones, bad news still find their sender.
      alice.peer.write(respondTo(latest!, 413));
      assert.equal(header(await bob.request('REPORT'), 'Message-ID'), 'mpart1499');
      // With Failure-Report yes each is owed an answer.
      const info = () => bench.engine.connections().find(({ connection }) => connection === bob.connection);
      for (let i = 0; i < 9; i++) bob.write(send(`full${i}`, [alice.uri, alice.own], bobUri));
      const owed = [];
      for (let i = 0; i < 9; i++) owed.push(await alice.peer.request('SEND'));
      assert.equal(info()?.paused, true);
      for (const request of owed) alice.peer.write(respondTo(request, 200));
      for (let i = 0; i < 9; i++) await bob.response(200);
      await bob.quiet();
      assert.equal(info()?.paused, false);
    });

    it('max_msg_chunks: reads in which a header section must be complete', async () => {
      await start({ maxMsgChunks: 4 });
      const alice = await bench.client('alice', { exclusivePeer: false });
      const text = send('slow', [alice.uri, alice.own], bobUri);
      const reads = async (pieces: number) => {
        const bob = await bench.connect();
        for (let i = 0; i < pieces; i++) {
          const from = Math.floor((i * 60) / pieces);
          await bob.flush(i === pieces - 1 ? text.slice(from) : text.slice(from, Math.floor(((i + 1) * 60) / pieces)));
          // The relay must have read this piece before the next is written.
          for (let k = 0; k < 5; k++) await new Promise((resolve) => setImmediate(resolve));
          const bytes = (): number =>
            bench.engine.connections().find((c) => c.connection === bob.connection)?.bytesIn ?? Infinity;
          const wanted = i === pieces - 1 ? text.length : Math.floor(((i + 1) * 60) / pieces);
          await until('the piece to be read', () => bytes() >= wanted);
        }
        return bob;
      };
      await (await reads(4)).response(200);
      await (await reads(6)).untilClosed();
      assert.equal(bench.engine.stats().closes.max_msg_chunks, 1);
    });

    it('header_limit: lines, line length, header section, body of anything but SEND', async () => {
      await start({ headerLines: 8, lineBytes: 200, headerBytes: 1000, nonSendBodyBytes: 100 });
      const to = `msrp://127.0.0.1:${bench.port};tcp`;
      for (const text of [
        frame(
          'many',
          'AUTH',
          to,
          bobUri,
          Array.from({ length: 7 }, (_, i) => `X-${i}: y`),
        ),
        frame('line', 'AUTH', to, bobUri, [`X: ${'y'.repeat(200)}`]),
        `MSRP ${'x'.repeat(300)}`,
        frame(
          'sect',
          'AUTH',
          to,
          bobUri,
          Array.from({ length: 6 }, () => `X: ${'y'.repeat(180)}`),
        ),
        frame('body', 'FROB', to, bobUri, ['Content-Type: a/b'], 'z'.repeat(101)),
      ]) {
        const peer = await bench.connect();
        peer.write(text);
        await peer.untilClosed();
        const { reason, detail } = await bench.event('closed');
        assert.deepEqual([reason, detail], ['header_limit', 'E_LIMIT']);
      }
      assert.equal(bench.engine.stats().closes.header_limit, 5);
      assert.equal(bench.engine.stats().rejects['E_LIMIT'], 5);
    });

    it('message_bytes: 413, by what is announced and by what comes', async () => {
      await start({ messageBytes: 10_000 });
      const alice = await bench.client('alice', { exclusivePeer: false });
      const bob = await bench.connect();
      const chunk = (tid: string, range: string, body: string): string =>
        frame(
          tid,
          'SEND',
          [alice.uri, alice.own],
          bobUri,
          ['Message-ID: m1', `Byte-Range: ${range}`, 'Content-Type: a/b'],
          body,
        );
      bob.write(chunk('tot1', '1-5/20000', 'hello'));
      assert.equal((await bob.response(413)).tid, 'tot1');
      bob.write(chunk('beg1', '9999-*/*', 'hello'));
      assert.equal((await bob.response(413)).tid, 'beg1');
      bob.write(chunk('fits', '9996-*/*', 'hello'));
      await bob.response(200);
      await alice.peer.request('SEND');
      const long = chunk('long', '1-*/*', 'k'.repeat(30_000));
      await bob.flush(long.slice(0, 8000));
      await alice.peer.untilReceived(7000);
      bob.write(long.slice(8000));
      const cut = await alice.peer.request('SEND');
      assert.equal(cut.flag, '#');
      assert.ok((cut.body?.length ?? 0) <= 10_000);
      assert.equal((await bob.response(413)).tid, 'long');
      alice.peer.write(respondTo(cut, 200));
      await bob.quiet();
    });

    it('path_uris: 17 URIs are answered 400, and the connection lives', async () => {
      await start();
      const bob = await bench.connect();
      const to = [
        `msrp://127.0.0.1:${bench.port}/x;tcp`,
        ...Array.from({ length: 16 }, (_, i) => `msrp://h${i}.example:1/x;tcp`),
      ];
      bob.write(frame('wide', 'FROB', to, bobUri));
      await bob.response(400);
      await bob.quiet();
      assert.equal(bench.engine.stats().rejects['E_URI'], 1);
    });

    it('R-094: a second connection for one session is refused 506 while the first lives', async () => {
      await start();
      const alice = await bench.client('alice');
      const first = await bench.connect();
      const second = await bench.connect();
      first.write(send('one1', [alice.uri, alice.own], bobUri));
      await first.response(200);
      second.write(send('two1', [alice.uri, alice.own], bobUri));
      await second.response(506);
      first.destroy();
      await bench.event('closed', ({ connection }) => connection === first.connection);
      second.write(send('two2', [alice.uri, alice.own], bobUri));
      await second.response(200);
    });

    it('D-42 misdirected: closes on probation, and after three in a minute; never a relay', async () => {
      await start();
      const alice = await bench.client('alice');
      const elsewhere = ['msrp://elsewhere.example:1/x;tcp', 'msrp://a.example:1/x;tcp'];
      const fresh = await bench.connect();
      fresh.write(send('mis1', elsewhere, bobUri));
      await fresh.untilClosed();
      assert.equal((await bench.event('closed')).reason, 'misdirected');
      const once = async ({ peer }: Client, tid: string): Promise<void> => {
        peer.write(send(tid, elsewhere, bobUri));
        await peer.response(481);
      };
      await once(alice, 'mis1');
      await once(alice, 'mis2');
      bench.clock.advance(61_000);
      // A new minute.
      await once(alice, 'mis3');
      await once(alice, 'mis4');
      alice.peer.write(send('mis5', elsewhere, bobUri));
      await alice.peer.untilClosed();
      assert.equal((await bench.event('closed')).reason, 'misdirected');
      assert.equal(bench.engine.stats().closes.misdirected, 2);
      const carol = await bench.client('carol');
      bench.engine.identify(carol.peer.connection, 'relay.example');
      for (let i = 0; i < 10; i++) await once(carol, `rel${i}`);
      await carol.peer.quiet();
    });

    it('R-035: a session is over when its time is, to the tick; extendSession moves it', async () => {
      await start();
      const alice = await bench.client('alice', { expiresAtMs: 61_000, exclusivePeer: false });
      alice.peer.answering = true;
      const bob = await bench.connect();
      bob.write(send('one1', [alice.uri, alice.own], bobUri));
      await bob.response(200);
      await bench.settled();
      bench.clock.advance(50_000);
      bench.engine.extendSession(alice.session, 200_000);
      bench.clock.advance(100_000);
      bob.write(send('two1', [alice.uri, alice.own], bobUri));
      await bob.response(200);
      await bench.settled();
      bench.clock.advance(50_000);
      bob.write(send('thr1', [alice.uri, alice.own], bobUri));
      await bob.response(481);
      assert.equal((await bench.event('sessionClosed')).reason, 'expired');
      bench.engine.extendSession(alice.session, 1e9);
      bob.write(send('fou1', [alice.uri, alice.own], bobUri));
      await bob.response(481);
    });
  });
}
