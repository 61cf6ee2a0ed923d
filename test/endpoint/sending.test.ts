import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { openBody } from '../../src/endpoint/send-body.ts';
import type { SendBody } from '../../src/endpoint/send-body.ts';
import { MsrpError } from '../../src/errors.ts';
import type { RequestFrame } from '../../src/syntax/frame.ts';
import { identOf } from '../../src/syntax/tid.ts';
import { frame, header, respondTo, within } from '../engine/harness.ts';
import { Timers, scripted, standstill } from './scripted.ts';
import type { Scripted } from './scripted.ts';

let far: Scripted;
let timers: Timers;
beforeEach(async () => {
  timers = new Timers();
  far = await scripted(timers);
});
afterEach(() => far.close());

const report = (messageId: string, status: string, range = '1-1/1'): string =>
  frame('repo', 'REPORT', far.client.uri, far.uri, [
    `Message-ID: ${messageId}`,
    `Byte-Range: ${range}`,
    `Status: 000 ${status}`,
  ]);

describe('a sender that is disturbed', () => {
  it('binding over a connection that goes, or has gone, rejects and does no more', async () => {
    const bound = assert.rejects(far.client.bind(far.uri), { code: 'E_CLOSED' });
    await far.peer.request('SEND');
    far.peer.reset();
    await bound;
    await assert.rejects(far.client.bind(far.uri), { code: 'E_CLOSED' });
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' }), { code: 'E_CLOSED' });
  });

  it('a refusal that comes before the chunk has left is heard', async () => {
    // The peer reads just the head of a chunk that the kernel cannot take as a whole, and answers.
    let head = '';
    far.peer.onRaw = (bytes) => (head += bytes.toString('latin1'));
    const chunks = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((n) =>
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: Buffer.alloc(1_048_576, n),
        chunkBytes: 1_048_576,
        messageId: `big${n}`,
      }),
    );
    await far.peer.untilReceived(300);
    far.peer.pauseReading();
    const tid = /^MSRP (\S+) SEND/.exec(head)![1]!;
    const refused = assert.rejects(within('the refusal', chunks[0]!), { code: 'E_REFUSED', status: 413 });
    const others = chunks.slice(1).map((chunk) => assert.rejects(chunk, { code: 'E_CLOSED' }));
    far.peer.write(frame(tid, '413 Stop', far.client.uri, far.uri));
    await refused;
    far.peer.destroy();
    await Promise.all(others);
  });

  it('the caller can end it while its own stream is silent; the peer gets #, the stream is let go', async () => {
    const stream = new PassThrough();
    const abort = new AbortController();
    const sent = assert.rejects(
      far.client.send({ to: far.uri, contentType: 'a/b', body: stream, chunkBytes: 2048, signal: abort.signal }),
      { code: 'E_ABORTED' },
    );
    stream.write(Buffer.alloc(5000));
    const first = await far.peer.request('SEND');
    assert.equal(first.flag, '+');
    abort.abort();
    await within('the abort', sent);
    const last = await far.peer.request('SEND');
    assert.deepEqual([last.flag, header(last, 'Byte-Range'), last.body?.length], ['#', '2049-2048/*', 0]);
    assert.equal(header(last, 'Message-ID'), header(first, 'Message-ID'));
    assert.ok(stream.destroyed);
  });

  it('what was never begun is not given up on the wire', async () => {
    const abort = new AbortController();
    const sent = assert.rejects(
      far.client.send({ to: far.uri, contentType: 'a/b', body: new PassThrough(), signal: abort.signal }),
      { code: 'E_ABORTED' },
    );
    setImmediate(() => abort.abort());
    await within('the abort', sent);
    const bound = far.client.bind(far.uri);
    const next = await far.peer.request('SEND');
    assert.equal(next.body, undefined);
    far.peer.write(respondTo(next, 200));
    await bound;
  });

  it('a peer that does not read stops the stream; the caller can end it all the same (I2)', async () => {
    far.peer.pauseReading();
    let pulled = 0;
    const body = async function* (): AsyncGenerator<Buffer> {
      for (;;) {
        pulled += 65_536;
        yield Buffer.alloc(65_536);
      }
    };
    const abort = new AbortController();
    const sent = assert.rejects(
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: body(),
        failureReport: 'no',
        chunkBytes: 65_536,
        signal: abort.signal,
      }),
      { code: 'E_ABORTED' },
    );
    await standstill('the stream to stand still', () => pulled);
    assert.ok(pulled < 64_000_000, `${pulled} octets were asked for`);
    abort.abort();
    await within('the abort', sent);
  });

  it('no more than 32 chunks wait for their answers; tens of thousands are no burden', async () => {
    const abort = new AbortController();
    let chunks = 0;
    const body = async function* (): AsyncGenerator<Buffer> {
      for (; chunks < 20_000; chunks++) yield Buffer.alloc(2048);
    };
    const sent = assert.rejects(
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: body(),
        chunkBytes: 2048,
        signal: abort.signal,
        messageId: 'many1',
      }),
      { code: 'E_REFUSED', status: 481 },
    );
    const waiting: RequestFrame[] = [];
    for (let i = 0; i < 32; i++) waiting.push(await far.peer.request('SEND'));
    far.peer.write(frame('frob', 'FROB', far.client.uri, far.uri));
    assert.equal((await far.peer.response(501)).tid, 'frob');
    for (const chunk of waiting) far.peer.write(respondTo(chunk, 200));
    for (let i = 0; i < 15_000; i++) far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    far.peer.write(report('many1', '481'));
    await within('the end', sent);
  });

  it('C-031: a transaction id that occurs in the body is not used', async () => {
    const octets = [0, 1].map((n) => Buffer.alloc(16, n));
    const [tid1, tid2] = octets.map((bytes) => identOf(bytes)) as [string, string];
    far.close();
    // After the connection is up: Message-ID, then the colliding tid, then another.
    const script: Buffer[] = [];
    timers.random = (into) => {
      into.set(script.shift() ?? randomBytes(into.length));
    };
    far = await scripted(timers);
    script.push(octets[0]!, octets[1]!);
    const body = `-------${tid1}$\r\n-------${tid1}+`;
    const sent = far.client.send({ to: far.uri, contentType: 'a/b', body, messageId: 'mine1' });
    const chunk = await far.peer.request('SEND');
    assert.equal(chunk.tid, tid2);
    assert.equal(chunk.body?.toString(), body);
    far.peer.write(respondTo(chunk, 200));
    await sent;
  });

  it('C-064: an empty message is confirmed by a REPORT, too', async () => {
    let done = false;
    const sent = far.client.send({
      to: far.uri,
      contentType: 'a/b',
      body: '',
      successReport: true,
      messageId: 'void1',
    });
    void sent.then(() => (done = true));
    far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    far.peer.write(frame('frob', 'FROB', far.client.uri, far.uri));
    await far.peer.response(501);
    assert.equal(done, false);
    far.peer.write(report('void1', '200 OK', '1-0/0'));
    assert.equal((await sent).confirmed, true);
  });

  it('C-070: what fails after all is told once: a REPORT behind a 200, a refusal with Failure-Report partial', async () => {
    const failures: string[] = [];
    far.client.on('failed', (messageId, error) => failures.push(`${messageId} ${error.status}`));
    const sent = far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', messageId: 'late1' });
    far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    await sent;
    await far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', messageId: 'late2', failureReport: 'partial' });
    const partial = await far.peer.request('SEND');
    far.peer.write(report('late1', '408 Timeout') + report('late1', '408 Timeout'));
    far.peer.write(report('never', '408') + report('late1', '200 OK'));
    far.peer.write(respondTo(partial, 481));
    far.peer.write(frame('frob', 'FROB', far.client.uri, far.uri));
    await far.peer.response(501);
    assert.deepEqual(failures, ['late1 408', 'late2 481']);
  });

  it('REPORTs of another namespace, and those that cannot be read, change nothing (D-16)', async () => {
    const sent = far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', messageId: 'mine1' });
    const chunk = await far.peer.request('SEND');
    for (const status of ['001 481', '000 48', '']) {
      far.peer.write(frame('repo', 'REPORT', far.client.uri, far.uri, ['Message-ID: mine1', `Status: ${status}`]));
    }
    far.peer.write(respondTo(chunk, 200));
    await sent;
  });

  it('D-17: an unknown code counts by its first digit, 2 is success and any other failure', async () => {
    for (const [code, good] of [
      [299, true],
      [199, false],
      [399, false],
      [699, false],
    ] as const) {
      const sent = far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' });
      const refused = good ? undefined : assert.rejects(sent, { code: 'E_REFUSED', status: code });
      far.peer.write(respondTo(await far.peer.request('SEND'), code));
      await (refused ?? sent);
      const failed = once(far.client, 'failed');
      const messageId = `code${code}`;
      const reported = far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', messageId, successReport: good });
      far.peer.write(respondTo(await far.peer.request('SEND'), 200));
      if (!good) await reported;
      far.peer.write(report(messageId, `${code} any`));
      if (good) assert.equal((await reported).confirmed, true);
      else assert.deepEqual(((await within('the failure', failed)) as [string, MsrpError])[1].status, code);
    }
  });

  it('what a peer says in an error cannot control a terminal', async () => {
    const sent = far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' });
    const chunk = await far.peer.request('SEND');
    far.peer.write(frame(chunk.tid, '403 \u009b31mno\u202e', far.client.uri, far.uri));
    await assert.rejects(sent, (error) => error instanceof MsrpError && /^[ -~]+$/.test(error.message));
  });

  it('nothing that is given can end a header line and begin another', async () => {
    const good = { to: far.uri, contentType: 'a/b', body: 'x' };
    for (const bad of [
      { contentType: 'a/b\r\nX: y' },
      { contentType: 'text' },
      { messageId: 'a b c d' },
      { messageId: 'abc' },
      { messageId: 'abcd\r\n' },
      { headers: [['X', 'a\r\nb']] as const },
      { headers: [['X', '\0']] as const },
      { headers: [['X:', 'a']] as const },
      { headers: [['message-id', 'abcd']] as const },
      { headers: [['Content-Type', 'a/b']] as const },
      { chunkBytes: Number.NaN },
      { chunkBytes: Infinity },
      { chunkBytes: 4096.5 },
      { to: `${far.uri}\r\nX: y` },
      { to: [] },
      { body: 5 as unknown as string },
    ]) {
      await assert.rejects(far.client.send({ ...good, ...bad }), { code: 'E_ARGUMENT' }, JSON.stringify(bad));
    }
    const first = far.client.send({ ...good, messageId: 'same1' });
    await assert.rejects(far.client.send({ ...good, messageId: 'same1' }), { code: 'E_ARGUMENT' });
    far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    await first;
    assert.deepEqual(far.peer.frames, []);
  });

  it('C-035: keeps the connection alive until it is gone', async () => {
    far.client.keepAlive(far.uri, 1000);
    for (let i = 0; i < 3; i++) {
      timers.advance(1000);
      const alive = await far.peer.request('SEND');
      assert.deepEqual([alive.body, header(alive, 'Byte-Range')], [undefined, '1-0/0']);
      far.peer.write(respondTo(alive, 200));
    }
    const closed = once(far.client, 'closed');
    far.peer.end();
    await within('closed', closed);
    timers.advance(1000);
    far.client.keepAlive(far.uri, 1000);
    timers.advance(1000);
  });

  it('a listener of the application that throws harms no frame', async () => {
    far.client.on('message', () => {
      throw new Error('of the application');
    });
    // The runner listens, too, and would take it for a failure of this test.
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = new Promise<Error>((resolve) => process.once('uncaughtException', resolve));
    const send = (tid: string): string =>
      frame(tid, 'SEND', far.client.uri, far.uri, [`Message-ID: ${tid}`, 'Content-Type: a/b'], 'x');
    far.peer.write(send('one1') + frame('frob', 'FROB', far.client.uri, far.uri));
    assert.equal((await far.peer.response(200)).tid, 'one1');
    assert.equal((await far.peer.response(501)).tid, 'frob');
    assert.match((await within('the error', thrown)).message, /of the application/);
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
});

