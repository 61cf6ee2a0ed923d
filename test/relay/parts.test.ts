import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NonceSource } from '../../src/relay/auth/nonce.ts';
import { MemoryCredentials, loadUsers, parseUsers } from '../../src/relay/credentials.ts';
import { loadHooks, runHook } from '../../src/relay/hooks.ts';
import { HopPolicy, hopPatternProblem } from '../../src/relay/next-hop/policy.ts';
import { NextHopResolver, orderSrv } from '../../src/relay/next-hop/resolver.ts';
import type { Dns, SrvRecord } from '../../src/relay/next-hop/resolver.ts';
import { parseUri } from '../../src/syntax/uri.ts';

const folder = mkdtempSync(join(tmpdir(), 'msrpd-relay-'));

describe('nonces (D-35)', () => {
  const make = (): { nonces: NonceSource; clock: { nowMs: number } } => {
    const clock = { nowMs: 1_000_000 };
    let byte = 0;
    const random = (into: Uint8Array): void => void into.fill(++byte & 255);
    return { nonces: new NonceSource({ nowMs: () => clock.nowMs, random }, 30_000), clock };
  };

  it('are good for their realm, their connection and their time', () => {
    const { nonces, clock } = make();
    const nonce = nonces.make('realm', '7');
    assert.equal(nonces.check(nonce, 'realm', '7'), 'good');
    assert.equal(nonces.check(nonce, 'other', '7'), 'foreign');
    assert.equal(nonces.check(nonce, 'realm', '8'), 'foreign');
    clock.nowMs += 29_999;
    assert.equal(nonces.check(nonce, 'realm', '7'), 'good');
    clock.nowMs += 1;
    assert.equal(nonces.check(nonce, 'realm', '7'), 'stale');
  });

  it('another secret, and any change, make them foreign', () => {
    const { nonces } = make();
    const nonce = nonces.make('realm', '');
    const other = new NonceSource({ nowMs: () => 1_000_000, random: (into) => void into.fill(9) }, 30_000);
    assert.equal(other.check(nonce, 'realm', ''), 'foreign');
    const same = new NonceSource(
      { nowMs: () => 1_000_000, random: () => undefined },
      30_000,
      new Uint8Array(32).fill(1),
    );
    const twin = new NonceSource(
      { nowMs: () => 1_000_000, random: () => undefined },
      30_000,
      new Uint8Array(32).fill(1),
    );
    assert.equal(twin.check(same.make('r', ''), 'r', ''), 'good');
    fc.assert(
      fc.property(fc.nat(nonce.length - 1), fc.constantFrom(...'ABCxyz019-_='), (at, char) => {
        const changed = nonce.slice(0, at) + char + nonce.slice(at + 1);
        return changed === nonce || nonces.check(changed, 'realm', '') === 'foreign';
      }),
    );
    for (const text of ['', 'x', 'ä'.repeat(48), `${nonce}A`]) assert.equal(nonces.check(text, 'realm', ''), 'foreign');
  });

  it('a count must grow; what is over is forgotten', () => {
    const { nonces, clock } = make();
    const nonce = nonces.make('realm', '');
    assert.equal(nonces.use(nonce, '', 1), true);
    assert.equal(nonces.use(nonce, '', 1), false);
    assert.equal(nonces.use(nonce, '', 5), true);
    assert.equal(nonces.use(nonce, '', 4), false);
    nonces.sweep();
    assert.equal(nonces.use(nonce, '', 5), false);
    clock.nowMs += 31_000;
    nonces.sweep();
    assert.equal(nonces.check(nonce, 'realm', ''), 'stale');
  });

  it('a count is kept for each connection by itself, and no longer than the connection', () => {
    const { nonces } = make();
    const nonce = nonces.make('realm', '1');
    assert.equal(nonces.use(nonce, '1', 1), true);
    assert.equal(nonces.use(nonce, '1', 1), false);
    nonces.forget('2');
    assert.equal(nonces.use(nonce, '1', 1), false);
    nonces.forget('1');
    assert.equal(nonces.use(nonce, '1', 1), true);
  });

  it('one connection that uses up its share takes nothing from others; time frees it', () => {
    const { nonces, clock } = make();
    // Their text counts here, not what is in it: a good nonce has passed check().
    const numbered = (number: number) => nonces.make('realm', '1').slice(0, -6) + String(number).padStart(6, '0');
    for (let i = 0; i < 10_000; i++) assert.equal(nonces.use(numbered(i), '1', 1), true);
    assert.equal(nonces.use(numbered(10_000), '1', 1), false);
    assert.equal(nonces.use(numbered(10_000), '2', 1), true);
    clock.nowMs += 31_000;
    assert.equal(nonces.use(numbered(10_001), '1', 1), true);
  });
});

