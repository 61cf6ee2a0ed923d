import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { frame, until, within } from '../engine/harness.ts';
import { file } from '../listen/fixture.ts';
import { handshake, startWsRelay, STACKS } from './fixture.ts';
import type { WsRelay } from './fixture.ts';

const ORIGIN = 'https://chat.example.com';
const HOOKS = `export function websocket({ cookie, authorization, query, remote }) {
  if (query === 'refuse') return { refuse: 401 };
  if (query === 'throw') throw new Error('broken');
  if (query === 'nonsense') return { user: 7 };
  if (query === 'whoami') return { user: 'remote-' + remote };
  if (query === 'member') return { user: 'member' };
  const user = /user=(\\w+)/.exec(cookie)?.[1];
  return user === undefined ? undefined : { user, realm: 'cookies' };
}
export function authorize({ user, remote }) {
  return user !== 'remote-' + remote || remote === '203.0.113.9';
}
`;

/** `hooks` of a relay. */
const hooks = (): string => `hooks: ${JSON.stringify(file('ws-hooks.mjs', HOOKS))}`;

/** What a relay answers to an AUTH that names it by `authority`, and carries no credentials. */
async function auth(
  { ws, port }: WsRelay,
  path: string,
  headers: Record<string, string> = {},
  authority = `127.0.0.1:${port}`,
): Promise<string> {
  const { socket } = await handshake(`ws://127.0.0.1:${port}${path}`, ['msrp'], { headers });
  if (socket === undefined) throw new Error('no WebSocket');
  const answer = new Promise<string>((resolve, reject) => {
    socket.once('message', (data: Buffer) => resolve(data.toString()));
    socket.once('close', (code, reason) => reject(new Error(`closed: ${code} ${reason.toString()}`)));
  });
  const scheme = ws.uri.split(':')[0] as string;
  socket.send(frame('auth0001', 'AUTH', `${scheme}://${authority};ws`, 'msrps://x.invalid:2855/c;ws'));
  const text = await within('the answer', answer);
  socket.terminate();
  return text;
}

for (const stack of STACKS) {
  describe(`WebSocket handshakes: ${stack.name}`, () => {
    let relay: WsRelay;
    let strict: WsRelay;
    before(async () => {
      relay = await startWsRelay(stack);
      strict = await startWsRelay(stack, {
        listener: `, path: /msrp, origins: ["${ORIGIN}"]`,
        websocket: ', trusted_proxies: [127.0.0.0/8, "::1"]',
        more: hooks(),
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

    it('D-54: without a list a hook has its own origin only, unless the list says *', async () => {
      await using own = await startWsRelay(stack, { more: hooks() });
      await using any = await startWsRelay(stack, { listener: ', origins: ["*"]', more: hooks() });
      const status = async ({ url }: WsRelay, origin: string): Promise<number> => {
        const { socket, status: got } = await handshake(url, ['msrp'], { origin });
        socket?.terminate();
        return got;
      };
      assert.equal(await status(own, `http://127.0.0.1:${own.port}`), 101);
      assert.equal(await status(own, `https://127.0.0.1:${own.port}`), 101);
      assert.equal(await status(own, 'http://127.0.0.1'), 403);
      assert.equal(await status(own, ORIGIN), 403);
      assert.equal(await status(own, 'null'), 403);
      assert.equal(await status(any, ORIGIN), 101);
      assert.equal(await status(any, 'null'), 101);
    });

    it('hook websocket refuses, and one that fails refuses, too', async () => {
      assert.equal((await handshake(`${strict.url}/msrp?refuse`)).status, 401);
      assert.equal((await handshake(`${strict.url}/msrp?throw`)).status, 500);
      assert.equal((await handshake(`${strict.url}/msrp?nonsense`)).status, 500);
    });

    it('X-011: a user whom the hook has named is granted AUTH without a digest; others are asked for one', async () => {
      const options = { relay: strict.ws.uri, timeoutMs: 5000 };
      const granted = await auth(strict, '/msrp', { Cookie: 'user=carol' });
      assert.match(granted, /^MSRP auth0001 200 /);
      assert.match(granted, /\r\nUse-Path: msrp:/);
      assert.doesNotMatch(granted, /Authentication-Info/i);
      // What a cookie says, the query says here: the hook sees both. Nobody can prove to know a password (D-33).
      const member = await MsrpClient.connect({ ...options, webSocketPath: '/msrp?member' });
      assert.deepEqual(
        strict.server.sessions().flatMap(({ user }) => (user === 'member' ? [user] : [])),
        ['member'],
      );
      await member.close();
      assert.match(await auth(strict, '/msrp'), /^MSRP auth0001 401 /);
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

    it('X-015: an AUTH may name a user of this relay', async () => {
      assert.match(await auth(relay, '/', {}, `alice@127.0.0.1:${relay.port}`), /^MSRP auth0001 401 /);
    });

    it('X-Forwarded-For counts from trusted proxies only, and its last foreign address', async () => {
      await using open = await startWsRelay(stack, { more: hooks() });
      // The hook names the address, and lets one of them in.
      const status = async (from: string, forwarded: string): Promise<string | undefined> => {
        const headers = { 'X-Forwarded-For': forwarded };
        const text = await (from === 'a proxy'
          ? auth(strict, '/msrp?whoami', headers)
          : auth(open, '/?whoami', headers));
        return /^MSRP auth0001 (\d+) /.exec(text)?.[1];
      };
      assert.equal(await status('a proxy', '198.51.100.1, 203.0.113.9, 127.0.0.2'), '200');
      assert.equal(await status('a proxy', '203.0.113.9, 198.51.100.1'), '403');
      assert.equal(await status('a proxy', 'nonsense'), '403');
      assert.equal(await status('anybody', '203.0.113.9'), '403');
    });

    it('X-005, R-004: no AUTH without TLS, which may end at a trusted proxy: X-Forwarded-Proto', async () => {
      const trusted = ', trusted_proxies: [127.0.0.0/8]';
      await using proxied = await startWsRelay(stack, { plainAuth: false, websocket: trusted, more: hooks() });
      await using open = await startWsRelay(stack, { plainAuth: false, more: hooks() });
      assert.match(await auth(proxied, '/?member', { 'X-Forwarded-Proto': 'https' }), /^MSRP auth0001 200 /);
      assert.match(await auth(proxied, '/?member', { 'X-Forwarded-Proto': 'http' }), /^MSRP auth0001 403 /);
      assert.match(await auth(proxied, '/?member'), /^MSRP auth0001 403 /);
      assert.match(await auth(open, '/?member', { 'X-Forwarded-Proto': 'https' }), /^MSRP auth0001 403 /);
    });

    it('operators see it with its transport and listener', async () => {
      await using watched = await startWsRelay(stack, { more: 'control: {listen: "http:127.0.0.1:0"}' });
      const { socket } = await handshake(watched.url);
      await until('the connection', () => watched.server.connections().length > 0);
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
