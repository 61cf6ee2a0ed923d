import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { FileSink, safeName } from '../../src/endpoint/file-sink.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import { frame, header, respondTo, within } from '../engine/harness.ts';
import { Timers, listening, scripted } from './scripted.ts';
import type { Scripted } from './scripted.ts';

describe('sending', () => {
  let far: Scripted;
  let timers: Timers;
  beforeEach(async () => {
    timers = new Timers();
    far = await scripted(timers);
  });
  afterEach(() => far.close());

  it('chunks in order, ranges and flags (C-043…C-049), one answer each', async () => {
    const body = randomBytes(10_000);
    const progress: number[] = [];
    const sent = far.client.send({
      to: far.uri,
      contentType: 'a/b',
      body,
      chunkBytes: 4096,
      onProgress: (octets) => progress.push(octets),
    });
    const seen: string[] = [];
    const got: Buffer[] = [];
    for (let i = 0; i < 3; i++) {
      const chunk = await far.peer.request('SEND');
      seen.push(`${header(chunk, 'Byte-Range')}${chunk.flag}`);
      got.push(chunk.body!);
      far.peer.write(respondTo(chunk, 200));
    }
    assert.deepEqual(seen, ['1-*/10000+', '4097-*/10000+', '8193-10000/10000$']);
    assert.deepEqual(Buffer.concat(got), body);
    assert.equal((await sent).octets, 10_000);
    assert.deepEqual(progress, [4096, 8192, 10_000]);
  });

  it('an empty body is one chunk; a stream of unknown length has no total', async () => {
    const empty = far.client.send({ to: far.uri, contentType: 'a/b', body: '' });
    const chunk = await far.peer.request('SEND');
    assert.deepEqual([header(chunk, 'Byte-Range'), chunk.body?.length, chunk.flag], ['1-0/0', 0, '$']);
    far.peer.write(respondTo(chunk, 200));
    await empty;
    const stream = far.client.send({
      to: far.uri,
      contentType: 'a/b',
      body: Readable.from([Buffer.alloc(2000), Buffer.alloc(500)]),
      chunkBytes: 2048,
    });
    const first = await far.peer.request('SEND');
    assert.deepEqual([header(first, 'Byte-Range'), first.flag], ['1-2048/*', '+']);
    const second = await far.peer.request('SEND');
    assert.deepEqual([header(second, 'Byte-Range'), second.flag], ['2049-2500/*', '$']);
    far.peer.write(respondTo(first, 200) + respondTo(second, 200));
    await stream;
  });

  it('C-092: 413 stops the message, with # (section 6)', async () => {
    const sent = assert.rejects(
      far.client.send({ to: far.uri, contentType: 'a/b', body: Readable.from(endless()), chunkBytes: 2048 }),
      { code: 'E_REFUSED', status: 413 },
    );
    far.peer.write(respondTo(await far.peer.request('SEND'), 413));
    let flag = '+';
    while (flag === '+') flag = (await far.peer.request('SEND')).flag;
    assert.equal(flag, '#');
    await sent;
  });

  it('a failure REPORT ends it, too; so does the caller', async () => {
    const sent = assert.rejects(
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: Readable.from(endless()),
        chunkBytes: 2048,
        messageId: 'mine1',
      }),
      { status: 408 },
    );
    far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    far.peer.write(
      frame('rep1', 'REPORT', far.client.uri, far.uri, [
        'Message-ID: mine1',
        'Byte-Range: 1-2048/*',
        'Status: 000 408',
      ]),
    );
    await sent;
    const abort = new AbortController();
    const stopped = assert.rejects(
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: Readable.from(endless()),
        chunkBytes: 2048,
        signal: abort.signal,
      }),
      { code: 'E_ABORTED' },
    );
    abort.abort();
    await stopped;
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', signal: AbortSignal.abort() }), {
      code: 'E_ABORTED',
    });
  });

  it('C-071: no response in 30 s is a failure; with Failure-Report no there is none to wait for', async () => {
    const sent = assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' }), { code: 'E_TIMEOUT' });
    await far.peer.request('SEND');
    timers.advance(30_000);
    await sent;
    await far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', failureReport: 'no' });
    await far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', failureReport: 'partial' });
  });

  it('C-064: with a success REPORT asked for, it waits until all octets are confirmed', async () => {
    const sent = far.client.send({
      to: far.uri,
      contentType: 'a/b',
      body: Buffer.alloc(3000),
      chunkBytes: 2048,
      successReport: true,
      messageId: 'conf1',
    });
    for (let i = 0; i < 2; i++) far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    let done = false;
    void sent.then(() => (done = true));
    const report = (range: string): string =>
      frame('rep1', 'REPORT', far.client.uri, far.uri, [
        'Message-ID: conf1',
        `Byte-Range: ${range}/3000`,
        'Status: 000 200 OK',
      ]);
    far.peer.write(report('2049-3000'));
    // A REPORT is not answered: what comes next is the answer to the other request.
    far.peer.write(frame('frob', 'FROB', far.client.uri, far.uri));
    await far.peer.response(501);
    assert.equal(done, false);
    far.peer.write(report('1-2048'));
    assert.equal((await sent).confirmed, true);
    const late = assert.rejects(
      far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', successReport: true, reportTimeoutMs: 1000 }),
      { code: 'E_TIMEOUT' },
    );
    far.peer.write(respondTo(await far.peer.request('SEND'), 200));
    far.peer.write(frame('frob', 'FROB', far.client.uri, far.uri));
    await far.peer.response(501);
    timers.advance(1000);
    await late;
  });

  it('C-054: two messages take turns', async () => {
    const [one, two] = [1, 2].map((n) =>
      far.client.send({
        to: far.uri,
        contentType: 'a/b',
        body: Buffer.alloc(20_000, n),
        chunkBytes: 2048,
        messageId: `turn${n}`,
      }),
    );
    const order: string[] = [];
    for (let i = 0; i < 20; i++) {
      const chunk = await far.peer.request('SEND');
      order.push(header(chunk, 'Message-ID')!);
      far.peer.write(respondTo(chunk, 200));
    }
    await Promise.all([one, two]);
    assert.ok(order.slice(0, 6).includes('turn1') && order.slice(0, 6).includes('turn2'), order.join(' '));
  });

  it('the connection goes: what is under way fails', async () => {
    const sent = assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' }), { code: 'E_CLOSED' });
    const closed = once(far.client, 'closed');
    await far.peer.request('SEND');
    far.peer.reset();
    await sent;
    await within('closed', closed);
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x' }), { code: 'E_CLOSED' });
  });

  it('bad arguments are refused', async () => {
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: 'x', chunkBytes: 100 }), {
      code: 'E_ARGUMENT',
    });
    await assert.rejects(far.client.send({ to: 'nonsense', contentType: 'a/b', body: 'x' }), {
      code: 'E_ARGUMENT',
    });
    await assert.rejects(MsrpClient.connect({}), { code: 'E_ARGUMENT' });
    await assert.rejects(MsrpClient.connect({ relay: 'msrp://127.0.0.1:1;tcp' }), { code: 'E_ARGUMENT' });
    await assert.rejects(MsrpClient.connect({ peer: 'msrp://127.0.0.1:1/x;tcp' }), { code: 'E_CONNECT' });
  });
});