describe('users file', () => {
  it('has passwords and HA1s, comments and any line ends', async () => {
    const { users, problems } = parseUsers(
      '\uFEFF# users\r\nalice:r.example:secret:with:colons\r\n\nbob:r.example:0123456789abcdef0123456789ABCDEF\ncarol::any realm\ndave:r.example:plain:0123456789abcdef0123456789abcdef\n',
    );
    assert.deepEqual(problems, []);
    const store = new MemoryCredentials(users);
    assert.deepEqual(await store.lookup('alice', 'r.example'), { password: 'secret:with:colons' });
    assert.deepEqual(await store.lookup('bob', 'r.example'), { ha1: '0123456789abcdef0123456789abcdef' });
    assert.deepEqual(await store.lookup('carol', 'whatever'), { password: 'any realm' });
    assert.deepEqual(await store.lookup('dave', 'r.example'), { password: '0123456789abcdef0123456789abcdef' });
    assert.equal(await store.lookup('alice', 'other'), undefined);
    assert.equal(await store.lookup('Alice', 'r.example'), undefined);
  });

  it('every bad line is listed', async () => {
    const path = join(folder, 'users.txt');
    writeFileSync(path, 'alice\nbob:r:x\nbob:r:y\n:r:x\neve:r:\nmallory::0123456789abcdef0123456789abcdef\n');
    await assert.rejects(loadUsers(path), (error: Error) => {
      for (const line of [1, 3, 4, 5, 6]) assert.match(error.message, new RegExp(`users\\.txt:${line}: `));
      assert.doesNotMatch(error.message, /users\.txt:2: |0123456789abcdef/);
      return true;
    });
    await assert.rejects(loadUsers(join(folder, 'nothing')), { code: 'E_USERS' });
  });
});