describe('bodies', () => {
  const read = async (
    body: SendBody,
    chunkBytes: number,
  ): Promise<{ total: number | undefined; sizes: number[]; all: Buffer }> => {
    const source = await openBody(body, chunkBytes);
    const got: Buffer[] = [];
    for (;;) {
      const { value } = await source.next();
      assert.ok(value !== undefined);
      got.push(value.octets);
      if (!value.last) continue;
      assert.equal((await source.next()).done, true);
      source.close();
      return { total: source.total, sizes: got.map(({ length }) => length), all: Buffer.concat(got) };
    }
  };

  it('of any kind and however cut come out the same, every chunk full but the last', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'msrpd-body-')), 'body.bin');
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 64 }),
        async (octets, cuts, chunkBytes) => {
          const all = Buffer.from(octets);
          const pieces: Buffer[] = [];
          let at = 0;
          for (const cut of cuts) pieces.push(all.subarray(at, (at += cut)));
          pieces.push(all.subarray(at));
          writeFileSync(file, all);
          for (const [body, total] of [
            [all, all.length],
            [Readable.from(pieces), undefined],
            [{ file }, all.length],
          ] as const) {
            const result = await read(body, chunkBytes);
            assert.deepEqual(result.all, all);
            assert.equal(result.total, total);
            assert.ok(result.sizes.slice(0, -1).every((size) => size === chunkBytes));
            assert.ok(result.sizes.at(-1)! <= chunkBytes);
          }
        },
      ),
      { numRuns: 100 },
    );
    assert.equal((await read('wörld', 100)).total, 6);
  });

  it('a file that grows ends where it did; one that shrinks is an error', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'msrpd-body-')), 'body.bin');
    writeFileSync(file, Buffer.alloc(10_000));
    const growing = await openBody({ file }, 4096);
    writeFileSync(file, Buffer.alloc(20_000));
    let octets = 0;
    for (let last = false; !last;) {
      const { value } = await growing.next();
      octets += value!.octets.length;
      ({ last } = value!);
    }
    assert.equal(octets, 10_000);
    const shrinking = await openBody({ file }, 4096);
    truncateSync(file, 100);
    await assert.rejects(async () => {
      for (let last = false; !last;) last = (await shrinking.next()).value!.last;
    }, /become shorter/);
  });
});
