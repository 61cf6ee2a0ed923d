import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SessionRegistry, makeSessionUri } from '../../src/relay/sessions.ts';
import type { SessionEntry } from '../../src/relay/sessions.ts';
import { headerValue } from '../../src/syntax/frame.ts';
import { parseUri } from '../../src/syntax/uri.ts';
import { CLIENT_URI, RELAY_URI, RelayBench, certified } from './fake-engine.ts';

const R1 = 'msrps://r1.example:2855/s1;tcp';
const BOTH = [
  ['alice', '', { password: 'secret' }],
  ['bob', '', { password: 'secret' }],
] as const;

async function open(bench: RelayBench, connection: number, options = {}): Promise<string> {
  const answer = await bench.auth(connection, options);
  assert.equal(answer.status, 200);
  return headerValue(answer.headers, 'Use-Path')!;
}

describe('sessions (R-034…R-036)', () => {
  it('a URI: scheme, host and port of the listener, 144 random bits, explicit port, tcp', () => {
    const identity = { listener: 1, tls: true, host: 'relay.example', port: 2855 };
    const uri = parseUri(makeSessionUri(identity, (into) => void into.fill(63)))!;
    assert.deepEqual([uri.scheme, uri.host, uri.port, uri.transport], ['msrps', 'relay.example', 2855, 'tcp']);
    assert.equal(uri.sessionId?.length, 24);
    const v6 = makeSessionUri({ ...identity, host: '::1', tls: false }, (into) => void into.fill(0));
    assert.match(v6, /^msrp:\/\/\[::1\]:2855\//);
    // Each bit that was drawn counts.
    const texts = new Set(
      Array.from({ length: 64 }, (_, bits) => makeSessionUri(identity, (into) => void into.fill(bits))),
    );
    assert.equal(texts.size, 64);
  });

  it('what an AUTH opens: path, connection, end; each AUTH another URI', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const one = await open(bench, connection, { expires: '90' });
    const two = await open(bench, connection);
    assert.notEqual(one, two);
    const [spec] = [...bench.engine.opened.values()];
    assert.deepEqual(spec, {
      uri: one,
      clientPath: [CLIENT_URI],
      previousHop: { connection },
      expiresAtMs: bench.clock.nowMs + 90_000,
      exclusivePeer: true,
    });
    const [entry] = bench.relay.sessions();
    assert.deepEqual([entry?.user, entry?.realm, entry?.relay], ['alice', 'relay.example', undefined]);
  });

  it('R-036: Use-Path is From-Path without the client, reversed, and the new URI', async () => {
    const bench = new RelayBench();
    const R2 = 'msrps://r2.example:2855/s2;tcp';
    const connection = bench.connect({ tls: certified('r2.example') });
    const usePath = await open(bench, connection, { fromPath: [R2, R1, CLIENT_URI] });
    assert.deepEqual(usePath.split(' ').slice(0, 2), [R1, R2]);
    assert.equal(usePath.split(' ').length, 3);
    assert.deepEqual([...bench.engine.opened.values()][0]?.clientPath, [R2, R1, CLIENT_URI]);
  });

  it('R-030: a verified certificate of the first From-Path host makes a relay of the previous hop, nothing else', async () => {
    for (const [tls, relay] of [
      [certified('r1.example'), 'r1.example'],
      [certified('x.example', 'r1.example'), 'r1.example'],
      [certified(), undefined],
      [
        { ...certified('r1.example'), peer: { verified: false, altNames: ['r1.example'], subject: '', issuer: '' } },
        undefined,
      ],
    ] as const) {
      const bench = new RelayBench();
      const connection = bench.connect({ tls });
      await open(bench, connection, { fromPath: [R1, CLIENT_URI] });
      assert.deepEqual(bench.engine.identified, relay === undefined ? [] : [[connection, relay]]);
      assert.deepEqual(
        [...bench.engine.opened.values()][0]?.previousHop,
        relay === undefined ? { connection } : { relay, connection },
      );
    }
  });

  it('R-030: a certificate of another host is refused with 403; a client may show what it likes (R-040)', async () => {
    const bench = new RelayBench();
    const other = bench.connect({ tls: certified('x.example') });
    for (let i = 0; i < 3; i++) assert.equal((await bench.request(other, { fromPath: [R1, CLIENT_URI] })).status, 403);
    const { certificate, cause } = bench.lines.find(({ msg }) => msg === 'AUTH refused') ?? {};
    assert.deepEqual([certificate, cause], [['x.example'], 'certificate of another host']);
    assert.deepEqual(bench.engine.dropped, [[other, 'auth_failures']]);
    assert.equal((await bench.auth(bench.connect({ tls: certified('x.example') }))).status, 200);
  });

  it('D-41: a session is refreshed by its user, on its connection, under its whole URI', async () => {
    const bench = new RelayBench({ users: BOTH });
    const connection = bench.connect();
    const uri = await open(bench, connection);
    assert.equal((await bench.auth(connection, { toPath: [uri], user: 'bob' })).status, 481);
    assert.equal((await bench.auth(bench.connect(), { toPath: [uri] })).status, 481);
    assert.equal((await bench.auth(connection, { toPath: [uri.replace(':2855', ':2856')] })).status, 481);
    assert.equal((await bench.auth(connection, { toPath: [RELAY_URI.replace(';', '/nothing;')] })).status, 481);
    assert.deepEqual(bench.engine.extended, []);
    const answer = await bench.auth(connection, { toPath: [uri], expires: '120' });
    assert.deepEqual(answer.headers.slice(0, 2), [
      ['Use-Path', uri],
      ['Expires', '120'],
    ]);
    assert.equal(bench.engine.opened.size, 1);
    assert.equal(bench.engine.extended[0]?.[1], bench.clock.nowMs + 120_000);
  });

  it('R-034: a client behind a relay refreshes over any connection of that relay', async () => {
    const bench = new RelayBench();
    const fromPath = [R1, CLIENT_URI];
    const first = bench.connect({ tls: certified('r1.example') });
    const uri = (await open(bench, first, { fromPath })).split(' ')[1]!;
    const second = bench.connect({ tls: certified('r1.example') });
    assert.equal((await bench.auth(second, { fromPath, toPath: [uri] })).status, 200);
    const stranger = bench.connect({ tls: certified('r9.example') });
    assert.equal((await bench.request(stranger, { fromPath, toPath: [uri] })).status, 403);
    const nobody = bench.connect();
    assert.equal((await bench.auth(nobody, { fromPath, toPath: [uri] })).status, 481);
  });

  it('R-034: a relay that we have dialled may bring an AUTH over that connection', async () => {
    const bench = new RelayBench();
    const connection = bench.connect({ direction: 'out', tls: certified('r1.example') });
    const usePath = await open(bench, connection, { fromPath: [R1, CLIENT_URI] });
    assert.match(usePath, / msrps:\/\/relay\.example:2855\/[^ ]+$/);
    assert.deepEqual(bench.engine.identified, [[connection, 'r1.example']]);
  });

  it('D-39: Expires 0 releases what the user has there, and nothing of others', async () => {
    const bench = new RelayBench({ users: BOTH });
    const connection = bench.connect();
    await open(bench, connection, { user: 'bob' });
    await open(bench, connection);
    const mine = bench.relay.sessions().find(({ user }) => user === 'alice')!;
    const answer = await bench.auth(connection, { expires: '0' });
    assert.deepEqual(answer.headers[0], ['Expires', '0']);
    assert.deepEqual(bench.engine.closed, [[mine.session, 'released']]);
    assert.equal((await bench.auth(connection, { expires: '0', password: 'x' })).status, 401);
  });

  it('limits of sessions hold while authorize takes its time, and end with the sessions', async () => {
    const bench = new RelayBench({
      settings: { maxSessionsPerUser: 2 },
      hooks: { authorize: async () => Promise.resolve(true) },
    });
    const connection = bench.connect();
    const answers = await Promise.all(Array.from({ length: 5 }, () => bench.auth(connection)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 2);
    bench.disconnect(connection);
    assert.equal(bench.relay.sessions().length, 0);
    assert.equal((await bench.auth(bench.connect())).status, 200);
  });

  it('draining: no new session; one that is open may go on', async () => {
    const bench = new RelayBench();
    const connection = bench.connect();
    const uri = await open(bench, connection);
    bench.relay.drain();
    assert.equal((await bench.auth(connection)).status, 403);
    assert.equal((await bench.auth(connection, { toPath: [uri] })).status, 200);
  });

  it('the registry counts what it has, and nothing twice', () => {
    const registry = new SessionRegistry();
    const entry: SessionEntry = {
      session: 1,
      uri: 'msrps://relay.example:1/abc;tcp',
      user: 'u',
      realm: 'r',
      connection: 7,
      client: CLIENT_URI,
      relay: undefined,
      expiresAtMs: 0,
    };
    registry.add(entry);
    assert.equal(registry.bySessionId('abc'), entry);
    assert.deepEqual([registry.ofUser('u', 'r'), registry.ofUser('u', 'x'), registry.ofConnection(7)], [1, 0, 1]);
    assert.equal(registry.remove(1), entry);
    assert.equal(registry.remove(1), undefined);
    assert.deepEqual([registry.size, registry.ofUser('u', 'r'), registry.ofConnection(7)], [0, 0, 0]);
    assert.equal(registry.bySessionId('abc'), undefined);
  });
});