describe('next-hop policy (R-093)', () => {
  it('public addresses are allowed, all others only when listed', () => {
    const policy = new HopPolicy({ allow: [], deny: [] });
    for (const address of ['8.8.8.8', '2a00:1450::1', '2606:4700::1111', '64:ff9b::808:808', '2002:808:808::1']) {
      assert.equal(policy.allowsAddress('h.example', address), true, address);
    }
    for (const address of [
      ...[
        '127.0.0.1',
        '10.1.2.3',
        '172.16.0.1',
        '172.31.255.255',
        '192.168.1.1',
        '169.254.169.254',
        '100.64.0.1',
        '0.0.0.0',
      ],
      ...[
        '224.0.0.1',
        '255.255.255.255',
        '198.18.0.1',
        '192.0.2.1',
        '::1',
        '::',
        'fe80::1',
        'fc00::1',
        'fd12::1',
        'ff02::1',
      ],
      ...[
        '::ffff:127.0.0.1',
        '::ffff:10.0.0.1',
        '::127.0.0.1',
        '64:ff9b::7f00:1',
        '64:ff9b::a00:1',
        '2002:7f00:1::',
        '2001:db8::1',
      ],
      ...['nonsense', ''],
    ]) {
      assert.equal(policy.allowsAddress('h.example', address), false, address);
    }
  });

  it('deny is stronger than allow; names and blocks', () => {
    const policy = new HopPolicy({
      allow: ['10.0.0.0/8', '*.trusted.example', 'fd00::/8'],
      deny: ['10.9.0.0/16', 'bad.trusted.example', '8.8.8.8'],
    });
    assert.equal(policy.allowsAddress('h', '10.1.1.1'), true);
    assert.equal(policy.allowsAddress('h', '::ffff:10.1.1.1'), true);
    assert.equal(policy.allowsAddress('h', '10.9.1.1'), false);
    assert.equal(policy.allowsAddress('h', '8.8.8.8'), false);
    assert.equal(policy.allowsAddress('h', 'fd00::1'), true);
    assert.equal(policy.allowsAddress('a.trusted.example', '192.168.1.1'), true);
    assert.equal(policy.allowsAddress('trusted.example', '192.168.1.1'), false);
    assert.equal(policy.allowsAddress('atrusted.example', '192.168.1.1'), false);
    assert.equal(policy.allowsHost('BAD.trusted.example'), false);
    assert.equal(policy.allowsHost('good.trusted.example'), true);
  });

  it('patterns are checked', () => {
    for (const good of ['10.0.0.0/8', '::1', '*.example.com', 'host', '*', 'fd00::/8'])
      assert.equal(hopPatternProblem(good), undefined, good);
    for (const bad of [
      '10.0.0.0/33',
      '10.0.0/8',
      'a b',
      '*.*.com',
      'a.*',
      '',
      'fd00::/129',
      '10.0.0.0/',
      '-a.example',
    ]) {
      assert.notEqual(hopPatternProblem(bad), undefined, bad);
    }
  });
});

