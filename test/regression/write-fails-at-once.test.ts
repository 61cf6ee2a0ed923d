import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { it } from 'node:test';
import { Outbox, SEGMENT_BYTES } from '../../src/engine/ts/outbox.ts';
import { SocketTransport } from '../../src/engine/ts/transport.ts';

// A write to a connection that was reset failed inside its call; the owner cleared its queue while it was writing from it.
it('a write that fails at once is told of after the call, and is not taken for done', async () => {
  const socket = new Duplex({
    read() {
      // Nothing comes.
    },
    write(_chunk, _encoding, done) {
      done(new Error('ECONNRESET'));
    },
  });
  let calling = false;
  const ended = new Promise<Error | undefined>((resolve) => {
    const transport = new SocketTransport(socket as Socket, {
      onData: () => assert.fail(),
      onWritten: () => assert.fail(),
      onPeerEnd: () => assert.fail(),
      onEnd: (error) => {
        assert.equal(calling, false);
        resolve(error);
      },
    });
    calling = true;
    assert.equal(transport.write(Buffer.from('x')), false);
    calling = false;
  });
  assert.equal((await ended)?.message, 'ECONNRESET');
});

it('a queue that was cleared in between gives no empty segment to others', () => {
  const one = new Outbox();
  one.appendLatin1('x');
  one.single();
  one.clear();
  one.writtenSingle();
  const two = new Outbox();
  two.appendLatin1('hello');
  assert.equal(two.tail.length, SEGMENT_BYTES);
  assert.equal(two.single()?.toString(), 'hello');
  assert.equal(two.bytes, 5);
});
