import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import type { FrameEvent } from '../../src/engine/engine.ts';
import { Tap } from '../../src/engine/ts/tap.ts';
import { namesOf, redactFrame } from '../../src/trace/redact.ts';
import { Bench, TRANSPORTS, frame, send, until, within } from '../engine/harness.ts';
import { KINDS } from '../listen/engines.ts';
import { file, startRelay } from '../listen/fixture.ts';
import { Collector } from './collector.ts';
import type { Seen } from './collector.ts';

const isFrame = ({ info }: Pick<Seen, 'info'>): boolean => info['payloadType'] === 0x64;

describe('frames of traced connections', () => {
  for (const { name, make } of TRANSPORTS) {
    it(`${name}: what was read and what was written, and nothing of a connection that is not traced`, async () => {
      const bench = await Bench.start(make);
      try {
        const [alice, bob] = [await bench.client('alice'), await bench.client('bob')];
        bob.peer.answering = true;
        // A thread hears of a command later than she can send: asks, and looks whether the frame was told before the question.
        const trace = async (bodyBytes: number): Promise<void> => {
          bench.engine.traceFrames(alice.peer.connection, bodyBytes);
          await until('tracing to go on or off', async () => {
            const before = told().length;
            await ask();
            return told().length > before === bodyBytes >= 0;
          });
        };
        const ask = async (): Promise<void> => {
          alice.peer.write(frame('ask1', 'AUTH', `msrp://127.0.0.1:${bench.port};tcp`, alice.own));
          const { request } = await bench.event('request');
          bench.engine.answer(request, { status: 403, comment: 'Forbidden', headers: [] });
          await alice.peer.response(403);
        };
        const isOf =
          (tid: string, ...directions: FrameEvent['direction'][]) =>
          ({ bytes, direction }: FrameEvent): boolean =>
            directions.includes(direction) && Buffer.from(bytes).toString().startsWith(`MSRP ${tid} `);
        const told = (): FrameEvent[] => bench.events.filter((event) => event.type === 'frame');
        await trace(3);
        const to = [alice.uri, bob.uri, bob.own];
        alice.peer.write(send('tid1', to, alice.own, 'hello'));
        const answer = await alice.peer.response(200);
        // Two threads may tell them, when she moves with the first one.
        const first = await bench.event('frame', isOf('tid1', 'in'));
        assert.deepEqual([first.connection, first.bodyOctets, first.bodyKept], [alice.peer.connection, 5, 3]);
        assert.equal(
          Buffer.from(first.bytes).toString(),
          send('tid1', to, alice.own, 'hello').replace('\r\nhello\r\n', '\r\nhel\r\n'),
        );
        const second = await bench.event('frame', isOf('tid1', 'out'));
        assert.ok(Buffer.from(second.bytes).equals(answer.raw));
        await trace(-1);
        alice.peer.write(send('tid2', to, alice.own, 'again'));
        await alice.peer.response(200);
        await ask();
        assert.deepEqual(told().filter(isOf('tid2', 'in', 'out')), []);
      } finally {
        await bench.stop();
      }
    });
  }

  for (const { name, make } of TRANSPORTS) {
    it(`${name}: the last word before a connection is closed is told before its end`, async () => {
      const bench = await Bench.start(make);
      try {
        bench.engine.traceNew(0);
        const peer = await bench.connect();
        const own = `msrp://127.0.0.1:${bench.port};tcp`;
        peer.write(frame('tid1', 'AUTH', own, 'msrp://127.0.0.1:9/x;tcp'));
        const { request, connection } = await bench.event('request');
        bench.engine.answer(request, { status: 403, comment: 'Forbidden', headers: [] });
        bench.engine.closeConnection(connection, 'auth_failures');
        await peer.response(403);
        await bench.event('closed', (event) => {
          const before = bench.events.slice(0, bench.events.indexOf(event)).filter(({ type }) => type === 'frame');
          const words = before.map(
            (each) => /^MSRP \S+ (\S+)/.exec(Buffer.from((each as FrameEvent).bytes).toString())?.[1],
          );
          assert.deepEqual(words, ['AUTH', '403']);
          return true;
        });
      } finally {
        await bench.stop();
      }
    });
  }

  it('whatever the pieces, the tap tells the same frames (I1)', () => {
    const to = 'msrp://relay.example:2855/s0123456789;tcp';
    const text = Buffer.from(
      [
        send('tid1', to, to, 'x'.repeat(5000)),
        frame('tid2', 'REPORT', to, to, ['Message-ID: 1']),
        frame('tid1', '200 OK', to, to),
        send('tid3', to, to, 'short'),
      ].join(''),
    );
    const told = (cuts: readonly number[]): unknown[] => {
      const events: FrameEvent[] = [];
      const tap = new Tap(1, 10, (event) => events.push(event));
      let from = 0;
      // The first piece shows that a frame begins: that is how a tap falls in step.
      for (const cut of [
        ...new Set([5, ...cuts.map((value) => Math.max(5, value % text.length)), text.length]),
      ].toSorted((a, b) => a - b)) {
        tap.in.push(Buffer.from(text.subarray(from, cut)));
        from = cut;
      }
      return events.map(({ bytes, bodyOctets, bodyKept }) => [
        Buffer.from(bytes).toString('latin1'),
        bodyOctets,
        bodyKept,
      ]);
    };
    const whole = told([]);
    assert.deepEqual(
      whole.map((entry) => (entry as unknown[]).slice(1)),
      [
        [5000, 10],
        [0, 0],
        [0, 0],
        [5, 5],
      ],
    );
    fc.assert(fc.property(fc.array(fc.nat()), (cuts) => assert.deepEqual(told(cuts), whole)));
  });

  it('a tap that is put on in the middle of a frame waits for the beginning of one; garbage ends nothing', () => {
    const events: FrameEvent[] = [];
    const tap = new Tap(1, 0, (event) => events.push(event));
    const to = 'msrp://relay.example:2855/s;tcp';
    const text = Buffer.from(send('tid1', to, to));
    tap.out.push(text.subarray(50));
    tap.out.push(text);
    tap.out.push(Buffer.from('MSRP \0\r\n'));
    tap.out.push(text);
    assert.equal(events.length, 2);
  });

  it('secrets are left out: session-ids, digests', () => {
    const uri = 'msrps://alice@relay.example:2855/abcdefghijklmnop;tcp';
    const secret = redactFrame(
      Buffer.from(
        frame('tid1', 'AUTH', [uri, 'msrp://[2001:db8::1]:1/xyz;tcp'], uri, [
          'Authorization: Digest username="alice", nonce="secretnonce", response="secretresponse", cnonce=secretc, nc=00000001',
          'use-path: msrp://r:1/qrstuvwxyz;tcp',
        ]),
      ),
    );
    const text = secret.toString();
    assert.doesNotMatch(text, /efghij|secret|uvwxyz|xyz;/);
    assert.match(
      text,
      /To-Path: msrps:\/\/alice@relay\.example:2855\/abcd\*\*\*;tcp msrp:\/\/\[2001:db8::1\]:1\/xyz\*\*\*;tcp\r\n/,
    );
    assert.match(text, /username="alice", nonce="\*\*\*", response="\*\*\*", cnonce="\*\*\*", nc=00000001\r\n/);
    assert.match(text, /-------tid1\$\r\n$/);
    assert.deepEqual(namesOf(Buffer.from(send('t123', uri, 'msrp://x/wxyz123;tcp')), 'in'), {
      'message-id': 'mt123',
      session: 'abcd',
    });
    assert.equal(namesOf(Buffer.from(send('t123', uri, 'msrp://x/wxyz123;tcp')), 'out').session, 'wxyz');
  });

  for (const engine of KINDS) {
    it(`engine ${engine}: a conversation from its first frame on, behind the event of its connection, without its secrets`, async () => {
      await using collector = await Collector.start('tcp');
      await using fixture = await startRelay(traced(engine, collector, 'trace_frames: bodies, trace_body_bytes: 4'));
      const client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
      await using listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
      await client.send({ to: [listener.uri], contentType: 'text/plain', body: 'private matters' });
      await client.close();
      await collector.until(1, ({ payload }) => payload.includes('"CLOSED"'));
      const [{ info: first }] = collector.seen as [Seen];
      const ofClient = collector.seen.filter(({ info }) => info['correlation_id'] === first['correlation_id']);
      const inward = (info: Seen['info']): boolean => info['srcPort'] === first['srcPort'];
      assert.deepEqual(
        ofClient.map(({ info, payload }) => {
          const word = isFrame({ info })
            ? /^MSRP \S+ (\S+)/.exec(payload)?.[1]
            : (JSON.parse(payload) as { Event: string }).Event;
          return `${inward(info) ? '>' : '<'} ${word}`;
        }),
        ['> ACCEPTED', '> AUTH', '< 401', '> AUTH', '< 200', '> SEND', '< 200', '> CLOSED'],
      );
      const sent = ofClient.find(({ payload }) => / SEND\r\n/.test(payload))!;
      assert.match(sent.payload, /\r\n\r\npriv\r\n-------\S+\$\r\n$/);
      const [secret] = /[^/;]+(?=;tcp$)/.exec(client.path[0]!)!;
      for (const { payload } of collector.seen)
        assert.ok(!payload.includes(secret) && !/(response|nonce)="[^*]/.test(payload), payload);
      // The other side: what went on to the next hop.
      const forwarded = collector.seen.find(
        (seen) =>
          isFrame(seen) && / SEND\r\n/.test(seen.payload) && seen.info['correlation_id'] !== first['correlation_id'],
      );
      assert.ok(forwarded, 'the SEND towards the next hop');
    });

    it(`engine ${engine}: a filter that takes its time loses no frame of a connection that it wants, and shows none of another`, async () => {
      await using collector = await Collector.start('tcp');
      const hooks = file(
        `hooks-frames-${engine}.mjs`,
        `const asked = (globalThis.framesAsked ??= []);
         export const traceFilter = ({ user }) => new Promise((resolve) => asked.push({ user, resolve }));`,
      );
      await using fixture = await startRelay(`${traced(engine, collector, 'trace_frames: headers')}hooks: ${hooks}\n`);
      const asked = ((globalThis as Record<string, unknown>)['framesAsked'] ??= []) as {
        user: string | undefined;
        resolve: (verdict: boolean) => void;
      }[];
      asked.length = 0;
      const connectAnd = async (wanted: boolean): Promise<void> => {
        const client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
        // Asked when it opened, and again when its user was known.
        await until('both questions', () => asked.length >= 2);
        assert.deepEqual(
          asked.map(({ user }) => user),
          [undefined, 'alice'],
        );
        for (const { resolve } of asked.splice(0)) resolve(wanted);
        await client.close();
      };
      await connectAnd(false);
      await connectAnd(true);
      await collector.until(1, ({ payload }) => payload.includes('"CLOSED"'));
      assert.equal(new Set(collector.seen.map(({ info }) => info['correlation_id'])).size, 1);
      assert.deepEqual(
        collector.seen.filter(isFrame).map(({ payload }) => /^MSRP \S+ (\S+)/.exec(payload)?.[1]),
        ['AUTH', '401', 'AUTH', '200'],
      );
    });

    it(`engine ${engine}: a collector that stops reading costs no message`, async () => {
      const TOTAL = 10_000;
      await using collector = await Collector.start('tcp');
      await using fixture = await startRelay(
        `${traced(engine, collector, 'trace_frames: bodies, trace_body_bytes: 1500', ', queue_bytes: 65536')}
control: {listen: "http:127.0.0.1:0"}
`,
      );
      await using listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
      const bodies: string[] = [];
      let all: () => void;
      const arrived = new Promise<void>((resolve) => (all = resolve));
      listener.on('session', (session) =>
        session.on('message', (message: IncomingMessage) => {
          bodies.push(message.text());
          if (bodies.length === TOTAL) all();
        }),
      );
      await using client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
      await collector.until(1, isFrame);
      for (const socket of collector.sockets) socket.pause();
      for (let sent = 0; sent < TOTAL; sent += 100)
        await Promise.all(
          Array.from({ length: 100 }, (_, i) =>
            client.send({ to: [listener.uri], contentType: 'text/plain', body: `${sent + i} ${'x'.repeat(1400)}` }),
          ),
        );
      await within('all messages', arrived);
      assert.deepEqual(
        bodies.map((body) => Number.parseInt(body, 10)).toSorted((a, b) => a - b),
        Array.from({ length: TOTAL }, (_, i) => i),
      );
      const metrics = await (await fetch(`${fixture.server.control}/metrics`)).text();
      const dropped = Number(/trace_packets_total\{outcome="dropped"\} (\d+)/.exec(metrics)?.[1]);
      const queued = Number(/trace_queue_bytes (\d+)/.exec(metrics)?.[1]);
      assert.ok(dropped > 1000, `${dropped} packets dropped`);
      assert.ok(queued <= 65_536, `${queued} bytes queued`);
      for (const socket of collector.sockets) socket.resume();
      await client.send({ to: [listener.uri], contentType: 'text/plain', body: 'the last one' });
      const [last] = await collector.until(1, ({ payload }) => payload.includes('the last one'));
      assert.equal(last!.info['payloadType'], 0x64);
    });
  }
});

function traced(engine: string, collector: Collector, frames: string, queue = ''): string {
  return `
engine: ${engine}
listeners: [msrp:127.0.0.1:0]
msrp: {send_timeout: 30000, max_msg_chunks: 0, trace_destination: x, trace_on: true, ${frames}}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
hep: {hep_id: {x: "127.0.0.1:${collector.port}"}${queue}}
`;
}