describe('next-hop resolver (R-100…R-103)', () => {
  const asked: string[] = [];
  const clock = { nowMs: 0 };
  const answers: Record<string, unknown[]> = {
    'A both.example': [{ address: '192.0.2.1', ttl: 60 }],
    'AAAA both.example': [{ address: '2001:db8::1', ttl: 30 }],
    'SRV _msrps._tcp.srv.example': [
      { name: 'two.example', port: 2, priority: 20, weight: 0 },
      { name: 'one.example', port: 1, priority: 10, weight: 0 },
    ],
    'A one.example': [{ address: '192.0.2.11', ttl: 60 }],
    'A two.example': [{ address: '192.0.2.12', ttl: 60 }],
    'SRV _msrps._tcp.none.example': [{ name: '.', port: 0, priority: 0, weight: 0 }],
    'HOSTS local': ['127.0.0.1', '::1'],
  };
  const ask = async <T>(key: string): Promise<T[]> => {
    asked.push(key);
    await Promise.resolve();
    return (answers[key] ?? []) as T[];
  };
  const dns: Dns = {
    resolve4: (name) => ask(`A ${name}`),
    resolve6: (name) => ask(`AAAA ${name}`),
    resolveSrv: (name) => ask(`SRV ${name}`),
    lookup: (name) => ask(`HOSTS ${name}`),
  };
  const make = (): NextHopResolver => {
    asked.length = 0;
    return new NextHopResolver({ nowMs: () => clock.nowMs, random: () => 0.5 }, dns);
  };
  const uri = (text: string) => parseUri(text)!;

  it('with a port: AAAA and A, never SRV; an address as it is', async () => {
    const resolver = make();
    assert.deepEqual(await resolver.resolve(uri('msrps://both.example:7;tcp')), [
      { address: '2001:db8::1', port: 7 },
      { address: '192.0.2.1', port: 7 },
    ]);
    assert.deepEqual(await resolver.resolve(uri('msrps://[::1]:9;tcp')), [{ address: '::1', port: 9 }]);
    assert.deepEqual(await resolver.resolve(uri('msrps://192.0.2.9;tcp')), []);
    assert.deepEqual(await resolver.resolve(uri('msrp://local:5;tcp')), [
      { address: '127.0.0.1', port: 5 },
      { address: '::1', port: 5 },
    ]);
    assert.ok(!asked.some((key) => key.startsWith('SRV')));
  });

  it('without a port: SRV by priority, else port 2855; a target of "." is none', async () => {
    const resolver = make();
    assert.deepEqual(await resolver.resolve(uri('msrps://srv.example;tcp')), [
      { address: '192.0.2.11', port: 1 },
      { address: '192.0.2.12', port: 2 },
    ]);
    assert.deepEqual((await resolver.resolve(uri('msrps://both.example;tcp')))[0], {
      address: '2001:db8::1',
      port: 2855,
    });
    assert.deepEqual(await resolver.resolve(uri('msrps://none.example;tcp')), []);
  });

  it('answers are kept for their TTL, failures for a moment; one question for many askers', async () => {
    const resolver = make();
    const both = uri('msrps://both.example:7;tcp');
    await Promise.all([resolver.resolve(both), resolver.resolve(both), resolver.resolve(both)]);
    assert.deepEqual(asked, ['AAAA both.example', 'A both.example']);
    clock.nowMs += 29_000;
    await resolver.resolve(both);
    assert.equal(asked.length, 2);
    clock.nowMs += 2000;
    await resolver.resolve(both);
    assert.equal(asked.length, 4);
    assert.deepEqual(await resolver.resolve(uri('msrp://nobody.example:1;tcp')), []);
    const before = asked.length;
    await resolver.resolve(uri('msrp://nobody.example:1;tcp'));
    assert.equal(asked.length, before);
    clock.nowMs += 6000;
    await resolver.resolve(uri('msrp://nobody.example:1;tcp'));
    assert.ok(asked.length > before);
  });

  it('RFC 2782: within a priority, chance by weight', () => {
    const record = (name: string, priority: number, weight: number): SrvRecord => ({ name, port: 1, priority, weight });
    const records = [record('a', 1, 10), record('b', 1, 30), record('c', 1, 60), record('z', 2, 100)];
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const first: Record<string, number> = { a: 0, b: 0, c: 0, z: 0 };
    for (let i = 0; i < 10_000; i++) {
      const order = orderSrv(records, random);
      first[order[0]!.name]!++;
      assert.equal(order.length, 4);
      assert.equal(order[3]!.name, 'z');
    }
    assert.ok(
      Math.abs(first['a']! - 1000) < 200 && Math.abs(first['b']! - 3000) < 300 && Math.abs(first['c']! - 6000) < 300,
    );
    assert.equal(orderSrv([record('a', 1, 0), record('b', 1, 0)], random).length, 2);
  });
});

describe('hooks', () => {
  it('are loaded, and a module with anything else is refused', async () => {
    const good = join(folder, 'good.mjs');
    writeFileSync(good, 'export function authorize() { return true; }\nexport default 1;');
    assert.equal(await (await loadHooks(good)).authorize?.({ user: '', realm: '', remote: '', fromPath: [] }), true);
    for (const [name, text] of [
      ['unknown.mjs', 'export function whatever() {}'],
      ['value.mjs', 'export const authorize = 1;'],
      ['empty.mjs', 'export default 1;'],
      ['broken.mjs', 'export function ('],
    ] as const) {
      writeFileSync(join(folder, name), text);
      await assert.rejects(loadHooks(join(folder, name)), { code: 'E_HOOKS' }, name);
    }
    await assert.rejects(loadHooks(join(folder, 'missing.mjs')), { code: 'E_HOOKS' });
  });

  it('that throw or hang reject', async () => {
    await assert.rejects(
      runHook('authorize', () => {
        throw new Error('oops');
      }),
      /oops/,
    );
    await assert.rejects(
      runHook('authorize', () => new Promise(() => undefined), 1),
      /longer than 1 ms/,
    );
    assert.equal(await runHook('authorize', () => 7), 7);
  });
});
