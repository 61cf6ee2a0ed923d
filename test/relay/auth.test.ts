import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import fc from 'fast-check';
import type { Hooks } from '../../src/relay/hooks.ts';
import { parseAuthenticationInfo } from '../../src/syntax/digest.ts';
import { headerValue } from '../../src/syntax/frame.ts';
import { CLIENT_URI, RelayBench, SETTINGS, certified, challengeOf } from './fake-engine.ts';

describe('AUTH: credentials (R-020…R-033, D-35…D-38)', () => {
  it('R-031: no credentials is a challenge, whose realm is the host of To-Path or that of the settings', async () => {
    const bench = new RelayBench();
    const answer = await bench.request(bench.connect());
    assert.equal(answer.status, 401);
    assert.equal(challengeOf(answer).get('realm'), 'relay.example');
    assert.equal(challengeOf(answer).has('stale'), false);
    const named = new RelayBench({ settings: { authRealm: 'the realm' } });
    assert.equal((await named.challenge(named.connect())).get('realm'), 'the realm');
  });

  it('two users of one name in two realms are two', async () => {
    const users = [
      ['alice', 'one.example', { password: 'first' }],
      ['alice', 'two.example', { password: 'second' }],
    ] as const;
    const bench = new RelayBench({ users });
    for (const [realm, password, status] of [
      ['one.example', 'first', 200],
      ['two.example', 'second', 200],
      ['one.example', 'second', 401],
      ['two.example', 'first', 401],
      ['three.example', 'first', 401],
    ] as const) {
      const toPath = [`msrps://${realm}:2855;tcp`];
      assert.equal((await bench.auth(bench.connect(), { toPath, password })).status, status, `${realm} ${password}`);
    }
  });

  it('D-35: a nonce of another realm or secret is none; with the right digest it is called stale', async () => {
    const users = [['alice', '', { password: 'secret' }]] as const;
    const bench = new RelayBench({ users });
    const other = new RelayBench({ users });
    // Another secret: the benches draw the same bytes, so one of them draws some before.
    const connection = bench.connect();
    const elsewhere = await bench.challenge(connection, { toPath: ['msrps://other.example:2855;tcp'] });
    const foreign = await other.challenge(other.connect());
    const skewed = `${foreign.get('nonce')!.slice(0, -2)}AA`;
    for (const nonce of [elsewhere.get('nonce')!, skewed, 'nonsense', '']) {
      const right = await bench.auth(connection, { nonce });
      assert.equal(right.status, 401);
      assert.equal(challengeOf(right).get('stale'), 'true', nonce);
    }
    assert.deepEqual(bench.engine.dropped, [], 'the password was right each time');
    const wrong = await bench.auth(connection, { nonce: 'nonsense', password: 'guess' });
    assert.equal(challengeOf(wrong).has('stale'), false);
    assert.equal(bench.engine.opened.size, 0);
  });

  it('D-35: a nonce that is over is stale when the digest is right, and only then', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const nonce = (await bench.challenge(connection)).get('nonce')!;
    bench.clock.nowMs += 31_000;
    assert.equal(challengeOf(await bench.auth(connection, { nonce })).get('stale'), 'true');
    assert.equal(challengeOf(await bench.auth(connection, { nonce, password: 'x' })).has('stale'), false);
  });

  it('R-025: Authentication-Info proves the password, and the nonce serves again with the next count', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const nonce = (await bench.challenge(connection)).get('nonce')!;
    const granted = await bench.auth(connection, { nonce });
    const info = parseAuthenticationInfo(headerValue(granted.headers, 'Authentication-Info')!)!;
    assert.deepEqual([info.get('qop'), info.get('nc'), info.get('cnonce')], ['auth', '00000001', 'abcdef']);
    assert.match(info.get('rspauth')!, /^[0-9a-f]{32}$/);
    assert.equal((await bench.auth(connection, { nonce, nc: '00000002' })).status, 200);
  });

  it('D-32: a uri parameter does not count', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const text = bench.authorization(await bench.challenge(connection));
    assert.equal((await bench.auth(connection, { authorization: `${text}, uri="msrps://x;tcp"` })).status, 200);
  });

  it('what goes back into a header holds no byte that could end it', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    // Low bytes of U+010D and U+010A are CR and LF.
    for (const cnonce of ['a\u010d\u010aTo-Path: x', 'ü', '\u0000', 'a'.repeat(1000)]) {
      assert.equal((await bench.auth(connection, { cnonce })).status, 400, JSON.stringify(cnonce));
    }
    assert.equal(bench.engine.opened.size, 0);
    const open = new RelayBench();
    assert.equal((await open.auth(open.connect(), { cnonce: '~!#$%/+=:; ,' })).status, 200);
  });

  it('any Authorization is answered; none grants without the password', async () => {
    const bench = new RelayBench({ settings: { authFailures: 0 } });
    const connection = bench.connect();
    const good = bench.authorization(await bench.challenge(connection), { password: 'wrong' });
    const piece = fc.constantFrom(...good.split(/(?<=[ ,="])/), '"', '\\', ',', 'nc=', '\u010a', 'Digest ');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join('')),
        ),
        async (text) => {
          const { status } = await bench.auth(connection, { authorization: text });
          assert.ok(status === 400 || status === 401);
        },
      ),
    );
    assert.equal(bench.engine.opened.size, 0);
  });

  it('D-39: Expires is bounded only after the credentials are right; what is no number is 400', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    assert.deepEqual((await bench.auth(connection, { expires: '59' })).headers, [['Min-Expires', '60']]);
    assert.deepEqual((await bench.auth(connection, { expires: '3601' })).headers, [['Max-Expires', '3600']]);
    assert.equal((await bench.auth(connection, { expires: '59', password: 'x' })).status, 401);
    for (const expires of ['', 'soon', '-1', '1e3', '60.5', '0x40'])
      assert.equal((await bench.auth(connection, { expires })).status, 400, expires);
    assert.equal(bench.engine.opened.size, 0);
    assert.equal((await bench.auth(connection, { expires: '60' })).status, 200);
  });
});

