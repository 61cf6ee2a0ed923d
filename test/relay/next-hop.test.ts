import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { parseUsers } from '../../src/relay/credentials.ts';
import type { Hooks } from '../../src/relay/hooks.ts';
import { HopPolicy } from '../../src/relay/next-hop/policy.ts';
import { NextHopResolver } from '../../src/relay/next-hop/resolver.ts';
import type { Dns } from '../../src/relay/next-hop/resolver.ts';
import { parseUri } from '../../src/syntax/uri.ts';
import { SYSTEM_DOMAIN } from '../../src/relay/settings.ts';
import { RelayBench } from './fake-engine.ts';
import type { BenchOptions } from './fake-engine.ts';

const PUBLIC: Partial<Dns> = { resolve4: async () => [{ address: '8.8.4.4', ttl: 60 }] };

async function benchWithSession(options: BenchOptions): Promise<{ bench: RelayBench; session: number }> {
  const bench = new RelayBench({ dns: PUBLIC, ...options });
  await bench.auth(bench.connect());
  return { bench, session: bench.relay.sessions()[0]!.session };
}

describe('next hops (R-091…R-102)', () => {
  it('an endpoint: dialled at the addresses of its name, under a key of scheme, host and port', async () => {
    const { bench, session } = await benchWithSession({});
    assert.deepEqual(await bench.hop({ session }), {
      spec: {
        key: 'msrps peer.example 2855  system verified',
        candidates: [{ address: '8.8.4.4', port: 2855 }],
        timeoutMs: 1000,
        tls: { domain: SYSTEM_DOMAIN, serverName: 'peer.example' },
      },
    });
  });

  it('R-091, R-102: a relay is known by the name that its certificate was compared with', async () => {
    const { bench, session } = await benchWithSession({
      dns: {
        ...PUBLIC,
        resolveSrv: async () => [{ name: 'farm1.example', port: 777, priority: 1, weight: 1 }],
      },
    });
    const decision = await bench.hop({ session, method: 'AUTH', uri: 'msrps://outer.example;tcp' });
    assert.ok('spec' in decision);
    assert.deepEqual(decision.spec.candidates, [{ address: '8.8.4.4', port: 777 }]);
    assert.deepEqual([decision.spec.relay, decision.spec.tls?.serverName], ['outer.example', 'outer.example']);
  });

  it('R-093: plain endpoints yes, plain relays no', async () => {
    const { bench, session } = await benchWithSession({});
    const uri = 'msrp://peer.example:2855/x;tcp';
    assert.ok('spec' in (await bench.hop({ session, uri })));
    assert.deepEqual(await bench.hop({ session, uri, pathLength: 2 }), { status: 403 });
    assert.deepEqual(await bench.hop({ session, uri, method: 'AUTH' }), { status: 403 });
  });

  it('what cannot be dialled is refused', async () => {
    const { bench, session } = await benchWithSession({});
    for (const [uri, status] of [
      ['msrps://peer.example/x;tcp', 400],
      ['msrps://8.8.8.8;tcp', 400],
      ['msrps://peer.example:1/x;ws', 481],
      ['http://peer.example', 400],
    ] as const) {
      assert.deepEqual(await bench.hop({ session, uri }), { status }, uri);
    }
    assert.deepEqual(await bench.hop({ session: 999 }), { status: 481 });
    const { bench: nowhere, session: other } = await benchWithSession({ dns: {} });
    assert.deepEqual(await nowhere.hop({ session: other }), { status: 408 });
  });

  it('a public name that leads into private networks is refused, however it says it', async () => {
    for (const [name, address] of [
      ['resolve4', '127.0.0.1'],
      ['resolve4', '169.254.169.254'],
      ['resolve6', '::1'],
      ['resolve6', '::ffff:10.0.0.1'],
      ['resolve6', '64:ff9b::7f00:1'],
      ['resolve6', 'fe80::1'],
    ] as const) {
      const { bench, session } = await benchWithSession({ dns: { [name]: async () => [{ address, ttl: 1 }] } });
      assert.deepEqual(await bench.hop({ session }), { status: 403 }, address);
    }
    // A number that getaddrinfo takes for an address.
    const { bench, session } = await benchWithSession({ dns: { lookup: async () => ['127.0.0.1'] } });
    assert.deepEqual(await bench.hop({ session, uri: 'msrps://2130706433:80/x;tcp' }), { status: 403 });
  });

  it('of several addresses only the allowed ones are dialled', async () => {
    const { bench, session } = await benchWithSession({
      dns: {
        resolve4: async () => [
          { address: '10.0.0.1', ttl: 60 },
          { address: '8.8.4.4', ttl: 60 },
        ],
      },
    });
    const decision = await bench.hop({ session });
    assert.deepEqual('spec' in decision && decision.spec.candidates, [{ address: '8.8.4.4', port: 2855 }]);
  });

  it('what DNS said counts at the moment of dialling, not before (rebinding)', async () => {
    let address = '8.8.4.4';
    const { bench, session } = await benchWithSession({ dns: { resolve4: async () => [{ address, ttl: 0 }] } });
    assert.ok('spec' in (await bench.hop({ session })));
    address = '127.0.0.1';
    bench.clock.nowMs += 10_000;
    assert.deepEqual(await bench.hop({ session }), { status: 403 });
  });

  it('translated addresses are judged as what they lead to', () => {
    const policy = new HopPolicy({ allow: ['10.0.0.0/8'], deny: [] });
    assert.equal(policy.allowsAddress('h', '::ffff:0:127.0.0.1'), false);
    assert.equal(policy.allowsAddress('h', '::ffff:0:7f00:1'), false);
    assert.equal(policy.allowsAddress('h', '::ffff:10.0.0.1'), true);
    assert.equal(policy.allowsAddress('h', '64:ff9b::a00:1'), true);
  });
});

