import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parseByteRange } from '../../src/syntax/byte-range.ts';
import { Bench, TRANSPORTS, collectGarbage, frame, header, respondTo, send, until } from './harness.ts';
import type { Client, Peer } from './harness.ts';

const bobUri = 'msrp://bob.example:2855/bob;tcp';

for (const { name, make } of TRANSPORTS) {
  describe(`${name}: long chunks pass while they come in (R-080…R-084)`, () => {
    let bench: Bench;
    let alice: Client;
    let bob: Peer;
    beforeEach(async () => {
      bench = await Bench.start(make);
      alice = await bench.client('alice', { exclusivePeer: false });
      bob = await bench.connect();
    });
    afterEach(() => bench.stop());

    const head = (tid: string, more: readonly string[] = [], range = '1-*/9000'): string =>
      `MSRP ${tid} SEND\r\nTo-Path: ${alice.uri} ${alice.own}\r\nFrom-Path: ${bobUri}\r\nMessage-ID: m${tid}\r\n${more.map((line) => `${line}\r\n`).join('')}Byte-Range: ${range}\r\nContent-Type: text/plain\r\n\r\n`;

    /** Takes chunks of one message until one has another flag than `+`; answers each. */
    const collect = async (
      peer: Peer,
      messageId: string,
    ): Promise<{ body: Buffer; flags: string; tids: string[]; cuts: number[] }> => {
      const result = { body: Buffer.alloc(0), flags: '', tids: [] as string[], cuts: [] as number[] };
      while (!/[$#]$/.test(result.flags)) {
        const got = await peer.request('SEND');
        if (header(got, 'Message-ID') !== messageId) continue;
        const range = parseByteRange(header(got, 'Byte-Range') ?? '');
        assert.equal(
          range?.start,
          result.body.length + 1,
          'chunks in order, each from the octet behind the one before',
        );
        assert.ok(range.end === undefined, 'R-081: interruptible');
        result.body = Buffer.concat([result.body, got.body ?? Buffer.alloc(0)]);
        result.flags += got.flag;
        result.tids.push(got.tid);
        result.cuts.push(got.body?.length ?? 0);
        peer.write(respondTo(got, 200));
      }
      return result;
    };

    it('begins to go out before it has come in, with another transaction id and an open range', async () => {
      const raw: Buffer[] = [];
      alice.peer.onRaw = (bytes) => void raw.push(bytes);
      await bob.flush(head('cut1', ['X-Any: kept'], '1-9000/9000') + 'a'.repeat(5000));
      await alice.peer.untilReceived(5000);
      const text = Buffer.concat(raw).toString();
      assert.match(text, /^MSRP [A-Za-z0-9][A-Za-z0-9.-]{21} SEND\r\nTo-Path: /);
      assert.match(text, /\r\nX-Any: kept\r\nByte-Range: 1-\*\/9000\r\nContent-Type: text\/plain\r\n\r\naaaa/);
    });

    /** Answers the chunk that is on its way to alice, and waits until the engine has read that. */
    const answerEarly = async (status: string): Promise<{ tid: string; raw: () => string }> => {
      let raw = '';
      alice.peer.onRaw = (bytes) => void (raw += bytes.toString('latin1'));
      await bob.flush(head('soon', [], '1-9000/9000') + 'a'.repeat(5000));
      await alice.peer.untilReceived(5000);
      const tid = /^MSRP (\S+) SEND/.exec(raw)?.[1] ?? '';
      const bytesIn = (): number =>
        bench.engine.connections().find(({ connection }) => connection === alice.peer.connection)?.bytesIn ?? 0;
      const before = bytesIn();
      const answer = `MSRP ${tid} ${status}\r\nTo-Path: ${alice.uri}\r\nFrom-Path: ${alice.own}\r\n-------${tid}$\r\n`;
      alice.peer.write(answer);
      await until('the answer to be read', () => bytesIn() >= before + answer.length);
      return { tid, raw: () => raw };
    };

    it('an answer before the end of the chunk settles it: nothing is waited for', async () => {
      await answerEarly('200 OK');
      bob.write(`${'b'.repeat(4000)}\r\n-------soon$\r\n`);
      await bob.response(200);
      assert.equal(bench.engine.stats().transactions, 0);
      assert.equal(bench.engine.stats().dropped, 0);
      bench.clock.advance(31_000);
      assert.equal(bench.engine.stats().timeouts, 0);
    });

    it('a refusal before the end ends the chunk with #, and the sender hears of it at the end (R-063)', async () => {
      const { tid, raw } = await answerEarly('413 Too large');
      bob.write(`${'b'.repeat(4000)}\r\n-------soon$\r\n`);
      await bob.response(413);
      await until('the end of the chunk', () => raw().endsWith(`\r\n-------${tid}#\r\n`));
      assert.equal(bench.engine.stats().transactions, 0);
      assert.equal(bench.engine.stats().dropped, 0);
    });

    it('is one chunk when nothing else is to be sent, with the flag of the sender (R-082)', async () => {
      for (const flag of ['$', '+', '#']) {
        const body = 'b'.repeat(9000);
        await bob.flush(head('flag1') + body.slice(0, 4000));
        bob.write(`${body.slice(4000)}\r\n-------flag1${flag}\r\n`);
        const got = await alice.peer.request('SEND');
        assert.equal(got.flag, flag);
        assert.equal(got.body?.length, 9000);
        alice.peer.write(respondTo(got, 200));
        assert.equal((await bob.response(200)).tid, 'flag1');
      }
    });

    it('R-081: is interrupted for another sender, and goes on behind it', async () => {
      const carol = await bench.connect();
      const body = randomBytes(60_000).toString('latin1').replaceAll('\r', '.');
      const bytes = Buffer.from(body, 'latin1');
      bob.write(Buffer.concat([Buffer.from(head('long', [], '1-*/60000')), bytes.subarray(0, 20_000)]));
      // On its way out before anybody else comes.
      await alice.peer.untilReceived(10_000);
      const cuts = [20_000, 21_000, 45_000];
      for (const [i, cut] of cuts.entries()) {
        carol.write(send(`car${i}`, [alice.uri, alice.own], 'msrp://carol.example:1/c;tcp', `carol ${i}`));
        await carol.response(200);
        await bob.flush(bytes.subarray(cut, cuts[i + 1] ?? bytes.length));
      }
      bob.write('\r\n-------long$\r\n');
      const seen: string[] = [];
      let whole = Buffer.alloc(0);
      for (;;) {
        const got = await alice.peer.request('SEND');
        if (header(got, 'Message-ID') === 'mlong') {
          assert.equal(parseByteRange(header(got, 'Byte-Range') ?? '')?.start, whole.length + 1);
          whole = Buffer.concat([whole, got.body ?? Buffer.alloc(0)]);
          seen.push(`long${got.flag}`);
          if (got.flag === '+') assert.ok((got.body?.length ?? 0) >= 2048, 'C-050');
        } else seen.push(got.body?.toString() ?? '');
        alice.peer.write(respondTo(got, 200));
        if (got.flag === '$' && seen.at(-1) === 'long$') break;
      }
      assert.deepEqual(whole, bytes);
      assert.equal(seen[0], 'long+');
      assert.deepEqual(
        seen.filter((entry) => entry.startsWith('carol')),
        ['carol 0', 'carol 1', 'carol 2'],
      );
      assert.equal((await bob.response(200)).tid, 'long');
      assert.ok(bench.engine.stats().interruptions >= 1);
    });

    for (const [what, kind] of [
      ['a REPORT', 'request'],
      ['a response', 'response'],
    ] as const) {
      it(`R-081, C-053: is interrupted for ${what}, and goes on behind it`, async () => {
        await bob.flush(head('long') + 'a'.repeat(5000));
        await alice.peer.untilReceived(5000);
        const carol = await bench.connect();
        if (kind === 'request') {
          const headers = ['Message-ID: m1', 'Status: 000 200 OK'];
          carol.write(frame('rep1', 'REPORT', [alice.uri, alice.own], 'msrp://carol.example:1/c;tcp', headers));
        } else alice.peer.write(frame('frob', 'FROB', [`${alice.uri}x`, bobUri], alice.own));
        const first = await alice.peer.request('SEND');
        assert.deepEqual([first.flag, first.body?.length], ['+', 5000]);
        const between = await alice.peer.next();
        assert.equal(between.kind, kind);
        bob.write(`${'b'.repeat(4000)}\r\n-------long$\r\n`);
        const rest = await alice.peer.request('SEND');
        assert.deepEqual([rest.flag, rest.body?.toString()], ['$', 'b'.repeat(4000)]);
        assert.notEqual(rest.tid, first.tid);
        assert.equal(header(rest, 'Message-ID'), 'mlong');
        assert.equal(header(rest, 'Byte-Range'), '5001-*/9000');
      });
    }

    it('two long chunks to one client take turns, and both arrive whole', async () => {
      const carol = await bench.connect();
      const [one, two] = [randomBytes(300_000), randomBytes(300_000)];
      const start = (tid: string, from: string): string => head(tid, [], '1-*/300000').replace(bobUri, from);
      bob.write(start('left1', bobUri));
      carol.write(start('right', 'msrp://carol.example:1/c;tcp'));
      for (let at = 0; at < 300_000; at += 10_000) {
        await bob.flush(one.subarray(at, at + 10_000));
        await carol.flush(two.subarray(at, at + 10_000));
      }
      bob.write('\r\n-------left1$\r\n');
      carol.write('\r\n-------right$\r\n');
      const bodies = new Map<string, Buffer>();
      for (let ended = 0; ended < 2;) {
        const got = await alice.peer.request('SEND');
        const id = header(got, 'Message-ID') as string;
        const before = bodies.get(id) ?? Buffer.alloc(0);
        assert.equal(parseByteRange(header(got, 'Byte-Range') ?? '')?.start, before.length + 1);
        bodies.set(id, Buffer.concat([before, got.body ?? Buffer.alloc(0)]));
        if (got.flag === '$') ended++;
      }
      assert.deepEqual(bodies.get('mleft1'), one);
      assert.deepEqual(bodies.get('mright'), two);
    });

    it('an interrupted sender that stands still does not hold others up (I8)', async () => {
      await bob.flush(head('stall') + 'c'.repeat(3000));
      // On its way out before anybody else comes.
      await alice.peer.untilReceived(3000);
      const carol = await bench.connect();
      carol.write(send('car1', [alice.uri, alice.own], 'msrp://carol.example:1/c;tcp', 'first'));
      assert.equal((await alice.peer.request('SEND')).flag, '+');
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'first');
      await bob.flush('d'.repeat(10));
      carol.write(send('car2', [alice.uri, alice.own], 'msrp://carol.example:1/c;tcp', 'second'));
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'second');
    });

    it('R-084: a sender that dies inside a chunk is finished with #', async () => {
      await bob.flush(head('dies') + 'e'.repeat(5000));
      await alice.peer.untilReceived(5000);
      bob.reset();
      const got = await alice.peer.request('SEND');
      assert.equal(got.flag, '#');
      assert.equal(got.body?.length, 5000);
      // The receiver's connection is as good as before.
      const carol = await bench.connect();
      carol.write(send('car1', [alice.uri, alice.own], 'msrp://carol.example:1/c;tcp', 'after'));
      assert.equal((await alice.peer.request('SEND')).body?.toString(), 'after');
    });

    it('R-084: a receiver that dies inside a chunk: REPORT 408 with the octets so far, the rest is dropped', async () => {
      await bob.flush(head('half') + 'f'.repeat(5000));
      await alice.peer.untilReceived(5000);
      alice.peer.reset();
      const report = await bob.request('REPORT');
      assert.equal(header(report, 'Status'), '000 408 Timeout');
      assert.equal(header(report, 'Byte-Range'), '1-5000/9000');
      bob.write(`${'f'.repeat(4000)}\r\n-------half$\r\n`);
      assert.equal((await bob.response(408)).tid, 'half');
      await bob.quiet();
    });

    it('R-063: a refused long SEND is read to its end and then answered', async () => {
      const gone = head('none').replace(alice.uri, `msrp://127.0.0.1:${bench.port}/nobody;tcp`);
      await bob.flush(gone + 'g'.repeat(100_000));
      bob.write('\r\n-------none$\r\n');
      assert.equal((await bob.response(481)).tid, 'none');
      await bob.flush(head('bad1', [], '0-5/9000') + 'h'.repeat(100_000));
      bob.write('\r\n-------bad1$\r\n');
      assert.equal((await bob.response(400)).tid, 'bad1');
      await bob.flush(head('quie', ['Failure-Report: no'], '0-5/9000') + 'h'.repeat(100_000));
      bob.write('\r\n-------quie$\r\n');
      await bob.quiet();
      bob.write(send('fine', [alice.uri, alice.own], bobUri));
      assert.equal((await bob.response(200)).tid, 'fine');
    });

    it('R-083: a body that holds the transaction id of the relay ends the chunk before it', async () => {
      const raw: Buffer[] = [];
      alice.peer.onRaw = (bytes) => void raw.push(bytes);
      await bob.flush(head('evil', [], '1-*/*') + 'i'.repeat(4000));
      await alice.peer.untilReceived(4000);
      const tid = /^MSRP (\S+) /.exec(Buffer.concat(raw).toString())?.[1] as string;
      const fake = `\r\n-------${tid}$\r\nMSRP fake SEND\r\n`;
      // Whole, and in two pieces.
      await bob.flush(`${fake}${'j'.repeat(3000)}\r\n-------${tid.slice(0, 9)}`);
      await alice.peer.untilReceived(7000);
      bob.write(`${tid.slice(9)}$\r\nx\r\n-------evil$\r\n`);
      const expected = `${'i'.repeat(4000)}${fake}${'j'.repeat(3000)}\r\n-------${tid}$\r\nx`;
      await alice.peer.untilReceived(expected.length);
      let text = '';
      let ended = false;
      while (!ended) {
        const all = Buffer.concat(raw).toString('latin1');
        text = '';
        ended = false;
        let rest = all;
        for (
          let m = /^MSRP (\S+) SEND\r\n[^]*?\r\n\r\n/.exec(rest);
          m !== null;
          m = /^MSRP (\S+) SEND\r\n[^]*?\r\n\r\n/.exec(rest)
        ) {
          const end = new RegExp(`\\r\\n-------${(m[1] as string).replace(/[.+]/g, '\\$&')}([$+#])\\r\\n`).exec(
            rest.slice(m[0].length),
          );
          if (end === null) break;
          text += rest.slice(m[0].length, m[0].length + end.index);
          rest = rest.slice(m[0].length + end.index + end[0].length);
          ended = end[1] === '$';
        }
        if (!ended) await alice.peer.untilReceived(alice.peer.received + 1);
      }
      assert.equal(text, expected);
    });

    it('100 MB in one chunk: byte-exact, in bounded memory (I5)', async () => {
      const piece = randomBytes(1 << 20);
      const sent = createHash('sha256');
      const got = createHash('sha256');
      let headers = Buffer.alloc(0);
      let body = -1;
      let octets = 0;
      const total = 100 * piece.length;
      alice.peer.onRaw = (bytes) => {
        let rest = bytes;
        if (body < 0) {
          headers = Buffer.concat([headers, bytes]);
          body = headers.indexOf('\r\n\r\n');
          if (body < 0) return;
          rest = headers.subarray(body + 4);
        }
        const take = rest.subarray(0, Math.max(0, total - octets));
        octets += take.length;
        got.update(take);
      };
      bob.write(head('huge', [], `1-*/${total}`));
      collectGarbage();
      const before = process.memoryUsage().rss;
      let queued = 0;
      for (let i = 0; i < 100; i++) {
        sent.update(piece);
        await bob.flush(piece);
        queued = Math.max(queued, bench.engine.stats().queuedBytes);
      }
      bob.write('\r\n-------huge$\r\n');
      assert.equal((await bob.response(200)).tid, 'huge');
      await alice.peer.untilReceived(total + 200);
      assert.equal(octets, total);
      assert.equal(got.digest('hex'), sent.digest('hex'));
      // One read, which may be as large, comes on top of what an outbox may hold.
      assert.ok(queued < 3 * bench.limits.outboxBytes, `${queued}`);
      // Generator and receiver are in this process, too: what they hold counts here.
      assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
      await bench.emptied();
    });

    it('a chunk to a next hop that is still being decided streams into its queue', async () => {
      const target = await bench.target();
      const body = randomBytes(30_000);
      alice.peer.write(
        Buffer.concat([
          Buffer.from(
            `MSRP toHop SEND\r\nTo-Path: ${alice.uri} ${target.uri}\r\nFrom-Path: ${alice.own}\r\nMessage-ID: mhop1\r\nByte-Range: 1-*/*\r\nContent-Type: a/b\r\n\r\n`,
          ),
          body.subarray(0, 10_000),
        ]),
      );
      const hop = await bench.event('hop');
      await alice.peer.flush(body.subarray(10_000));
      alice.peer.write('\r\n-------toHop$\r\n');
      await alice.peer.response(200);
      bench.engine.connectHop(hop.hop, {
        key: 'k',
        candidates: [{ address: '127.0.0.1', port: target.port }],
        timeoutMs: 5000,
      });
      const peer = await target.accept();
      assert.deepEqual((await collect(peer, 'mhop1')).body, body);
    });
  });
}