describe('AUTH: hooks', () => {
  it('a user that the hook knows no password of cannot come in, whatever it gives instead', async () => {
    for (const secret of [
      null,
      undefined,
      {},
      { password: undefined },
      { password: '' },
      { password: 7 },
      { ha1: undefined },
      { ha1: 'short' },
      'secret',
      true,
    ]) {
      const bench = new RelayBench({ hooks: { authenticate: () => secret as never } });
      for (const password of ['undefined', '', 'secret', '7', 'null']) {
        const { status } = await bench.auth(bench.connect(), { password });
        assert.equal(status, 401, `${JSON.stringify(secret)} ${password}`);
      }
      assert.equal(bench.engine.opened.size, 0);
    }
  });

  it('authorize: what it gives is checked before it counts', async () => {
    for (const [verdict, status] of [
      [false, 403],
      [{ allow: false, status: 404 }, 404],
      [{ allow: false, status: 200 }, 403],
      [{ allow: false, status: 7 }, 403],
      [{ allow: false, status: 'x' }, 403],
      [{ allow: 'yes' }, 403],
      [{ allow: true, expiresS: Number.NaN }, 403],
      [{ allow: true, expiresS: '90' }, 403],
      [{ allow: true, expiresS: -1 }, 403],
      [null, 403],
      [undefined, 403],
      ['yes', 403],
    ] as const) {
      const bench = new RelayBench({ hooks: { authorize: () => verdict as never } });
      assert.equal((await bench.auth(bench.connect())).status, status, JSON.stringify(verdict));
      assert.equal(bench.engine.opened.size, 0);
    }
    const bench = new RelayBench({ hooks: { authorize: () => ({ allow: true, expiresS: 90.7 }) } });
    assert.equal(headerValue((await bench.auth(bench.connect())).headers, 'Expires'), '90');
    assert.equal([...bench.engine.opened.values()][0]?.expiresAtMs, bench.clock.nowMs + 90_000);
  });

  it('authorize is asked again, and its bound holds, when a session is refreshed (D-41)', async () => {
    let allow = true;
    const bench = new RelayBench({ hooks: { authorize: () => ({ allow, expiresS: 100 }) } });
    const connection = bench.connect();
    const uri = headerValue((await bench.auth(connection)).headers, 'Use-Path')!;
    const refreshed = await bench.auth(connection, { toPath: [uri], expires: '3600' });
    assert.equal(headerValue(refreshed.headers, 'Expires'), '100');
    assert.deepEqual(bench.engine.extended[0]?.[1], bench.clock.nowMs + 100_000);
    allow = false;
    assert.equal((await bench.auth(connection, { toPath: [uri] })).status, 403);
    assert.equal(bench.engine.extended.length, 1);
    // Who may not stay may still go.
    assert.equal((await bench.auth(connection, { toPath: [uri], expires: '0' })).status, 200);
    assert.equal(bench.engine.closed.length, 1);
  });

  it('hooks that throw refuse: authorize 403, authenticate 408; both are logged', async () => {
    const oops = (): never => {
      throw new Error('oops');
    };
    const throwing = new RelayBench({ hooks: { authorize: oops } });
    assert.equal((await throwing.auth(throwing.connect())).status, 403);
    const store = new RelayBench({ hooks: { authenticate: async () => oops() } });
    assert.equal((await store.auth(store.connect())).status, 408);
    for (const { lines } of [throwing, store]) assert.ok(lines.some(({ level }) => level === 50));
  });

  it('a hook that hangs is given up after 5 s; what it says later does not count', async (context) => {
    let called: () => void = () => undefined;
    let finish: (verdict: boolean) => void = () => undefined;
    const asked = new Promise<void>((resolve) => (called = resolve));
    const authorize: Hooks['authorize'] = () =>
      new Promise((resolve) => {
        finish = resolve;
        called();
      });
    const bench = new RelayBench({ hooks: { authorize } });
    const connection = bench.connect();
    const challenge = await bench.challenge(connection);
    mock.timers.enable({ apis: ['setTimeout'] });
    context.after(() => mock.timers.reset());
    const headers = [['Authorization', bench.authorization(challenge)]] as const;
    const answer = bench.request(connection, { headers });
    await asked;
    mock.timers.tick(5000);
    assert.equal((await answer).status, 403);
    finish(true);
    assert.equal((await bench.request(connection)).status, 401);
    assert.equal(bench.engine.opened.size, 0);
  });

  it('the connection has gone while a hook thinks: no session', async () => {
    let called: () => void = () => undefined;
    let finish: (verdict: boolean) => void = () => undefined;
    const asked = new Promise<void>((resolve) => (called = resolve));
    const verdict = new Promise<boolean>((resolve) => (finish = resolve));
    const bench = new RelayBench({
      hooks: {
        authorize: () => {
          called();
          return verdict;
        },
      },
    });
    const connection = bench.connect();
    void bench.auth(connection);
    await asked;
    bench.disconnect(connection);
    finish(true);
    // A later AUTH comes to its end after the first one has.
    assert.equal((await bench.auth(bench.connect())).status, 200);
    assert.equal(bench.engine.opened.size, 1);
    assert.equal(bench.relay.sessions().length, 1);
  });
});

