import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Bench, TRANSPORTS, collectGarbage, frame, send, until } from './harness.ts';
import type { Client } from './harness.ts';
import { VECTORS, bytesOf } from '../frame/vectors.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';

for (const { name, make } of TRANSPORTS) {
  describe(`${name}: bad input (core D-05, I8)`, () => {
    let bench: Bench;
    let alice: Client;
    beforeEach(async () => {
      bench = await Bench.start(make);
      alice = await bench.client('alice', { exclusivePeer: false });
    });
    afterEach(() => bench.stop());

    const alive = async (): Promise<void> => {
      const bob = await bench.connect();
      bob.write(send('alive', [alice.uri, alice.own], bobUri, 'still here'));
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'still here');
      await bob.response(200);
      bob.destroy();
    };

    it('a frame that is delimited but wrong is answered 400, and the connection lives', async () => {
      const bob = await bench.connect();
      const to = [alice.uri, alice.own];
      const good = ['Message-ID: m123', 'Byte-Range: 1-1/1', 'Content-Type: a/b'];
      for (const [code, text] of [
        [
          'E_HEADER_VALUE',
          frame('bad1', 'SEND', to, bobUri, ['Message-ID: m123', 'Byte-Range: 5-1/1', 'Content-Type: a/b'], 'x'),
        ],
        ['E_DUPLICATE_HEADER', frame('bad1', 'SEND', to, bobUri, ['Message-ID: m1', ...good], 'x')],
        ['E_CONTENT', frame('bad1', 'SEND', to, bobUri, ['Message-ID: m123'], 'x')],
        ['E_HEADER_VALUE', frame('bad1', 'AUTH', to, bobUri, ['Expires: soon'])],
      ] as const) {
        const before = bench.engine.stats().rejects[code] ?? 0;
        bob.write(text);
        const answer = await bob.response(400);
        assert.equal(answer.tid, 'bad1');
        assert.equal(bench.engine.stats().rejects[code], before + 1);
      }
      // Where no answer can be addressed, or none is wanted, there is none.
      bob.write(frame('bad2', 'SEND', 'nonsense', bobUri, good, 'x'));
      bob.write(frame('bad3', 'SEND', to, bobUri, ['Failure-Report: no', 'Message-ID: m1', ...good], 'x'));
      bob.write(frame('bad4', 'REPORT', to, bobUri, ['Message-ID: m1', 'Status: nonsense']));
      bob.write(frame('bad5', '200 OK', bobUri, alice.uri, ['Content-Type: a/b'], 'x'));
      await bob.quiet();
      await alice.peer.quiet();
    });

    it('semantics: SEND without Message-ID, and a continued request that is no SEND, get 400', async () => {
      const bob = await bench.connect();
      bob.write(frame('nomid', 'SEND', [alice.uri, alice.own], bobUri, ['Content-Type: a/b'], 'x'));
      await bob.response(400);
      bob.write(frame('plus', 'NICKNAME', [alice.uri, alice.own], bobUri, [], undefined, '+'));
      await bob.response(400);
      await alice.peer.quiet();
    });

    it('a stream that is no MSRP is closed at once', async () => {
      for (const bytes of [
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        Buffer.from('1603010200010001fc0303', 'hex'),
        Buffer.from('X'),
        Buffer.from('MSRP abcd SEND\n'),
        Buffer.from('MSRP abcd SEND\r\nTo-Path msrp\r\n'),
        Buffer.from('MSRP abcd SEND\r\n-------abce$\r\n'),
        Buffer.from('MSRP abcd SEND\r\nX: \0\r\n'),
        randomBytes(5000),
      ]) {
        const peer = await bench.connect();
        peer.write(bytes);
        await peer.untilClosed();
        assert.equal(
          (await bench.event('closed', ({ connection }) => connection === peer.connection)).reason,
          'protocol_error',
        );
      }
      await alive();
    });

    it('what was good before a fatal error has been served', async () => {
      const bob = await bench.connect();
      bob.write(`${send('good', [alice.uri, alice.own], bobUri)}garbage`);
      await bob.response(200);
      await bob.untilClosed();
      await alice.peer.request('SEND');
    });

    it('every vector, to a fresh connection, in two pieces: no crash, no word to others', async () => {
      for (const vector of VECTORS) {
        const bytes = bytesOf(vector);
        const peer = await bench.connect();
        peer.onRaw = () => undefined;
        await peer.flush(bytes.subarray(0, bytes.length >> 1));
        await peer.flush(bytes.subarray(bytes.length >> 1));
        peer.destroy();
      }
      await alice.peer.quiet();
      await alive();
    });

    it('a storm of connections that reset, half-close, or send half a frame', async () => {
      for (let i = 0; i < 150; i++) {
        const peer = await bench.connect();
        peer.onRaw = () => undefined;
        if (i % 3 === 0) peer.write(send('half', [alice.uri, alice.own], bobUri).slice(0, 20 + i));
        if (i % 3 === 1) peer.end();
        else peer.reset();
        await bench.event('closed', ({ connection }) => connection === peer.connection);
      }
      await alive();
      assert.equal(bench.engine.connections().length <= 3, true);
    });

    it('a peer cannot answer for, or report to, a session that is not its own', async () => {
      const carol = await bench.client('carol', { exclusivePeer: false });
      const mallory = await bench.connect();
      // REPORT and responses in the name of others.
      mallory.write(
        frame('mal1', 'REPORT', [carol.uri, alice.own], alice.own, ['Message-ID: m1', 'Status: 000 200 OK']),
      );
      mallory.write(frame('mal2', '200 OK', [carol.uri, carol.own], alice.own));
      mallory.write(send('mal3', [carol.uri, alice.own], alice.own));
      await mallory.response(403);
      await mallory.quiet();
      await carol.peer.quiet();
      await alice.peer.quiet();
    });

    it('path pairs without end on one connection do not grow the memory without bound', async () => {
      const bob = await bench.connect();
      const long = 'h'.repeat(300);
      let sent = 0;
      let received = 0;
      alice.peer.onRaw = (bytes) => {
        for (const byte of bytes) if (byte === 0x24) received++;
      };
      /** Octets in use. */
      const used = (): number => {
        collectGarbage();
        const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
        return name.startsWith('native') ? rss : heapUsed + arrayBuffers;
      };
      /** Nobody answers a REPORT: what is left of one is what the relay remembers. */
      const report = async (pairs: number): Promise<void> => {
        while (sent < pairs) {
          let text = '';
          for (let k = 0; k < 500; k++) {
            const from = `msrp://${long}${sent}.example:1/${long};tcp`;
            const headers = ['Message-ID: m1', 'Status: 000 200'];
            text += frame(`p${sent++}xx`, 'REPORT', [alice.uri, alice.own], from, headers);
          }
          await bob.flush(text);
        }
        await until('all of them', () => received === pairs);
      };
      await report(3000);
      const before = used();
      await report(33_000);
      // Their text alone is 19 MB, and an engine has it several times. What a turn has let go of is collected in a later one.
      await until('the memory to be given back', () => used() - before < 32_000_000);
    });
  });
}
