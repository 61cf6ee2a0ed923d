import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { FileSink } from '../../src/endpoint/file-sink.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { MessageSink } from '../../src/endpoint/receiver.ts';
import { frame, header, respondTo, within } from '../engine/harness.ts';
import type { Peer } from '../engine/harness.ts';
import { VECTORS } from '../frame/vectors.ts';
import { TestCa } from '../listen/certificates.ts';
import { Timers, dial, listening, scripted, standstill } from './scripted.ts';

describe('a peer that does harm', () => {
  it('I1: single bytes make the same messages as whole frames', async () => {
    await using side = await listening();
    const { peer, chunk, messages } = side;
    const text =
      chunk('c1xx', 'mid1', '1-13/21', 'ab\r\n-------c1', '+') + chunk('c2xx', 'mid1', '14-21/21', 'xx\r\n----');
    for (const byte of Buffer.from(text)) await peer.flush(Buffer.from([byte]));
    await peer.response(200);
    await peer.response(200);
    assert.equal(messages[0]?.text(), 'ab\r\n-------c1xx\r\n----');
  });

  it('that asks and never reads is no longer read from (I2)', async () => {
    await using side = await listening();
    const { peer, chunk, uri, from } = side;
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    peer.pauseReading();
    const flood = Buffer.from(frame('frob', 'FROB', uri, from).repeat(2000));
    // Far more than what the kernel buffers for both directions.
    const total = 100_000_000;
    let left = Math.ceil(total / flood.length);
    const flooding = (async (): Promise<void> => {
      for (; left > 0 && !peer.closed; left--) await peer.flush(flood);
    })();
    await standstill('the flood to stand still', () => left);
    assert.ok(left > 0, `${total} bytes of requests were taken without one answer being read`);
    peer.destroy();
    await flooding;
  });

  it('a body that fails, on either side, ends the message and nothing else', async () => {
    using far = await scripted();
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(5000);
      throw new Error('no more disk');
    };
    const sent = assert.rejects(
      far.client.send({ to: far.uri, contentType: 'a/b', body: Readable.from(failing()), chunkBytes: 2048 }),
      { code: 'E_ABORTED', message: /no more disk/ },
    );
    let flag = '+';
    while (flag === '+') {
      const chunk = await far.peer.request('SEND');
      ({ flag } = chunk);
      far.peer.write(respondTo(chunk, 200));
    }
    assert.equal(flag, '#');
    await sent;
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: { file: '/nowhere/at/all' } }), {
      code: 'E_ARGUMENT',
    });
    await assert.rejects(far.client.send({ to: far.uri, contentType: 'a/b', body: { file: tmpdir() } }), {
      code: 'E_ARGUMENT',
    });
  });

  it('a place for messages that fails: 413, and a failure REPORT when it has been answered already (C-066)', async () => {
    const sinks: Record<string, () => MessageSink> = {
      open: () => {
        throw new Error('permission denied');
      },
      write: () => ({ ...sink, write: () => Promise.reject(new Error('disk full')) }),
      writeNow: () => ({
        ...sink,
        write: () => {
          throw new Error('disk full');
        },
      }),
      end: () => ({ ...sink, end: () => Promise.reject(new Error('disk full')) }),
    };
    const sink: MessageSink = { write: () => undefined, end: () => undefined, abort: () => undefined };
    const receive = ({ messageId }: { messageId: string }): MessageSink => sinks[messageId]!();
    await using side = await listening({ receive });
    const { peer, chunk, messages, aborted } = side;
    peer.write(chunk('o1xx', 'open', '1-3/3', 'abc'));
    await peer.response(413);
    peer.write(chunk('w1xx', 'writeNow', '1-3/9', 'abc', '+'));
    await peer.response(413);
    for (const id of ['write', 'end']) {
      peer.write(chunk('w2xx', id, '1-3/3', 'abc', '$', ['Success-Report: yes']));
      await peer.response(200);
      const report = await peer.request('REPORT');
      assert.deepEqual(
        [header(report, 'Message-ID'), header(report, 'Status')?.slice(0, 7), header(report, 'Byte-Range')],
        [id, '000 413', '1-3/3'],
      );
      assert.deepEqual([header(report, 'Success-Report'), header(report, 'Failure-Report')], [undefined, undefined]);
    }
    peer.write(chunk('w3xx', 'write', '1-3/3', 'abc'));
    await peer.response(413);
    assert.equal(messages.length, 0);
    assert.deepEqual(aborted.toSorted(), ['end', 'write', 'writeNow']);
  });

  it('what was refused stays refused: no 200 for octets that are thrown away', async () => {
    await using side = await listening({ maxMessageBytes: 10 });
    const { peer, chunk, messages } = side;
    peer.write(chunk('c1xx', 'mid1', '1-*/*', 'abcdefghijk', '+'));
    await peer.response(413);
    peer.write(chunk('c2xx', 'mid1', '1-3/3', 'abc'));
    await peer.response(413);
    assert.equal(messages.length, 0);
  });

  it('D-15: a message that stands still is dropped by the clock, without another frame', async () => {
    const timers = new Timers();
    await using side = await listening({ environment: timers });
    const { peer, chunk, aborted } = side;
    peer.write(chunk('c1xx', 'mid1', '1-3/9', 'abc', '+'));
    await peer.response(200);
    timers.advance(119_999);
    assert.deepEqual(aborted, []);
    timers.advance(1);
    assert.deepEqual(aborted, ['mid1']);
    peer.write(chunk('c2xx', 'mid1', '4-9/9', 'defghi'));
    await peer.response(413);
  });

  it('D-13: what was dropped is forgotten after 60 s', async () => {
    const timers = new Timers();
    await using side = await listening({ environment: timers });
    const { peer, chunk, messages } = side;
    peer.write(chunk('c1xx', 'mid1', '1-3/9', 'abc', '#'));
    await peer.response(200);
    timers.advance(59_999);
    peer.write(chunk('c2xx', 'mid1', '1-3/3', 'old'));
    await peer.response(200);
    assert.equal(messages.length, 0);
    timers.advance(1);
    peer.write(chunk('c3xx', 'mid1', '1-3/3', 'new'));
    await peer.response(200);
    assert.deepEqual(
      messages.map((message) => message.text()),
      ['new'],
    );
  });

  it('D-12, D-14: a request that cannot be read is answered 400, bound or not, and binds nothing', async () => {
    await using side = await listening();
    const { peer, uri, from, chunk, messages } = side;
    const unreadable = async (of: Peer): Promise<void> => {
      for (const range of ['0-1/1', '5-1/1', '5-3/9', '1-5/3', '1-*/9007199254740993', 'x']) {
        of.write(chunk('badr', 'mid1', range, 'x'));
        assert.equal((await of.response(400)).tid, 'badr', range);
      }
      of.write(frame('badm', 'SEND', uri, from, ['Message-ID: mid1', 'Message-ID: mid2', 'Content-Type: a/b'], 'x'));
      assert.equal((await of.response(400)).tid, 'badm');
      of.write(frame('badf', 'FROB', uri, from, ['Failure-Report: perhaps']));
      assert.equal((await of.response(400)).tid, 'badf');
      // Without paths nobody can be answered, and nobody is who wants no answer.
      of.write(frame('badp', 'SEND', 'nothing', from, ['Message-ID: mid1']));
      of.write(chunk('none', 'mid1', '5-1/1', 'x', '$', ['Failure-Report: no']));
    };
    await unreadable(peer);
    const other = await dial(uri);
    other.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    assert.equal((await other.response(200)).tid, 'bind');
    await unreadable(other);
    other.write(frame('frob', 'FROB', uri, from));
    assert.equal((await other.response(501)).tid, 'frob');
    // Of one that is not bound nothing is known.
    peer.write(frame('frob', 'FROB', uri, from));
    assert.equal((await peer.response(481)).tid, 'frob');
    assert.deepEqual(
      messages.map(({ messageId }) => messageId),
      ['mid0'],
    );
  });

  it('vectors that parse, and to which an endpoint has to say something', async () => {
    const objections = new Map<string, number | undefined>([
      ['missing-message-id', 400],
      ['port-required', 481],
      // A REPORT gets no answer, whatever is wrong with it (C-061).
      ['report-without-status', undefined],
      ['report-with-report-header', undefined],
      ['non-send-not-interruptible', undefined],
      // Receivers accept it.
      ['not-interruptible-over-2048', 200],
    ]);
    await using side = await listening();
    const { peer, uri, from, chunk, messages } = side;
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    const vectors = VECTORS.filter(({ semantic }) => semantic !== undefined);
    assert.deepEqual(vectors.flatMap(({ semantic = [] }) => semantic).toSorted(), [...objections.keys()].toSorted());
    for (const { name, input = '', semantic: [objection = ''] = [] } of vectors) {
      peer.write(input.replace('msrp://bob.example:2855/bobSess9=+x;tcp', uri));
      const status = objections.get(objection);
      if (status !== undefined) assert.equal((await peer.response(status)).tid, /^MSRP (\S+)/.exec(input)?.[1], name);
      peer.write(frame('frob', 'FROB', uri, from));
      assert.equal((await peer.response(501)).tid, 'frob', name);
    }
    assert.deepEqual(
      messages.map(({ octets }) => octets),
      [1, 2049],
    );
  });

  it('D-03 e: MIME headers without a body are no message', async () => {
    await using side = await listening();
    const { peer, messages, uri, from } = side;
    peer.write(frame('keep', 'SEND', uri, from, ['Message-ID: mid1', 'Byte-Range: 1-0/0', 'Content-Type: a/b']));
    await peer.response(200);
    assert.deepEqual(messages, []);
  });

  it('C-074: another method gets no answer when it wants none', async () => {
    await using side = await listening();
    const { peer, chunk, uri, from } = side;
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    peer.write(frame('none', 'FROB', uri, from, ['Failure-Report: no']));
    peer.write(frame('some', 'FROB', uri, from));
    assert.equal((await peer.response(501)).tid, 'some');
  });

  it('garbage ends the connection, not the listener', async () => {
    await using side = await listening();
    const { peer, uri, from } = side;
    peer.write('GET / HTTP/1.1\r\n\r\n');
    await peer.untilClosed();
    const next = await dial(uri);
    next.write(frame('c1xx', 'SEND', uri, from, ['Message-ID: mid1', 'Byte-Range: 1-0/0']));
    await next.response(200);
    next.destroy();
  });

  it('D-20: connections that bind nothing are closed after 30 s, and their number is bounded (C-152)', async () => {
    const timers = new Timers();
    await using side = await listening({ environment: timers, maxConnections: 2 });
    const { peer, chunk, uri, from } = side;
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    const idle = await dial(uri);
    idle.write(frame('away', 'SEND', uri.replace(';tcp', 'x;tcp'), from, ['Message-ID: mid1']));
    await idle.response(481);
    const third = await dial(uri);
    await third.untilClosed();
    timers.advance(30_000);
    await idle.untilClosed();
    peer.write(chunk('more', 'mid2', '1-1/1', 'x'));
    await peer.response(200);
  });

  it('half a TLS handshake does not hold up the end of a listener', async () => {
    const ca = await TestCa.create();
    const { certificate: cert, key } = await ca.issue('localhost');
    await using listener = await MsrpListener.listen({ tls: { cert, key } });
    const socket = connect({ host: '127.0.0.1', port: Number(/:(\d+)\//.exec(listener.uri)?.[1]) });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(Buffer.from([0x16, 0x03, 0x01]));
    await within('the end of the listener', listener.close());
    socket.destroy();
  });

  it('files: names are never reused, and what is half a file is removed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'msrpd-sink-'));
    const headers = [['Content-Disposition', 'attachment; filename="same.bin"']] as const;
    const paths = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const file = new FileSink(folder, headers);
      await file.write(0, Buffer.from('x'));
      await file.end();
      paths.add(file.path);
    }
    assert.equal(paths.size, 60);
    assert.equal(readdirSync(folder).length, 60);
    const half = new FileSink(folder, headers);
    await half.write(5, Buffer.from('x'));
    await half.abort();
    assert.equal(readdirSync(folder).length, 60);
    rmSync(folder, { recursive: true });
    assert.throws(() => new FileSink(folder, headers));
  });
});