describe('AUTH: failures (R-004, R-037, D-30, D-40)', () => {
  it('three failures close a client, its own and those that came back for it', async () => {
    const bench = new RelayBench();
    const one = bench.connect();
    for (let i = 0; i < 3; i++) await bench.auth(one, { password: 'x' });
    const two = bench.connect();
    for (let i = 0; i < 3; i++) bench.engine.emit({ type: 'authRejected', connection: two });
    assert.deepEqual(bench.engine.dropped, [
      [one, 'auth_failures'],
      [two, 'auth_failures'],
    ]);
  });

  it('never a relay; a certificate that names someone else makes no relay (R-040)', async () => {
    const bench = new RelayBench();
    const fromPath = ['msrps://r1.example:2855/a;tcp', CLIENT_URI];
    const relay = bench.connect({ tls: certified('r1.example') });
    for (let i = 0; i < 5; i++) await bench.auth(relay, { password: 'x', fromPath });
    for (let i = 0; i < 5; i++) bench.engine.emit({ type: 'authRejected', connection: relay });
    const dialled = bench.connect({ direction: 'out' });
    for (let i = 0; i < 5; i++) bench.engine.emit({ type: 'authRejected', connection: dialled });
    assert.deepEqual(bench.engine.dropped, []);
    const client = bench.connect({ tls: certified('someone.example') });
    for (let i = 0; i < 3; i++) await bench.auth(client, { password: 'x' });
    assert.deepEqual(bench.engine.dropped, [[client, 'auth_failures']]);
  });

  it('D-30: AUTH without TLS is 403 with a warning, and a failure; allowed, it is served', async () => {
    const bench = new RelayBench();
    const connection = bench.connect({ tls: null });
    for (let i = 0; i < 3; i++) assert.equal((await bench.request(connection)).status, 403);
    assert.ok(bench.lines.some(({ level }) => level === 40));
    assert.deepEqual(bench.engine.dropped, [[connection, 'auth_failures']]);
    const plain = new RelayBench({ settings: { allowPlainAuth: true } });
    const granted = await plain.auth(plain.connect({ tls: null }));
    assert.match(headerValue(granted.headers, 'Use-Path')!, /^msrp:\/\/relay\.example:2856\/[\w.-]{24};tcp$/);
  });

  it('other methods are 501; a request of a connection that has gone is nothing', async () => {
    const bench = new RelayBench();
    assert.equal((await bench.request(bench.connect(), { method: 'NICKNAME' })).status, 501);
    void bench.request(999);
    assert.equal((await bench.request(bench.connect())).status, 401);
  });

  it('what is logged of an AUTH is escaped and holds no secret', async () => {
    const bench = new RelayBench();
    const user = 'mal\u001b[31mory\u202e';
    await bench.auth(bench.connect(), { user, password: 'hunter2' });
    const granted = await bench.auth(bench.connect());
    const text = JSON.stringify(bench.lines);
    const secret = headerValue(granted.headers, 'Use-Path')!.split(/[/;]/)[3]!;
    assert.equal(secret.length, 24);
    for (const part of ['\\u001b', '\u202e', 'hunter2', secret]) assert.ok(!text.includes(part), part);
    assert.match(text, /mal\\\\x1b/);
  });
});

