import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { METHODS } from '../../src/control/methods.ts';
import { parseConfig } from '../../src/config/load.ts';
import { freePort, within } from '../engine/harness.ts';
import { PLAIN, file, post, rpc, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { KINDS } from '../listen/engines.ts';

const CONTROL = `${PLAIN}control: {listen: "http:127.0.0.1:0"}\n`;
const user = { user: 'alice', password: 'secret' };

/** A request written by hand: fetch does not let a test say what it likes. */
async function rawRequest(fixture: Fixture, text: string): Promise<string> {
  const { hostname, port } = new URL(fixture.server.control!);
  const socket = connect({ host: hostname, port: Number(port) });
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
  socket.on('error', () => undefined);
  socket.write(text);
  await within('the answer', once(socket, 'close'));
  return said;
}

for (const engine of KINDS) {
  describe(`control methods, engine ${engine}`, () => {
    const start = (more = ''): Promise<Fixture> => startRelay(`${CONTROL}engine: ${engine}\n${more}`);

    it('connections and sessions: listed without secrets, closed by number', async () => {
      await using fixture = await start();
      await using client = await MsrpClient.connect({ relay: fixture.uri, ...user });
      const [session] = (await rpc(fixture, 'list_sessions')).result as Record<string, unknown>[];
      assert.deepEqual(
        [session!['user'], session!['realm'], session!['frames']],
        ['alice', '127.0.0.1', { in: 0, out: 0 }],
      );
      assert.ok((session!['expires_in'] as number) > 1700);
      const secret = client.path[0]!.split('/')[3]!.split(';')[0]!;
      assert.match(session!['id'] as string, /^.{4}…$/);
      assert.ok(secret.startsWith((session!['id'] as string).slice(0, 4)));
      const all = await (
        await post(
          fixture,
          JSON.stringify(
            [...METHODS.keys()]
              .filter((name) => /^(list|get)_/.test(name))
              .map((method, id) => ({ jsonrpc: '2.0', method, id })),
          ),
        )
      ).text();
      assert.ok(!all.includes(secret), 'no whole session-id in any view');
      const [connection] = (await rpc(fixture, 'list_connections')).result as Record<string, unknown>[];
      assert.deepEqual(
        [
          connection!['id'],
          connection!['transport'],
          connection!['state'],
          connection!['sessions'],
          connection!['listener'],
        ],
        [session!['connection'], 'tcp', 'open', 1, fixture.uri],
      );
      assert.match(connection!['remote'] as string, /^127\.0\.0\.1:\d+$/);
      assert.deepEqual((await rpc(fixture, 'list_connections', { offset: 1 })).result, []);
      assert.deepEqual((await rpc(fixture, 'list_next_hops')).result, []);
      assert.deepEqual((await rpc(fixture, 'list_queues')).result, []);

      assert.equal((await rpc(fixture, 'close_session', [session!['session']])).result, 'OK');
      assert.deepEqual((await rpc(fixture, 'list_sessions')).result, []);
      const again = await rpc(fixture, 'close_session', [session!['session']]);
      assert.deepEqual(again.error, {
        code: -32001,
        message: 'Not found',
        data: `no session ${String(session!['session'])}`,
      });
      const closed = new Promise<void>((resolve) => client.once('closed', () => resolve()));
      assert.equal((await rpc(fixture, 'close_connection', { id: connection!['id'] })).result, 'OK');
      await within('the end', closed);
      assert.equal((await rpc(fixture, 'close_connection', { id: 999_999 })).error?.code, -32001);
      const audit = fixture.lines.filter((line) => line['audit'] === true);
      assert.deepEqual(
        audit.map(({ method, outcome }) => [method, outcome]),
        [
          ['close_session', 'done'],
          ['close_session', 'failed'],
          ['close_connection', 'done'],
          ['close_connection', 'failed'],
        ],
      );
    });

    it('what the relay says of itself', async () => {
      await using fixture = await start();
      await using client = await MsrpClient.connect({ relay: fixture.uri, ...user });
      assert.ok(client.path.length > 0);
      const stats = (await rpc(fixture, 'get_statistics')).result as Record<string, unknown>;
      assert.deepEqual([stats['connections'], stats['sessions'], stats['accepted']], [1, 1, 1]);
      assert.equal((stats['frames_in'] as Record<string, number>)['AUTH'], 2);
      assert.equal(
        (stats['latency'] as { counts: number[] }).counts.length,
        (stats['latency_bounds_ms'] as number[]).length + 1,
      );
      assert.equal(((await rpc(fixture, 'engine')).result as { kind: string }).kind, engine);
      assert.match(((await rpc(fixture, 'version')).result as { version: string }).version, /^\d+\.\d+\.\d+/);
      assert.deepEqual((await rpc(fixture, 'tls_list')).result, []);
    });

    it('drain: ready no more, no new sessions, and the end when nothing is under way any more', async () => {
      await using fixture = await start('limits: {drain_s: 60}\n');
      const url = fixture.server.control!;
      const ready = async (): Promise<unknown[]> => {
        const response = await fetch(`${url}/readyz`);
        return [response.status, await response.text()];
      };
      assert.deepEqual(await ready(), [200, 'ready\n']);
      assert.equal(await (await fetch(`${url}/healthz`)).text(), 'ok\n');
      await using client = await MsrpClient.connect({ relay: fixture.uri, ...user });
      const mute = createServer().listen(0, '127.0.0.1');
      try {
        await once(mute, 'listening');
        const asked = (async (): Promise<Socket> => {
          const [socket] = (await once(mute, 'connection')) as [Socket];
          await once(socket, 'data');
          return socket;
        })();
        const to = `msrp://127.0.0.1:${(mute.address() as AddressInfo).port}/x;tcp`;
        await client.send({ to, contentType: 'text/plain', body: 'hello' });
        const peer = await within('what is not answered', asked);
        assert.equal((await rpc(fixture, 'drain')).result, 'OK');
        assert.deepEqual(await ready(), [503, 'draining\n']);
        await assert.rejects(MsrpClient.connect({ relay: fixture.uri, ...user }), { code: 'E_CONNECT' });
        assert.equal(fixture.server.sessions().length, 1, 'the old one goes on');
        peer.destroy();
        await within('the end', fixture.server.ended);
        await assert.rejects(fetch(url));
      } finally {
        mute.close();
      }
    });
  });
}

describe('control methods, switches', () => {
  it('msrp_trace answers as OpenSIPS does', async () => {
    await using fixture = await startRelay(
      CONTROL.replace('msrp: {', 'msrp: {trace_destination: x, ') + 'hep: {hep_id: {x: "127.0.0.1:9;transport=udp"}}\n',
    );
    assert.deepEqual((await rpc(fixture, 'msrp_trace')).result, { 'MSRP tracing': 'off' });
    assert.equal((await rpc(fixture, 'msrp_trace', ['on'])).result, 'OK');
    assert.deepEqual((await rpc(fixture, 'msrp_trace')).result, { 'MSRP tracing': 'on' });
    assert.equal((await rpc(fixture, 'msrp_trace', { trace_mode: 'off' })).result, 'OK');
    assert.deepEqual((await rpc(fixture, 'msrp_trace')).result, { 'MSRP tracing': 'off' });
    for (const mode of ['ofx', 'ON', '', 'true']) {
      assert.deepEqual((await rpc(fixture, 'msrp_trace', [mode])).error, {
        code: -32602,
        message: 'Invalid params',
        data: "trace_mode should be 'on' or 'off'",
      });
    }
    assert.deepEqual((await rpc(fixture, 'msrp_trace')).result, { 'MSRP tracing': 'off' });
  });

  it('without a destination there is nothing to switch on', async () => {
    await using fixture = await startRelay(CONTROL);
    assert.deepEqual((await rpc(fixture, 'msrp_trace')).result, { 'MSRP tracing': 'off' });
    assert.equal((await rpc(fixture, 'msrp_trace', ['on'])).error?.code, -32000);
  });

  it('log_level', async () => {
    await using fixture = await startRelay(CONTROL);
    assert.deepEqual((await rpc(fixture, 'log_level')).result, { level: 'debug' });
    assert.equal((await rpc(fixture, 'log_level', ['warn'])).result, 'OK');
    assert.deepEqual((await rpc(fixture, 'log_level')).result, { level: 'warn' });
    assert.equal((await rpc(fixture, 'log_level', ['loud'])).error?.code, -32602);
  });

  it('reload takes what has changed, and nothing of a configuration with mistakes', async () => {
    let text = CONTROL;
    await using fixture = await startRelay(CONTROL, undefined, () => {
      const result = parseConfig(text, file('control-reload.yaml', text));
      if ('config' in result) return result.config;
      throw new Error(result.problems.map(({ message }) => message).join('; '));
    });
    text = `${CONTROL}limits: {idle_s: 5}\nmetrics: {path: /other}\n`;
    assert.deepEqual((await rpc(fixture, 'reload')).result, { changed: ['limits'], needs_restart: ['metricsPath'] });
    text = `${CONTROL}limits: {idle_s: soon}\n`;
    const refused = await rpc(fixture, 'reload');
    assert.equal(refused.error?.code, -32000);
    assert.match(String(refused.error?.data), /expected a whole number/);
    await using other = await startRelay(CONTROL);
    assert.match(String((await rpc(other, 'reload')).error?.data), /without a configuration file/);
  });

  it('parameters that a method does not take are refused', async () => {
    await using fixture = await startRelay(CONTROL);
    for (const [method, params] of [
      ['close_connection', []],
      ['close_connection', ['1']],
      ['close_connection', [-1]],
      ['close_connection', [1.5]],
      ['close_connection', { id: 1, reason: 'x' }],
      ['close_connection', { id: null }],
      ['close_connection', JSON.parse('{"id":1,"__proto__":{"x":1}}')],
      ['list_sessions', { limit: 1e9 }],
      ['list_sessions', [1, 2, 3]],
      ['drain', ['now']],
      ['msrp_trace', [{ trace_mode: 'on' }]],
    ] as [string, unknown][])
      assert.equal((await rpc(fixture, method, params)).error?.code, -32602, `${method} ${JSON.stringify(params)}`);
    for (const method of ['nothing', '__proto__', 'constructor', 'toString', ''])
      assert.equal((await rpc(fixture, method)).error?.code, -32601, method);
    assert.deepEqual(
      fixture.lines.filter((line) => line['audit'] === true),
      [],
    );
  });
});

describe('the control interface over HTTP', () => {
  it('GET gives what changes nothing', async () => {
    await using fixture = await startRelay(CONTROL);
    const get = (path: string): Promise<Response> => fetch(`${fixture.server.control}${path}`);
    assert.deepEqual(await (await get('/api/list_connections?limit=5')).json(), []);
    assert.equal((await get('/api/list_connections?limit=x')).status, 400);
    assert.equal((await get('/api/drain')).status, 405);
    assert.equal((await get('/api/msrp_trace?trace_mode=on')).status, 405);
    assert.equal((await get('/api/nothing')).status, 404);
    assert.equal((await get('/rpc')).status, 404);
    assert.equal(fixture.server.draining, false);
  });

  it('refuses what is too large, of another type, or no HTTP; answers a batch of notifications with nothing', async () => {
    await using fixture = await startRelay(CONTROL);
    assert.equal((await post(fixture, `"${'x'.repeat(70_000)}"`)).status, 413);
    assert.equal((await post(fixture, '{}', { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await post(fixture, '{}', { 'content-type': 'application/x-www-form-urlencoded' })).status, 415);
    assert.equal((await post(fixture, '[{"jsonrpc":"2.0","method":"version"}]')).status, 204);
    assert.match(await rawRequest(fixture, 'MSRP abcd SEND\r\n\r\n'), /^HTTP\/1\.1 400/);
    assert.match(await rawRequest(fixture, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
  });

  it('pages of other origins and other names for this machine are refused (CSRF, DNS rebinding)', async () => {
    await using fixture = await startRelay(CONTROL);
    const { host } = new URL(fixture.server.control!);
    const body = '{"jsonrpc":"2.0","method":"drain","id":1}';
    const ask = async (headers: readonly string[]): Promise<string> =>
      (
        await rawRequest(
          fixture,
          [
            'POST /rpc HTTP/1.1',
            'Content-Type: application/json',
            'Connection: close',
            `Content-Length: ${body.length}`,
            ...headers,
            '',
            body,
          ].join('\r\n'),
        )
      ).slice(9, 12);
    for (const headers of [
      ['Host: evil.example'],
      ['Host: 127.0.0.1.evil.example:8055'],
      ['Host: 192.0.2.1'],
      [`Host: ${host}`, 'Origin: http://evil.example'],
      [`Host: ${host}`, 'Origin: null'],
      [`Host: ${host}`, 'Origin: http://localhost:1'],
      [`Host: ${host}`, 'Sec-Fetch-Site: cross-site'],
      [`Host: ${host}`, 'Sec-Fetch-Site: same-site'],
    ])
      assert.equal(await ask(headers), '403', headers.join(', '));
    assert.equal(fixture.server.draining, false);
    assert.equal(await ask([`Host: ${host}`, `Origin: http://${host}`, 'Sec-Fetch-Site: same-origin']), '200');
  });

  it('a token: whoever does not show it gets nothing but /healthz, /readyz and an empty page', async () => {
    const token = 'correct-horse-battery';
    await using fixture = await startRelay(
      `${PLAIN}control: {listen: "http:127.0.0.1:0", token_file: ${file('token', `${token}\n`)}}\n`,
    );
    const right = { authorization: `Bearer ${token}` };
    assert.equal((await rpc(fixture, 'engine', undefined, right)).error, undefined);
    const wrong: Record<string, string>[] = [
      {},
      { authorization: 'Bearer' },
      { authorization: `Bearer ${token}x` },
      { authorization: `Bearer ${token.slice(0, -1)}` },
      { authorization: `Basic ${btoa(`x:${token}`)}` },
    ];
    for (const headers of wrong) {
      const response = await post(fixture, '{"jsonrpc":"2.0","method":"drain","id":1}', headers);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
    }
    const status = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
      (await fetch(`${fixture.server.control}${path}`, { headers })).status;
    assert.deepEqual(await Promise.all(['/healthz', '/readyz', '/'].map((path) => status(path))), [200, 200, 200]);
    assert.deepEqual(
      await Promise.all(['/metrics', '/api/engine', '/nothing'].map((path) => status(path))),
      [401, 401, 401],
    );
    assert.equal(await status('/metrics', right), 200);
    assert.equal(fixture.server.draining, false);
    assert.ok(!JSON.stringify(fixture.lines).includes(token));
  });

  it('200 callers at once are all answered', async () => {
    await using fixture = await startRelay(CONTROL);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        rpc(fixture, ['list_connections', 'get_statistics', 'list_sessions', 'engine'][i % 4]!),
      ),
    );
    assert.ok(answers.every(({ error }) => error === undefined));
  });
});

describe('control in a configuration', () => {
  const problems = (text: string): string[] => {
    const result = parseConfig(PLAIN + text, file('control.yaml', ''));
    return 'config' in result ? [] : result.problems.map(({ key, message }) => `${key}: ${message}`);
  };

  it('a public address without a token refuses the start', () => {
    for (const listen of ['http:0.0.0.0:8055', 'http:[::]:8055', 'http:192.0.2.1:8055', 'http:relay.example.com:8055'])
      assert.match(
        problems(`control: {listen: "${listen}"}`)[0] ?? '',
        /^control\.listen: others can reach this address: set control\.token_file/,
      );
    for (const listen of ['http:127.0.0.1:8055', 'http:[::1]:8055', 'http:localhost:8055', 'http://127.0.0.1:8055'])
      assert.deepEqual(problems(`control: {listen: "${listen}"}`), []);
    const token = file('good-token', 'sixteen-characters');
    assert.deepEqual(problems(`control: {listen: "http:0.0.0.0:8055", token_file: ${token}}`), []);
  });

  it('addresses and token files that are none', () => {
    for (const listen of [
      'https:127.0.0.1:1',
      '127.0.0.1:8055',
      'http:127.0.0.1',
      'http:127.0.0.1:99999',
      'http:[x]:1',
    ])
      assert.match(problems(`control: {listen: "${listen}"}`)[0] ?? '', /^control\.listen: /, listen);
    for (const content of ['', 'short', 'with a space in it somewhere', 'línea-de-más-de-16-letras'])
      assert.match(
        problems(`control: {listen: "http:127.0.0.1:1", token_file: ${file('bad-token', content)}}`)[0] ?? '',
        /^control\.token_file: /,
      );
    assert.match(problems('control: {token_file: /nowhere/token}')[0] ?? '', /ENOENT/);
    const open = file('open-token', 'sixteen-characters');
    chmodSync(open, 0o644);
    const result = parseConfig(
      `${PLAIN}control: {listen: "http:127.0.0.1:1", token_file: ${open}}`,
      file('control.yaml', ''),
    );
    assert.ok(result.warnings.some(({ message }) => /chmod 600/.test(message)));
  });

  it('a port that is taken refuses the start, and leaves nothing listening', async () => {
    await using fixture = await startRelay(CONTROL);
    const { port } = new URL(fixture.server.control!);
    const msrp = await freePort();
    const text = PLAIN.replace('msrp:127.0.0.1:0', `msrp:127.0.0.1:${msrp}`);
    await assert.rejects(startRelay(`${text}control: {listen: "http:127.0.0.1:${port}"}\n`), { code: 'E_CONTROL' });
    await assert.rejects(once(connect({ host: '127.0.0.1', port: msrp }), 'connect'), { code: 'ECONNREFUSED' });
  });
});
