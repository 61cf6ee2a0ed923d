import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FEED_BYTES } from '../../src/engine/engine.ts';
import type { ConnectionId, SessionId } from '../../src/engine/engine.ts';
import { BIT, R, RECORD_WORDS } from '../../src/frame/record.ts';
import { TsFramer } from '../../src/frame/ts-framer.ts';
import { decodeFrame } from '../../src/syntax/frame.ts';
import type { RequestFrame } from '../../src/syntax/frame.ts';
import { Bench, ENGINES, frame, header, respondTo, send, until, within } from './harness.ts';
import type { Received } from './harness.ts';

const CHUNK = 16384;
const OUTBOX = 65536;
const READ = 65536;
const remote = { address: '192.0.2.7', port: 50_000 };
const local = { address: '127.0.0.1', port: 8443 };

for (const { name, make } of ENGINES) {
  describe(`${name}: external connections`, () => {
    let bench: Bench;
    beforeEach(async () => {
      bench = await Bench.start(make, { outboxBytes: OUTBOX });
    });
    afterEach(() => bench.stop());

    const info = (connection: ConnectionId) =>
      bench.engine.connections().find((entry) => entry.connection === connection);

    it('is opened, carries a conversation with a TCP peer, and is closed', async () => {
      const tls = { domain: 'web', protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: false };
      const ws = await External.open(bench, { tls });
      assert.deepEqual(ws.opened, {
        type: 'opened',
        connection: ws.connection,
        direction: 'in',
        listener: 77,
        remote,
        local,
        tls,
      });
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      bob.write(send('fromBob1', [uri, own], 'msrp://bob.example:1/b;tcp', 'hello browser'));
      const got = await ws.request('SEND');
      assert.equal(got.body?.toString(), 'hello browser');
      assert.equal((await bob.next()).kind, 'response');
      ws.write(respondTo(got, 200));
      await bench.settled();
      ws.write(send('fromWeb1', [uri, 'msrp://bob.example:1/b;tcp'], own, 'hello bob'));
      assert.equal((await bob.request('SEND')).body?.toString(), 'hello bob');
      assert.equal((await ws.next()).tid, 'fromWeb1');
      assert.equal(info(ws.connection)?.tls?.cipher, 'TLS_AES_128_GCM_SHA256');
      assert.equal(info(ws.connection)?.sessions, 1);
      bench.engine.endExternal(ws.connection, 'peer_closed', 'code 1001');
      assert.equal((await bench.event('sessionClosed')).reason, 'connection_closed');
      const closed = await bench.event('closed');
      assert.deepEqual([closed.connection, closed.reason, closed.detail], [ws.connection, 'peer_closed', 'code 1001']);
      assert.equal(bench.engine.take(ws.connection), undefined);
      assert.equal(bench.engine.feed(ws.connection, Buffer.from('x')), 0);
      assert.equal(info(ws.connection), undefined);
    });

    it('a request goes up, and its answer comes out', async () => {
      const ws = await External.open(bench);
      ws.write(frame('auth1', 'AUTH', `msrp://127.0.0.1:${bench.port};tcp`, 'msrps://x.invalid:1/c;ws'));
      const event = await bench.event('request');
      assert.equal(event.listener, 77);
      assert.equal(event.remote.address, remote.address);
      bench.engine.answer(event.request, { status: 401, comment: 'no', headers: [['X-A', 'b']] });
      const answer = await ws.next();
      assert.equal(header(answer, 'X-A'), 'b');
    });

    it('its frames are told when it is traced', async () => {
      bench.engine.traceNew(3);
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      bob.write(send('fromBob1', [uri, own], 'msrp://bob.example:1/b;tcp', 'hello'));
      const got = await ws.request('SEND');
      const answer = respondTo(got, 200);
      ws.write(answer);
      const of = (direction: 'in' | 'out') =>
        bench.event('frame', (event) => event.connection === ws.connection && event.direction === direction);
      const out = await of('out');
      assert.deepEqual([out.bodyOctets, out.bodyKept], [5, 3]);
      assert.equal(Buffer.from(out.bytes).toString(), got.raw.toString().replace('\r\nhello\r\n', '\r\nhel\r\n'));
      assert.equal(Buffer.from((await of('in')).bytes).toString(), answer);
    });

    it('limits refuse it as any other, and it has its time of probation', async () => {
      bench.engine.setLimits({ ...bench.limits, maxConnectionsPerIp: 1, probationMs: 5000 });
      const first = await External.open(bench);
      const second = bench.engine.openExternal({ listener: 77, remote, local, chunkOctets: CHUNK });
      const refused = await bench.event('closed');
      assert.deepEqual([refused.connection, refused.reason], [second, 'max_connections_per_ip']);
      bench.clock.advance(6000);
      const closed = await bench.event('closed');
      assert.deepEqual([closed.connection, closed.reason], [first.connection, 'probation']);
      const third = await External.open(bench);
      assert.equal(info(third.connection)?.state, 'probation');
    });

    it('what is fed in any pieces is framed; what is no MSRP closes it, and what was said before is still to be taken', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      const text = send('fromWeb1', [uri, 'msrp://bob.example:1/b;tcp'], own, 'in pieces');
      bob.write(send('warm0001', [uri, own], 'msrp://bob.example:1/b;tcp'));
      ws.write(respondTo(await ws.request('SEND'), 200));
      await bob.response(200);
      for (const byte of Buffer.from(text)) ws.write(String.fromCharCode(byte));
      assert.equal((await bob.request('SEND')).body?.toString(), 'in pieces');
      assert.equal((await ws.next()).tid, 'fromWeb1');
      ws.hold();
      ws.write(send('fromWeb2', [uri, 'msrp://bob.example:1/b;tcp'], own, 'last words'));
      await bob.request('SEND');
      ws.write('this is no MSRP at all\r\n');
      assert.equal((await bench.event('closed')).reason, 'protocol_error');
      ws.release();
      assert.equal((await ws.next()).tid, 'fromWeb2');
      await ws.untilGone();
    });

    it('R-086: what is longer than the bound comes in chunks, each a whole frame, whatever it came in', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      bob.answering = true;
      for (const size of [CHUNK, CHUNK + 1, 3 * CHUNK, 200_000, 1_000_003]) {
        const body = randomBytes(size);
        const head = send('long0001', [uri, own], 'msrp://bob.example:1/b;tcp', '', []);
        const [before, after] = head.replace('1-0/0', `1-${size}/${size}`).split('\r\n\r\n') as [string, string];
        bob.write(Buffer.concat([Buffer.from(`${before}\r\n\r\n`), body, Buffer.from(after)]));
        const hash = createHash('sha1');
        let next = 1;
        for (let flag = '+'; flag === '+';) {
          const got = await ws.request('SEND');
          const octets = got.body as Buffer;
          assert.ok(octets.length <= CHUNK && octets.length > 0, `${octets.length}`);
          assert.match(header(got, 'Byte-Range') as string, new RegExp(`^${next}-(\\*|${size})/${size}$`));
          next += octets.length;
          hash.update(octets);
          flag = got.flag;
          ws.write(respondTo(got, 200));
        }
        assert.equal(next, size + 1);
        assert.equal(hash.digest('hex'), createHash('sha1').update(body).digest('hex'));
        await bob.response(200);
      }
      await bench.settled();
      assert.equal(bench.engine.stats().dropped, 0);
    });

    it('R-086: a peer that writes straight to the client of another thread gets short chunks, too', async () => {
      // Two connections live on two threads, where there are two.
      const alice = await External.open(bench);
      const { uri, own } = alice.session('alice');
      const bob = await External.open(bench);
      const bobUri = 'msrps://bob.invalid:9/b;ws';
      bob.write(send('hello001', [uri, own], bobUri));
      alice.write(respondTo(await alice.request('SEND'), 200));
      assert.equal((await bob.next()).tid, 'hello001');
      const body = 'x'.repeat(50_000);
      alice.write(send('long0001', [uri, bobUri], own, body));
      let octets = 0;
      while (octets < body.length) {
        const got = await bob.request('SEND');
        assert.ok((got.body?.length ?? 0) <= CHUNK, `${got.body?.length}`);
        octets += got.body?.length ?? 0;
        bob.write(respondTo(got, 200));
      }
      assert.equal((await alice.next()).tid, 'long0001');
      await bench.settled();
    });

    it('I6: 2,000 pipelined messages come out in order', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      for (let i = 0; i < 2000; i++)
        bob.write(
          send(`n${String(i).padStart(7, '0')}`, [uri, own], 'msrp://bob.example:1/b;tcp', `${i} ${'y'.repeat(i)}`),
        );
      for (let i = 0; i < 2000; i++) {
        const got = await ws.request('SEND');
        assert.ok(got.body?.toString().startsWith(`${i} `), `${i}`);
        ws.write(respondTo(got, 200));
      }
      for (let i = 0; i < 2000; i++) await bob.response(200);
      await bench.settled();
    });

    it('I2: what is not taken stops its sources, and goes on with nothing lost', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web', false);
      const bob = await bench.connect();
      ws.hold();
      let count = 0;
      for (let still = 0; still < 500; still++) {
        if (info(bob.connection)?.paused !== true) {
          for (let k = 0; k < 50; k++) {
            const tid = `n${String(count).padStart(7, '0')}`;
            bob.write(send(tid, [uri, own], 'msrp://bob.example:1/b;tcp', `${count++} ${'x'.repeat(1000)}`));
          }
          still = 0;
        }
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(count < 200_000, 'the relay never stopped reading');
      }
      const queued = info(ws.connection)?.queuedBytes ?? 0;
      assert.ok(queued > OUTBOX / 2 && queued <= OUTBOX + 2 * READ, `${queued}`);
      ws.release();
      for (let i = 0; i < count; i++) {
        const got = await ws.request('SEND');
        assert.ok(got.body?.toString().startsWith(`${i} `), `${i}`);
        ws.write(respondTo(got, 200));
      }
      for (let i = 0; i < count; i++) await bob.response(200);
      await bench.emptied();
      assert.equal(bench.engine.stats().dropped, 0);
    });

    it('I2: feeding is told to stop while a receiver is full, and to go on', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      bob.write(send('warm0001', [uri, own], 'msrp://bob.example:1/b;tcp'));
      ws.write(respondTo(await ws.request('SEND'), 200));
      await bob.response(200);
      bob.pauseReading();
      let count = 0;
      let fed = true;
      for (let still = 0; still < 500; still++) {
        while (fed) {
          const tid = `n${String(count).padStart(7, '0')}`;
          fed = ws.write(send(tid, [uri, 'msrp://bob.example:1/b;tcp'], own, `${count++} ${'x'.repeat(1000)}`));
          assert.ok(count < 200_000, 'feeding was never told to stop');
        }
        ws.pull();
        const room = bench.events.findIndex(({ type }) => type === 'room');
        if (room >= 0) {
          bench.events.splice(room, 1);
          fed = true;
          still = 0;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok((info(bob.connection)?.queuedBytes ?? 0) <= OUTBOX + 2 * READ);
      bob.resumeReading();
      for (let i = 0; i < count; i++) {
        // Whoever does not read its responses is not read from.
        await until('a frame', () => {
          ws.pull();
          return bob.frames.length > 0;
        });
        const got = await bob.request('SEND');
        assert.ok(got.body?.toString().startsWith(`${i} `), `${i}`);
        bob.write(respondTo(got, 200));
      }
      await bench.event('room');
      for (let i = 0; i < count; i++) await ws.next();
    });

    it('I2: two that flood each other and do not take: nobody waits for good, on any threads', async () => {
      // Two connections live on two threads, where there are two; each of them has a session.
      const [alice, bob] = [await External.open(bench), await External.open(bench)];
      const [a, b] = [alice.session('alice'), bob.session('bob')];
      alice.hold();
      bob.hold();
      const body = 'x'.repeat(10_000);
      const counts = { alice: 0, bob: 0 };
      for (let still = 0; still < 300; still++) {
        for (const [name, from, path, own] of [
          ['alice', alice, [a.uri, b.uri, b.own], a.own],
          ['bob', bob, [b.uri, a.uri, a.own], b.own],
        ] as const) {
          if (info(from.connection)?.paused !== false) continue;
          from.write(send(`${name}${String(counts[name]++).padStart(6, '0')}`, path, own, body));
          still = 0;
        }
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(counts.alice + counts.bob < 5000, 'nobody was ever stopped');
      }
      alice.release();
      bob.release();
      const seen = { alice: 0, bob: 0 };
      const receive = async (name: 'alice' | 'bob', from: External, count: () => number): Promise<void> => {
        while (seen[name] < count()) {
          const got = await from.next();
          if (got.kind === 'response') continue;
          seen[name]++;
          from.write(respondTo(got, 200));
        }
      };
      await Promise.all([receive('alice', alice, () => counts.bob), receive('bob', bob, () => counts.alice)]);
      await bench.settled();
    });

    it('send_timeout: what is taken and never sent', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      ws.hold();
      bob.write(send('n0000001', [uri, own], 'msrp://bob.example:1/b;tcp'));
      await bob.response(200);
      await bench.event('output');
      assert.equal(bench.engine.take(ws.connection)?.ends.length, 1);
      bench.clock.advance(29_000);
      assert.equal(info(ws.connection)?.state, 'open');
      bench.clock.advance(2000);
      assert.equal((await bench.event('closed')).reason, 'send_timeout');
      assert.equal((await bob.request('REPORT')).kind, 'request');
    });

    it('a sender that dies in a long chunk: the rest is finished with #', async () => {
      const ws = await External.open(bench);
      const { uri, own } = ws.session('web');
      const bob = await bench.connect();
      const head = send('long0001', [uri, own], 'msrp://bob.example:1/b;tcp', '').replace('1-0/0', '1-90000/90000');
      bob.write(`${head.split('\r\n\r\n')[0]}\r\n\r\n${'z'.repeat(40_000)}`);
      let octets = 0;
      while (octets < 32_768) octets += (await ws.request('SEND')).body?.length ?? 0;
      bob.destroy();
      let flag = '+';
      while (flag === '+') flag = (await ws.request('SEND')).flag;
      assert.equal(flag, '#');
    });
  });
}