describe('the settings may change', () => {
  it('a nonce does not come alive again, with its counts forgotten, when nonces live longer', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const nonce = (await bench.challenge(connection)).get('nonce')!;
    assert.equal((await bench.auth(connection, { nonce })).status, 200);
    bench.clock.nowMs += 31_000;
    bench.sweep();
    const parts = { credentials: { lookup: async () => ({ password: 'secret' }) }, hooks: {} };
    const stranger = (await bench.challenge(connection)).get('nonce')!;
    assert.notEqual(stranger, nonce);
    for (const nonceExpireS of [3000, 4000]) {
      bench.relay.reload({ ...parts, settings: { ...SETTINGS, nonceExpireS } });
      bench.clock.nowMs += 1;
      assert.equal((await bench.auth(connection, { nonce })).status, 401);
    }
    const fresh = (await bench.challenge(connection)).get('nonce')!;
    bench.clock.nowMs += 3_999_000;
    assert.equal((await bench.auth(connection, { nonce: fresh })).status, 200);
    bench.relay.reload({ ...parts, settings: { ...SETTINGS, nonceExpireS: 10 } });
    const short = (await bench.challenge(connection)).get('nonce')!;
    bench.clock.nowMs += 10_000;
    assert.equal((await bench.auth(connection, { nonce: short })).status, 401);
  });
});