describe('next hops: hooks', () => {
  const decide = async (hooks: Hooks, settings = {}) => {
    const { bench, session } = await benchWithSession({ hooks, settings });
    return bench.hop({ session });
  };

  it('refuse, redirect, or leave as it is', async () => {
    assert.deepEqual(await decide({ nextHop: () => ({ refuse: 413 }) }), { status: 413 });
    for (const wish of [undefined, null]) assert.ok('spec' in (await decide({ nextHop: () => wish })));
    const sent = await decide({ nextHop: () => ({ host: 'Other.example', port: 77, tls: false }) });
    assert.ok('spec' in sent);
    assert.deepEqual([sent.spec.key, sent.spec.tls], ['msrp other.example 77 ', undefined]);
    const v6 = await decide({ nextHop: () => ({ host: '[2606:4700:0::1111]', port: 77 }) });
    assert.deepEqual('spec' in v6 && v6.spec.candidates, [{ address: '2606:4700::1111', port: 77 }]);
  });

  it('a wish that makes no sense is refused: never sent to where the URI leads instead', async () => {
    for (const wish of [
      { host: 'other.example', port: 0 },
      { host: 'other.example', port: 70_000 },
      { host: 'other.example', port: '80' },
      { host: 'other.example' },
      { host: 'a b', port: 1 },
      { host: 'x/y', port: 1 },
      { host: '', port: 1 },
      { host: 7, port: 1 },
      { port: 1 },
      { host: 'other.example', port: 1, tls: 'yes' },
      { refuse: Number.NaN },
      { refuse: 200 },
      { refuse: 4000 },
      {},
      'other.example',
      true,
    ]) {
      const decision = await decide({ nextHop: () => wish as never });
      assert.ok('status' in decision && (decision.status === 403 || decision.status === 408), JSON.stringify(wish));
    }
  });

  it('where a hook sends is a matter of policy, too', async () => {
    const nextHop = (): { host: string; port: number } => ({ host: '10.0.0.1', port: 1 });
    assert.deepEqual(await decide({ nextHop }), { status: 403 });
    assert.ok('spec' in (await decide({ nextHop }, { nextHops: { allow: ['10.0.0.0/8'], deny: [] } })));
  });

  it('selectSocket: an address, or nothing; anything else is refused before it is dialled', async () => {
    const good = await decide({ selectSocket: () => '192.0.2.77' });
    assert.ok('spec' in good);
    assert.deepEqual(
      [good.spec.localAddress, good.spec.key],
      ['192.0.2.77', 'msrps peer.example 2855 192.0.2.77 system verified'],
    );
    const none = await decide({ selectSocket: () => null });
    assert.equal('spec' in none && none.spec.localAddress, undefined);
    for (const address of ['eth0', '', '192.0.2.77:1', 7, {}])
      assert.deepEqual(
        await decide({ selectSocket: () => address as never }),
        { status: 408 },
        JSON.stringify(address),
      );
  });

  it('hooks that throw fail the hop with 408', async () => {
    const oops = (): never => {
      throw new Error('oops');
    };
    assert.deepEqual(await decide({ nextHop: oops }), { status: 408 });
    assert.deepEqual(await decide({ selectSocket: oops }), { status: 408 });
  });
});

