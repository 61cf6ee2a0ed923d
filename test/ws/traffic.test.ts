import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { frame, until, within } from '../engine/harness.ts';
import { Chunks, handshake, logIn, startWsRelay, STACKS } from './fixture.ts';
import type { WsRelay } from './fixture.ts';

const SIZE = 10_000_000;
const CHUNK = 4096;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const stack of STACKS) {
  describe(`MSRP over WebSocket: ${stack.name}`, () => {
    let relay: WsRelay;
    before(async () => {
      relay = await startWsRelay(stack);
    });
    after(() => relay.server.stop());

    const client = (user: string, uri: string): Promise<MsrpClient> =>
      MsrpClient.connect({ relay: uri, user, password: 'secret' });
    const next = (of: MsrpClient): Promise<IncomingMessage> =>
      within('a message', new Promise((resolve) => of.once('message', resolve)));

    for (const [from, to] of [
      ['ws', 'tcp'],
      ['tcp', 'ws'],
      ['ws', 'ws'],
    ] as const) {
      it(`10 MB ${from} → ${to}, byte by byte, and an answer`, async () => {
        await using alice = await client('alice', relay[from].uri);
        await using bob = await client('bob', relay[to].uri);
        const body = randomBytes(SIZE);
        const received = next(bob);
        const progress: number[] = [];
        bob.on('progress', (_id, octets) => progress.push(octets));
        await alice.send({ to: bob.path, contentType: 'application/octet-stream', body, successReport: true });
        const { body: got } = await received;
        assert.equal(got?.length, SIZE);
        assert.equal(sha256(got as Uint8Array), sha256(body));
        assert.ok(progress.length > 10, `${progress.length}`);
        const answer = next(alice);
        await bob.send({ to: alice.path, contentType: 'text/plain', body: 'got it' });
        assert.equal(Buffer.from((await answer).body ?? []).toString(), 'got it');
      });
    }

    it('10 MB each way at once between two WebSocket clients', async () => {
      await using alice = await client('alice', relay.ws.uri);
      await using bob = await client('bob', relay.ws.uri);
      const [there, back] = [randomBytes(SIZE), randomBytes(SIZE)];
      const received = Promise.all([next(alice), next(bob)]);
      const contentType = 'application/octet-stream';
      await within(
        'both to be sent',
        Promise.all([
          alice.send({ to: bob.path, contentType, body: there, successReport: true }),
          bob.send({ to: alice.path, contentType, body: back, successReport: true }),
        ]),
      );
      const [got, sent] = await received;
      assert.equal(sha256(got.body as Uint8Array), sha256(back));
      assert.equal(sha256(sent.body as Uint8Array), sha256(there));
    });

    it('X-007, X-008: the client has a URI with ;ws, its Use-Path one with ;tcp that a TCP peer can reach', async () => {
      await using alice = await client('alice', relay.ws.uri);
      assert.match(alice.uri, /^msrp:\/\/[0-9a-f]{16}\.invalid:2855\/\S+;ws$/);
      assert.match(alice.usePath[0] as string, new RegExp(`^msrp://127\\.0\\.0\\.1:${relay.tcp.port}/.{24};tcp$`));
    });

    it('X-004, D-52: what is long comes to a WebSocket client in chunks of chunk_bytes', async () => {
      await using small = await startWsRelay(stack, { websocket: `, chunk_bytes: ${CHUNK}` });
      const { socket } = await handshake(small.url);
      if (socket === undefined) throw new Error('no WebSocket');
      const own = 'msrps://web.invalid:2855/c;ws';
      const usePath = await logIn(socket, small.ws.uri, own);
      const chunks = new Chunks(socket);
      await using bob = await client('bob', small.tcp.uri);
      const body = Buffer.alloc(20 * CHUNK + 1, 'x');
      const message = { to: [usePath, own], contentType: 'text/plain', body, messageId: 'long1' };
      await bob.send({ ...message, chunkBytes: body.length, failureReport: 'no' });
      await until('the whole of it', () => chunks.whole.length > 0);
      assert.equal(chunks.octets.get('long1'), body.length);
      assert.equal(chunks.longest.body, CHUNK);
      assert.ok(chunks.longest.around < 1000, `${chunks.longest.around}`);
      socket.terminate();
    });

    it('a peer that has no relay sends straight to the client', async () => {
      await using alice = await client('alice', relay.ws.uri);
      await using bob = await MsrpClient.connect({ peer: relay.tcp.uri });
      const received = next(alice);
      await bob.send({ to: alice.path, contentType: 'text/plain', body: 'from nowhere' });
      assert.equal(Buffer.from((await received).body ?? []).toString(), 'from nowhere');
    });

    it('X-017: the session ends with the WebSocket, and its peer is told', async () => {
      const alice = await client('alice', relay.ws.uri);
      await using bob = await client('bob', relay.tcp.uri);
      await alice.close();
      await until('the end of her session', () => relay.server.sessions().every(({ user }) => user !== 'alice'));
      await assert.rejects(bob.send({ to: alice.path, contentType: 'text/plain', body: 'anyone?' }), /481/);
    });

    it('what the engine closes for, the client hears as a code', async () => {
      const { socket, closed } = await handshake(relay.url);
      // For another host, of a connection that has done nothing yet (relay D-42).
      socket?.send(frame('else0001', 'SEND', 'msrp://other.example:1/x;tcp', 'msrps://x.invalid:2855/c;ws'));
      assert.deepEqual(await within('its end', closed), { code: 1008, reason: 'misdirected' });
      const again = await handshake(relay.url);
      const [name, value] = ['X-Long', 'x'.repeat(9000)];
      again.socket?.send(frame('line0001', 'FROB', relay.ws.uri, 'msrps://x.invalid:2855/c;ws', [`${name}: ${value}`]));
      assert.deepEqual(await within('its end', again.closed), { code: 1009, reason: 'header_limit' });
    });
  });
}
