import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { WebSocket } from 'ws';
import { authenticate } from '../../src/endpoint/authenticate.ts';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { PeerConnection } from '../../src/endpoint/peer-connection.ts';
import { PLATFORM } from '../../src/endpoint/platform.ts';
import { frame, within } from '../engine/harness.ts';
import { handshake, RawWebSocket, STACKS, startWsRelay } from './fixture.ts';

const OUTBOX = 65_536;

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
      let sent = 0;
      let isOver = false;
      const body = Buffer.alloc(100_000, 'x');
      const flood = (async (): Promise<void> => {
        // Bob may have a window of 32 chunks, so many messages at a time.
        for (let i = 0; i < 300; i++) {
          await bob.send({ to: [usePath, own], contentType: 'text/plain', body, failureReport: 'no' });
          sent++;
        }
        isOver = true;
      })();
      let most = 0;
      let last = -1;
      // Until nothing moves any more: the kernel is full, and the relay does not read from bob.
      for (let still = 0; still < 300; still++) {
        const queued = relay.server.connections().reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
        most = Math.max(most, queued);
        if (sent !== last) still = 0;
        last = sent;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal(isOver, false, 'the kernel has taken everything');
      // One read of its source may come on top.
      assert.ok(most > OUTBOX / 2 && most <= OUTBOX + 262_144 + 65_536, `${most}`);
      let octets = 0;
      const all = new Promise<void>((resolve) => {
        socket.on('message', (data: Buffer) => {
          octets += Math.max(0, data.length - 600);
          if (octets > 300 * 90_000) resolve();
        });
      });
      socket.resume();
      await within('the flood', flood);
      await within('everything', all);
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
      assert.ok(most <= OUTBOX + 262_144, `${most}`);
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
      await within('pings', pinged);
      assert.equal(socket?.readyState, 1);
      socket?.terminate();
    });

    it('max_connections_per_ip: 1013', async () => {
      await using relay = await startWsRelay(stack, { more: 'limits: {max_connections_per_ip: 1}' });
      const first = await handshake(relay.url);
      // On another thread, maybe.
      while (relay.server.connections().length === 0) await new Promise((resolve) => setImmediate(resolve));
      const second = await handshake(relay.url);
      assert.deepEqual(await within('its end', second.closed), {
        code: 1013,
        reason: 'max_connections_per_ip',
      });
      first.socket?.terminate();
    });
  });
}

/** AUTH with the digest, by hand; returns the URI that the relay hands out. */
async function logIn(socket: WebSocket, relay: string, own: string): Promise<string> {
  const connection = new PeerConnection(
    {
      attach: (owner) => {
        socket.on('message', (data: Buffer) => {
          if (data.subarray(0, 400).includes('200 OK') || data.subarray(0, 400).includes('401')) owner.onData(data);
        });
      },
      write: (bytes) => {
        socket.send(bytes);
        return true;
      },
      pause: () => undefined,
      resume: () => undefined,
      end: () => undefined,
      destroy: () => undefined,
      local: undefined,
    },
    PLATFORM,
  );
  const grant = await authenticate(connection, PLATFORM, {
    toPath: [relay],
    uri: own,
    user: 'alice',
    password: 'secret',
    realm: undefined,
    expiresS: undefined,
    requireRspauth: true,
    timeoutMs: 5000,
  });
  socket.removeAllListeners('message');
  return grant.usePath[0] as string;
}