/** The control plane's side of an external connection, as a transport would be. */
class External {
  readonly connection: ConnectionId;
  opened: unknown;
  readonly #bench: Bench;
  readonly #frames: Received[] = [];
  readonly #framer = new TsFramer({ streamAfterBytes: Infinity });
  #held = false;

  static async open(bench: Bench, more: object = {}): Promise<External> {
    const external = new External(bench, more);
    external.opened = await bench.event('opened', ({ connection }) => connection === external.connection);
    return external;
  }

  private constructor(bench: Bench, more: object) {
    this.#bench = bench;
    this.connection = bench.engine.openExternal({ listener: 77, remote, local, chunkOctets: CHUNK, ...more });
  }

  session(name: string, exclusivePeer = true): { uri: string; own: string; session: SessionId } {
    const own = `msrps://${name}.invalid:2855/${name}Client;ws`;
    const uri = `msrp://127.0.0.1:${this.#bench.port}/${name}Session0123456789;tcp`;
    const session = this.#bench.engine.openSession({
      uri,
      clientPath: [own],
      previousHop: { connection: this.connection },
      expiresAtMs: this.#bench.clock.nowMs + 1_800_000,
      exclusivePeer,
    });
    return { uri, own, session };
  }

  write(text: string): boolean {
    return this.#bench.engine.feed(this.connection, Buffer.from(text, 'latin1')) < FEED_BYTES;
  }

  /** Takes nothing from now on. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
  }

  async next(): Promise<Received> {
    const wait = async (): Promise<Received> => {
      for (;;) {
        const frame = this.#frames.shift();
        if (frame !== undefined) return frame;
        this.pull();
        if (this.#frames.length === 0)
          await this.#bench.event('output', ({ connection }) => connection === this.connection);
      }
    };
    return within('a frame', wait());
  }

  async request(method: string): Promise<RequestFrame & { raw: Buffer }> {
    const frame = await this.next();
    assert.equal(frame.kind === 'request' ? frame.method : frame.status, method);
    return frame as RequestFrame & { raw: Buffer };
  }

  async untilGone(): Promise<void> {
    await until('its end', () => {
      this.pull();
      return !this.#bench.engine.connections().some(({ connection }) => connection === this.connection);
    });
  }

  /** Takes what there is, to be looked at later. */
  pull(): void {
    if (this.#held) return;
    for (;;) {
      const output = this.#bench.engine.take(this.connection);
      if (output === undefined) return;
      let from = 0;
      for (const end of output.ends) {
        this.#frames.push(this.#read(Buffer.from(output.bytes.subarray(from, end))));
        from = end;
      }
      assert.equal(from, output.bytes.length);
    }
  }

  /** Exactly one frame. */
  #read(raw: Buffer): Received {
    const records = new Uint32Array(4 * RECORD_WORDS);
    assert.equal(this.#framer.scan(raw, 0, raw.length, records), 1, raw.toString('latin1'));
    assert.equal(records[R.END], raw.length);
    const frame = decodeFrame(raw, records, 0);
    const body = records[R.BITS]! & BIT.HAS_BODY ? Buffer.from(frame.body as Buffer) : undefined;
    return { ...frame, body, raw };
  }
}
