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
import type { ListenerOptions } from '../../src/endpoint/listener.ts';
import type { IncomingMessage, MessageSink } from '../../src/endpoint/receiver.ts';
import { frame, header, respondTo, within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import { Timers, dial, scripted } from './scripted.ts';

const from = 'msrp://127.0.0.1:9/me;tcp';

async function listening(options: ListenerOptions = {}) {
  const listener = await MsrpListener.listen(options);
  const messages: IncomingMessage[] = [];
  const aborted: string[] = [];
  listener.on('session', (session) => {
    session.on('message', (message) => messages.push(message));
    session.on('aborted', (id) => aborted.push(id));
  });
  const peer = await dial(listener.uri);
  const chunk = (tid: string, id: string, range: string, body: string, flag = '$', more: string[] = []): string =>
    frame(
      tid,
      'SEND',
      listener.uri,
      from,
      [`Message-ID: ${id}`, ...more, `Byte-Range: ${range}`, 'Content-Type: text/plain'],
      body,
      flag,
    );
  const stop = async (): Promise<void> => {
    peer.destroy();
    await within('the end of the listener', listener.close());
  };
  return { listener, peer, messages, aborted, chunk, stop };
}

describe('a peer that does harm', () => {
  it('I1: single bytes make the same messages as whole frames', async () => {
    const { peer, chunk, messages, stop } = await listening();
    const text =
      chunk('c1xx', 'mid1', '1-13/21', 'ab\r\n-------c1', '+') + chunk('c2xx', 'mid1', '14-21/21', 'xx\r\n----');
    for (const byte of Buffer.from(text)) await peer.flush(Buffer.from([byte]));
    await peer.response(200);
    await peer.response(200);
    assert.equal(messages[0]?.text(), 'ab\r\n-------c1xx\r\n----');
    await stop();
  });

  it('that asks and never reads is no longer read from (I2)', async () => {
    const { peer, chunk, stop } = await listening();
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    peer.pauseReading();
    const flood = Buffer.from(frame('frob', 'FROB', peerUri(chunk), from).repeat(2000));
    let written = 0;
    let full = false;
    // Far more than what the kernel buffers for both directions.
    while (!full && written < 100_000_000) {
      const done = peer.flush(flood);
      full = await Promise.race([done.then(() => false), untilStuck(done)]);
      written += flood.length;
      void done.catch(() => undefined);
    }
    assert.ok(full, `${written} bytes of requests were taken without one answer being read`);
    await stop();
  });

  it('a body that fails, on either side, ends the message and nothing else', async () => {
    const far = await scripted();
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
    far.close();
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
    const { peer, chunk, messages, aborted, stop } = await listening({ receive });
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
    }
    peer.write(chunk('w3xx', 'write', '1-3/3', 'abc'));
    await peer.response(413);
    assert.equal(messages.length, 0);
    assert.deepEqual(aborted.toSorted(), ['end', 'write', 'writeNow']);
    await stop();
  });

  it('what was refused stays refused: no 200 for octets that are thrown away', async () => {
    const { peer, chunk, messages, stop } = await listening({ maxMessageBytes: 10 });
    peer.write(chunk('c1xx', 'mid1', '1-*/*', 'abcdefghijk', '+'));
    await peer.response(413);
    peer.write(chunk('c2xx', 'mid1', '1-3/3', 'abc'));
    await peer.response(413);
    assert.equal(messages.length, 0);
    await stop();
  });

  it('D-15: a message that stands still is dropped by the clock, without another frame', async () => {
    const timers = new Timers();
    const { peer, chunk, aborted, stop } = await listening({ environment: timers });
    peer.write(chunk('c1xx', 'mid1', '1-3/9', 'abc', '+'));
    await peer.response(200);
    timers.advance(119_999);
    assert.deepEqual(aborted, []);
    timers.advance(1);
    assert.deepEqual(aborted, ['mid1']);
    peer.write(chunk('c2xx', 'mid1', '4-9/9', 'defghi'));
    await peer.response(413);
    await stop();
  });

  it('D-03 e: MIME headers without a body are no message', async () => {
    const { listener, peer, messages, stop } = await listening();
    peer.write(
      frame('keep', 'SEND', listener.uri, from, ['Message-ID: mid1', 'Byte-Range: 1-0/0', 'Content-Type: a/b']),
    );
    await peer.response(200);
    assert.deepEqual(messages, []);
    await stop();
  });

  it('C-074: another method gets no answer when it wants none', async () => {
    const { peer, chunk, stop } = await listening();
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    peer.write(frame('none', 'FROB', peerUri(chunk), from, ['Failure-Report: no']));
    peer.write(frame('some', 'FROB', peerUri(chunk), from));
    assert.equal((await peer.response(501)).tid, 'some');
    await stop();
  });

  it('garbage ends the connection, not the listener', async () => {
    const { listener, peer, stop } = await listening();
    peer.write('GET / HTTP/1.1\r\n\r\n');
    await peer.untilClosed();
    const next = await dial(listener.uri);
    next.write(frame('c1xx', 'SEND', listener.uri, from, ['Message-ID: mid1', 'Byte-Range: 1-0/0']));
    await next.response(200);
    next.destroy();
    await stop();
  });

  it('D-20: connections that bind nothing are closed after 30 s, and their number is bounded (C-152)', async () => {
    const timers = new Timers();
    const { listener, peer, chunk, stop } = await listening({ environment: timers, maxConnections: 2 });
    peer.write(chunk('bind', 'mid0', '1-1/1', 'x'));
    await peer.response(200);
    const idle = await dial(listener.uri);
    idle.write(frame('away', 'SEND', listener.uri.replace(';tcp', 'x;tcp'), from, ['Message-ID: mid1']));
    await idle.response(481);
    const third = await dial(listener.uri);
    await third.untilClosed();
    timers.advance(30_000);
    await idle.untilClosed();
    peer.write(chunk('more', 'mid2', '1-1/1', 'x'));
    await peer.response(200);
    await stop();
  });

  it('half a TLS handshake does not hold up the end of a listener', async () => {
    const ca = await TestCa.create();
    const { certificate: cert, key } = await ca.issue('localhost');
    const listener = await MsrpListener.listen({ tls: { cert, key } });
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

/** To-Path of the frames that a chunk maker makes. */
function peerUri(chunk: (tid: string, id: string, range: string, body: string) => string): string {
  return /To-Path: (\S+)/.exec(chunk('xxxx', 'x', '1-1/1', 'x'))![1]!;
}

/** True when a write has made no progress while the event loop went round many times. */
async function untilStuck(write: Promise<void>): Promise<boolean> {
  const state = { done: false };
  const settle = (): void => {
    state.done = true;
  };
  void write.then(settle, settle);
  for (let i = 0; i < 3000 && !state.done; i++) await new Promise((resolve) => setImmediate(resolve));
  return !state.done;
}