describe('the resolver is bounded', () => {
  const nothing: Dns = {
    resolve4: async () => [],
    resolve6: async () => [],
    resolveSrv: async () => [],
    lookup: async () => [],
  };
  const uri = (text: string) => parseUri(text)!;

  it('many SRV targets are not all asked for', async () => {
    let asked = 0;
    const resolver = new NextHopResolver(
      { nowMs: () => 0, random: () => 0.5 },
      {
        ...nothing,
        resolveSrv: async () =>
          Array.from({ length: 500 }, (_, i) => ({ name: `t${i}.example`, port: 1, priority: i, weight: 0 })),
        resolve4: async () => {
          asked++;
          return [];
        },
      },
    );
    assert.deepEqual(await resolver.resolve(uri('msrps://many.example;tcp')), []);
    assert.ok(asked <= 16, `${asked} questions`);
  });

  it('DNS that never answers is given up; one question is under way meanwhile, not many', async (context) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    context.after(() => mock.timers.reset());
    const clock = { nowMs: 0 };
    let asked = 0;
    const never = (): Promise<never> => {
      asked++;
      return new Promise(() => undefined);
    };
    const resolver = new NextHopResolver(
      { nowMs: () => clock.nowMs, random: () => 0.5 },
      { ...nothing, resolve4: never, resolve6: never },
    );
    const first = resolver.resolve(uri('msrps://slow.example:1;tcp'));
    clock.nowMs += 6000;
    const second = resolver.resolve(uri('msrps://slow.example:1;tcp'));
    assert.equal(asked, 2);
    const both = Promise.all([assert.rejects(first, /no answer/), assert.rejects(second, /no answer/)]);
    mock.timers.tick(60_000);
    await both;
    // And it is not asked again at once.
    await assert.rejects(resolver.resolve(uri('msrps://slow.example:1;tcp')));
    assert.equal(asked, 2);
  });

  it('the cache has a bound', async () => {
    let asked = 0;
    const resolver = new NextHopResolver(
      { nowMs: () => 0, random: () => 0.5 },
      {
        ...nothing,
        resolve4: async () => {
          asked++;
          return [{ address: '192.0.2.1', ttl: 3600 }];
        },
      },
    );
    for (let i = 0; i <= 10_000; i++) await resolver.resolve(uri(`msrps://n${i}.example:1;tcp`));
    await resolver.resolve(uri('msrps://n10000.example:1;tcp'));
    assert.equal(asked, 10_001, 'the last one is known');
    await resolver.resolve(uri('msrps://n0.example:1;tcp'));
    assert.equal(asked, 10_002, 'the first one has gone');
  });
});

describe('users file: passwords', () => {
  it('an empty password is a mistake, also behind plain:', () => {
    assert.deepEqual(
      parseUsers('alice:r:plain:\nbob:r:plain:x\n').problems.map(({ line }) => line),
      [1],
    );
  });
});
