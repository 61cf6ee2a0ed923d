import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { standstill } from '../endpoint/scripted.ts';
import { frame, until, within } from '../engine/harness.ts';
import { Chunks, handshake, logIn, RawWebSocket, STACKS, startWsRelay } from './fixture.ts';

const OUTBOX = 65_536;
/** One read of a socket. */
const READ = 65_536;
/** INBOX_BYTES of native/engine: what may be on its way between two threads. */
const INBOX = 262_144;

const [MESSAGES, OCTETS] = [300, 100_000];

for (const stack of STACKS) {
  describe(`WebSocket clients under pressure: ${stack.name}`, () => {
    it('a slow browser never grows the relay beyond its outbox limit, and gets everything when it goes on', async () => {
      await using relay = await startWsRelay(stack, {
        more: `limits: {outbox_bytes: ${OUTBOX}}`,
      });
      const { socket } = await handshake(relay.url);
      if (socket === undefined) throw new Error('no WebSocket');
      const own = 'msrps://slow.invalid:2855/c;ws';
      const usePath = await logIn(socket, relay.ws.uri, own);
      await using bob = await MsrpClient.connect({ relay: relay.tcp.uri, user: 'bob', password: 'secret' });
      socket.pause();
      let isOver = false;
      const body = Buffer.alloc(OCTETS, 'x');
      const ids = Array.from({ length: MESSAGES }, (_, i) => `slow${i}`);
      const flood = (async (): Promise<void> => {
        // Bob may have a window of 32 chunks, so many messages at a time.
        for (const messageId of ids)
          await bob.send({ to: [usePath, own], contentType: 'text/plain', body, messageId, failureReport: 'no' });
        isOver = true;
      })();
      let most = 0;
      const watch = setInterval(() => {
        const queued = relay.server.connections().reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
        most = Math.max(most, queued);
      }, 2);
      // The kernel is full, and the relay does not read from bob.
      await standstill('the flood to stand still', () =>
        relay.server.connections().map(({ bytesIn, bytesOut, queuedBytes }) => [bytesIn, bytesOut, queuedBytes]),
      );
      clearInterval(watch);
      assert.equal(isOver, false, 'the kernel has taken everything');
      assert.ok(most > OUTBOX / 2 && most <= OUTBOX + READ + INBOX, `${most}`);
      const chunks = new Chunks(socket);
      socket.resume();
      await within('the flood', flood);
      await until('everything', () => chunks.whole.length >= MESSAGES);
      assert.deepEqual(chunks.whole, ids);
      assert.deepEqual(
        [...chunks.octets.values()],
        Array.from(ids, () => OCTETS),
      );
      socket.terminate();
    });

    it('a client that sends more than its receivers take is stopped, or where that cannot be, closed', async () => {
      await using relay = await startWsRelay(stack, {
        websocket: ', backlog_bytes: 100000',
        more: `limits: {outbox_bytes: ${OUTBOX}}`,
      });
      const { socket, closed: end } = await handshake(relay.url);
      if (socket === undefined) throw new Error('no WebSocket');
      const own = 'msrps://fast.invalid:2855/c;ws';
      const usePath = await logIn(socket, relay.ws.uri, own);
      const { socket: bob } = await handshake(relay.url);
      if (bob === undefined) throw new Error('no WebSocket');
      const bobOwn = 'msrps://bob.invalid:2855/c;ws';
      const bobPath = await logIn(bob, relay.ws.uri, bobOwn);
      bob.pause();
      const close: { value?: { code: number; reason: string } } = {};
      void end.then((value) => {
        close.value = value;
      });
      const body = 'x'.repeat(16_000);
      let most = 0;
      for (let i = 0; i < 2000 && close.value === undefined; i++) {
        const tid = `fast${String(i).padStart(6, '0')}`;
        const headers = [
          `Message-ID: m${tid}`,
          'Failure-Report: no',
          'Byte-Range: 1-16000/16000',
          'Content-Type: text/plain',
        ];
        socket.send(frame(tid, 'SEND', [usePath, bobPath, bobOwn], own, headers, body));
        await new Promise((resolve) => setImmediate(resolve));
        const connections = relay.server.connections();
        most = Math.max(most, ...connections.map(({ queuedBytes }) => queuedBytes));
      }
      if (stack.implementation === 'uws') {
        assert.deepEqual(await within('its end', end), { code: 1013, reason: 'more than its receivers take' });
      } else {
        assert.equal(close.value, undefined);
        assert.ok(socket.bufferedAmount > 1_000_000, `${socket.bufferedAmount}`);
      }
      assert.ok(most <= OUTBOX + INBOX, `${most}`);
      socket.terminate();
      bob.terminate();
    });

    it('D-55: pings are answered, and who leaves two of them without an answer is cut off', async () => {
      await using relay = await startWsRelay(stack, { websocket: ', ping_interval: 1' });
      const { socket } = await handshake(relay.url);
      let pings = 0;
      const pinged = new Promise<void>((resolve) => {
        socket?.on('ping', () => {
          if (++pings === 3) resolve();
        });
      });
      // It answers no ping at all.
      const raw = await RawWebSocket.open(relay.port);
      assert.equal(await raw.closeCode(), 1006);
      assert.equal(raw.pings, 2);
      const isTold = (line: Record<string, unknown>): boolean => line['msg'] === 'connection closed';
      await until('a line of the log', () => relay.lines.some(isTold));
      const { reason, detail } = relay.lines.find(isTold) ?? {};
      assert.deepEqual([reason, detail], ['peer_reset', 'pings are not answered']);
      await within('pings', pinged);
      assert.equal(socket?.readyState, 1);
      socket?.terminate();
    });

    it('max_connections_per_ip: 1013', async () => {
      await using relay = await startWsRelay(stack, { more: 'limits: {max_connections_per_ip: 1}' });
      const first = await handshake(relay.url);
      // On another thread, maybe.
      await until('the first connection', () => relay.server.connections().length > 0);
      const second = await handshake(relay.url);
      assert.deepEqual(await within('its end', second.closed), {
        code: 1013,
        reason: 'max_connections_per_ip',
      });
      first.socket?.terminate();
    });
  });
}