describe('receiving', () => {
  it('C-070: who is answered, and what', async () => {
    await using side = await listening({ acceptTypes: ['text/*'] });
    const { peer, from, chunk, messages, uri } = side;
    peer.write(chunk('yes1', 'mid1', '1-2/2', 'hi'));
    assert.equal((await peer.response(200)).tid, 'yes1');
    peer.write(chunk('part', 'mid2', '1-2/2', 'hi', '$', ['Failure-Report: partial']));
    peer.write(chunk('none', 'mid3', '1-2/2', 'hi', '$', ['Failure-Report: no']));
    peer.write(frame('type', 'SEND', uri, from, ['Message-ID: mid4', 'Content-Type: image/png'], 'x'));
    assert.equal((await peer.response(415)).tid, 'type');
    peer.write(
      frame('sess', 'SEND', uri.replace(';tcp', 'x;tcp'), from, ['Message-ID: mid5', 'Content-Type: text/plain'], 'x'),
    );
    assert.equal((await peer.response(481)).tid, 'sess');
    peer.write(frame('path', 'SEND', [uri, from], from, ['Message-ID: mid5', 'Content-Type: text/plain'], 'x'));
    assert.equal((await peer.response(481)).tid, 'path');
    peer.write(frame('nomi', 'SEND', uri, from, ['Content-Type: text/plain'], 'x'));
    assert.equal((await peer.response(400)).tid, 'nomi');
    peer.write(frame('bind', 'SEND', uri, from, ['Message-ID: mid6', 'Byte-Range: 1-0/0']));
    assert.equal((await peer.response(200)).tid, 'bind');
    peer.write(frame('meth', 'FROB', uri, from));
    assert.equal((await peer.response(501)).tid, 'meth');
    assert.deepEqual(
      messages.map(({ messageId }) => messageId),
      ['mid1', 'mid2', 'mid3'],
    );
  });

  it('C-083…C-088: out of order, overlapping, repeated; the REPORT comes when all is there, and again when asked again', async () => {
    await using side = await listening();
    const { peer, chunk, messages, from, uri } = side;
    const ask = ['Success-Report: yes'];
    peer.write(chunk('c3xx', 'mid1', '7-9/9', 'ghi', '$', ask));
    await peer.response(200);
    peer.write(chunk('c1xx', 'mid1', '1-4/9', 'abcX', '+', ask));
    await peer.response(200);
    peer.write(chunk('c2xx', 'mid1', '4-6/9', 'def', '+', ask));
    await peer.response(200);
    const report = await peer.request('REPORT');
    assert.deepEqual([report.toPath, report.fromPath], [[from], [uri]]);
    assert.deepEqual(
      [header(report, 'Message-ID'), header(report, 'Byte-Range'), header(report, 'Status')],
      ['mid1', '1-9/9', '000 200 OK'],
    );
    // C-060
    assert.deepEqual([header(report, 'Success-Report'), header(report, 'Failure-Report')], [undefined, undefined]);
    assert.equal(messages[0]?.text(), 'abcdefghi');
    peer.write(chunk('again', 'mid1', '1-9/9', 'abcdefghi', '$', ask));
    await peer.response(200);
    assert.equal(header(await peer.request('REPORT'), 'Message-ID'), 'mid1');
    assert.equal(messages.length, 1);
  });

  it('C-087, D-13: # drops a message, and late chunks do not begin it again', async () => {
    await using side = await listening();
    const { peer, chunk, messages, aborted } = side;
    peer.write(chunk('c1xx', 'mid1', '1-3/9', 'abc', '+'));
    await peer.response(200);
    peer.write(chunk('c2xx', 'mid1', '4-*/9', 'x', '#'));
    await peer.response(200);
    peer.write(chunk('c3xx', 'mid1', '1-3/3', 'abc'));
    await peer.response(200);
    assert.deepEqual(aborted, ['mid1']);
    assert.equal(messages.length, 0);
  });

  it('D-14, D-15: limits are answered 413, before anything is kept', async () => {
    await using side = await listening({
      maxMessageBytes: 1000,
      maxPartial: 2,
      maxAssemblyBytes: 1500,
    });
    const { peer, chunk, messages } = side;
    peer.write(chunk('tot1', 'mid1', '1-3/2000', 'abc', '+'));
    await peer.response(413);
    peer.write(chunk('beg1', 'mid2', '1002-*/*', 'abc', '+'));
    await peer.response(413);
    peer.write(chunk('len1', 'mid3', '999-*/*', 'abcdef', '+'));
    await peer.response(413);
    peer.write(chunk('p1xx', 'mid4', '1-*/*', 'a'.repeat(800), '+'));
    await peer.response(200);
    peer.write(chunk('p2xx', 'mid5', '1-*/*', 'a'.repeat(800), '+'));
    await peer.response(413);
    peer.write(chunk('p3xx', 'mid6', '1-*/*', 'a', '+'));
    await peer.response(200);
    peer.write(chunk('p4xx', 'mid7', '1-*/*', 'a', '+'));
    await peer.response(413);
    peer.write(chunk('p1en', 'mid4', '801-803/803', 'end'));
    await peer.response(200);
    assert.equal(messages[0]?.octets, 803);
  });

  it('C-081: a second connection is refused 506, a wrong session 481', async () => {
    await using side = await listening();
    const { peer, chunk, uri } = side;
    peer.write(chunk('one1', 'mid1', '1-2/2', 'hi'));
    await peer.response(200);
    await using second = await MsrpClient.connect({ peer: uri });
    await assert.rejects(second.send({ to: uri, contentType: 'a/b', body: 'x' }), { status: 506 });
    await assert.rejects(second.send({ to: uri.replace(';tcp', 'x;tcp'), contentType: 'a/b', body: 'x' }), {
      status: 481,
    });
  });

  it('a file goes to disk under a safe name, whatever is proposed (X-075)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'msrpd-sink-'));
    const source = join(folder, 'source.bin');
    const bytes = randomBytes(3_000_000);
    writeFileSync(source, bytes);
    const sinks: FileSink[] = [];
    const receive = (head: { headers: readonly (readonly [string, string])[] }): FileSink => {
      sinks.push(new FileSink(folder, head.headers));
      return sinks.at(-1)!;
    };
    await using listener = await MsrpListener.listen({ receive });
    await using client = await MsrpClient.connect({ peer: listener.uri });
    const headers = [['Content-Disposition', 'attachment; filename="../../../etc/source.bin"']] as const;
    const result = await client.send({
      to: listener.uri,
      contentType: 'a/b',
      body: { file: source },
      headers,
      successReport: true,
    });
    assert.equal(result.octets, bytes.length);
    assert.equal(sinks[0]?.path, join(folder, 'source-1.bin'));
    const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    assert.equal(hash(readFileSync(sinks[0].path)), hash(bytes));
    assert.equal(readdirSync(folder).length, 2);
    for (const [given, name] of [
      ['attachment; filename="a b.txt"', 'a b.txt'],
      ['attachment; filename=plain.txt', 'plain.txt'],
      ['attachment; filename="..\\\\..\\\\x"', 'x'],
      ['attachment; filename="/"', 'message'],
      ['attachment; filename=".."', 'message'],
      ['attachment; filename=".bashrc"', 'bashrc'],
      ['', 'message'],
      [`attachment; filename="${'x'.repeat(500)}"`, 'x'.repeat(100)],
      ['attachment; filename="\u202etxt.exe\n"', '_txt.exe_'],
    ] as const) {
      assert.equal(safeName(given), name, given);
    }
  });
});

function* endless(): Generator<Buffer> {
  for (let i = 0; i < 100_000; i++) yield Buffer.alloc(2048);
}
