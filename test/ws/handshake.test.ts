import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { within } from '../engine/harness.ts';
import { file } from '../listen/fixture.ts';
import { handshake, startWsRelay, STACKS } from './fixture.ts';
import type { WsRelay } from './fixture.ts';

const ORIGIN = 'https://chat.example.com';
const HOOKS = `export function websocket({ cookie, authorization, query, remote }) {
  if (query === 'refuse') return { refuse: 401 };
  if (query === 'throw') throw new Error('broken');
  if (query === 'nonsense') return { user: 7 };
  if (query === 'whoami') return { user: 'remote-' + remote };
  const user = /user=(\\w+)/.exec(cookie)?.[1];
  return user === undefined ? undefined : { user, realm: 'cookies' };
}
export function authorize({ user, remote }) {
  return user !== 'remote-' + remote || remote === '203.0.113.9';
}
`;

for (const stack of STACKS) {
  describe(`WebSocket handshakes: ${stack.name}`, () => {
    let relay: WsRelay;
    let strict: WsRelay;
    before(async () => {
      relay = await startWsRelay(stack);
      strict = await startWsRelay(stack, {
        listener: `, path: /msrp, origins: ["${ORIGIN}"]`,
        websocket: ', trusted_proxies: [127.0.0.0/8, "::1"]',
        more: `hooks: ${JSON.stringify(file('ws-hooks.mjs', HOOKS))}`,
      });
    });
    after(async () => {
      await relay.server.stop();
      await strict.server.stop();
    });

    it('X-001: 101 with the subprotocol, and without compression', async () => {
      const { socket, status, headers } = await handshake(relay.url, ['msrp']);
      assert.equal(status, 101);
      assert.equal(socket?.protocol, 'msrp');
      assert.equal(socket?.extensions, '');
      assert.equal(headers['sec-websocket-protocol'], 'msrp');
      socket?.terminate();
      const several = await handshake(relay.url, ['sip', 'msrp']);
      assert.equal(several.socket?.protocol, 'msrp');
      several.socket?.terminate();
    });

    it('another subprotocol, or none: 400; another path: 404; no WebSocket: 426', async () => {
      assert.equal((await handshake(relay.url, ['sip'])).status, 400);
      assert.equal((await handshake(relay.url, [])).status, 400);
      assert.equal((await handshake(`${relay.url}/other`)).status, 404);
      const status = await new Promise((resolve, reject) => {
        request(`http://127.0.0.1:${relay.port}/`, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
      assert.equal(status, 426);
    });

    it('X-012: the allow-list of origins; a client without Origin is no browser', async () => {
      const url = `${strict.url}/msrp`;
      assert.equal((await handshake(url, ['msrp'], { origin: 'https://evil.example' })).status, 403);
      assert.equal((await handshake(url, ['msrp'], { origin: 'null' })).status, 403);
      const { socket, headers } = await handshake(url, ['msrp'], { origin: ORIGIN });
      assert.equal(headers['access-control-allow-origin'], ORIGIN);
      socket?.terminate();
      const plain = await handshake(url);
      assert.equal(plain.status, 101);
      plain.socket?.terminate();
      const any = await handshake(relay.url, ['msrp'], { origin: 'https://evil.example' });
      assert.equal(any.status, 101);
      any.socket?.terminate();
      assert.ok(
        strict.lines.some((line) => line['msg'] === 'WebSocket refused' && line['origin'] === 'https://evil.example'),
        'a line of the log',
      );
    });

    it('hook websocket refuses, and one that fails refuses, too', async () => {
      assert.equal((await handshake(`${strict.url}/msrp?refuse`)).status, 401);
      assert.equal((await handshake(`${strict.url}/msrp?throw`)).status, 500);
      assert.equal((await handshake(`${strict.url}/msrp?nonsense`)).status, 500);
    });

    it('X-011: a user whom the hook has named is granted AUTH without a digest; others are asked for one', async () => {
      const options = { relay: strict.ws.uri, timeoutMs: 5000 };
      // What a cookie says, the query says here: the hook sees both.
      await assert.rejects(MsrpClient.connect({ ...options, webSocketPath: '/msrp' }), /E_AUTH|password/);
      await assert.rejects(MsrpClient.connect({ ...options, webSocketPath: '/msrp?whoami' }), /403/);
      const digest = await MsrpClient.connect({
        ...options,
        webSocketPath: '/msrp',
        user: 'alice',
        password: 'secret',
      });
      assert.match(digest.usePath[0] as string, /^msrp:\/\/127\.0\.0\.1:\d+\/.{24};tcp$/);
      await digest.close();
    });

    it('X-Forwarded-For counts from trusted proxies only, and its last foreign address', async () => {
      const auth = async (headers: Record<string, string>, url = `${strict.url}/msrp?whoami`): Promise<string> => {
        const { socket } = await handshake(url, ['msrp'], { headers });
        const answer = new Promise<string>((resolve) =>
          socket?.once('message', (data: Buffer) => resolve(data.toString())),
        );
        socket?.send(
          'MSRP auth0001 AUTH\r\nTo-Path: msrps://127.0.0.1:' +
            `${strict.port};ws\r\nFrom-Path: msrps://x.invalid:2855/c;ws\r\n-------auth0001$\r\n`,
        );
        const text = await answer;
        socket?.terminate();
        return text;
      };
      // The hook names the address, and lets one of them in.
      assert.match(await auth({ 'X-Forwarded-For': '198.51.100.1, 203.0.113.9, 127.0.0.2' }), /^MSRP auth0001 200 /);
      assert.match(await auth({ 'X-Forwarded-For': '203.0.113.9, 198.51.100.1' }), /^MSRP auth0001 403 /);
      assert.match(await auth({ 'X-Forwarded-For': 'nonsense' }), /^MSRP auth0001 403 /);
      assert.match(await auth({ Cookie: 'user=carol' }, `${strict.url}/msrp`), /^MSRP auth0001 200 /);
    });

    it('operators see it with its transport and listener', async () => {
      await using watched = await startWsRelay(stack, { more: 'control: {listen: "http:127.0.0.1:0"}' });
      const { socket } = await handshake(watched.url);
      while (watched.server.connections().length === 0) await new Promise((resolve) => setImmediate(resolve));
      const control = watched.server.control as string;
      const body = JSON.stringify({ jsonrpc: '2.0', method: 'list_connections', id: 1 });
      const response = await fetch(`${control}/rpc`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      const text = await response.text();
      assert.match(text, /"transport":"ws"/);
      assert.ok(text.includes(`"listener":"${watched.ws.uri}"`), text);
      const metrics = await (await fetch(`${control}/metrics`)).text();
      assert.match(metrics, /msrpd_connections\{[^}]*transport="ws"[^}]*\} 1/);
      socket?.terminate();
    });

    it('a relay that drains takes nobody, and says so to those who are there', async () => {
      const draining = await startWsRelay(stack);
      const { closed } = await handshake(draining.url);
      await draining.server.drain();
      assert.deepEqual(await within('its end', closed), { code: 1001, reason: 'shutdown' });
      await assert.rejects(handshake(draining.url), /ECONNREFUSED|socket hang up/);
    });
  });
}
