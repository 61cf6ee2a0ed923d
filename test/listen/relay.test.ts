import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { digestResponse, ha1, parseDigest } from '../../src/syntax/digest.ts';
import { parsePath } from '../../src/syntax/path.ts';
import { Peer, frame, header, within } from '../engine/harness.ts';
import { PLAIN, config, file, startRelay } from './fixture.ts';
import type { Fixture } from './fixture.ts';

const user = { user: 'alice', password: 'secret' };

async function raw(fixture: Fixture): Promise<Peer> {
  const { port } = fixture.server.listeners[0]!;
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await within('connect', once(socket, 'connect'));
  const peer = new Peer(socket);
  peer.relayPort = port;
  return peer;
}

const own = 'msrp://127.0.0.1:9/client;tcp';

/** Authorization for a challenge. */
function answer(
  challenge: string | undefined,
  uri: string,
  more: { password?: string; nc?: string; user?: string; cnonce?: string } = {},
): string {
  const params = parseDigest(challenge ?? '')!;
  const [realm, nonce] = [params.get('realm')!, params.get('nonce')!];
  const { password = 'secret', nc = '00000001', user: name = 'alice', cnonce = 'abc' } = more;
  const response = digestResponse({ ha1: ha1(name, realm, password), uri, nonce, nc, cnonce });
  return `Authorization: Digest username="${name}", realm="${realm}", nonce="${nonce}", qop=auth, nc=${nc}, cnonce="${cnonce}", response="${response}"`;
}

async function challenge(peer: Peer, uri: string | readonly string[]): Promise<string | undefined> {
  peer.write(frame('auth0', 'AUTH', uri, own));
  return header(await peer.response(401), 'WWW-Authenticate');
}

describe('AUTH (R-020…R-039)', () => {
  it('challenge, then a session: Use-Path, Expires, rspauth (R-025, R-031, R-036)', async () => {
    await using fixture = await startRelay();
    const peer = await raw(fixture);
    const text = await challenge(peer, fixture.uri);
    assert.match(text ?? '', /^Digest realm="127\.0\.0\.1", nonce="[\w-]+", qop="auth", algorithm=MD5$/);
    peer.write(frame('auth1', 'AUTH', fixture.uri, own, [answer(text, fixture.uri), 'Expires: 90']));
    const granted = await peer.response(200);
    assert.deepEqual(granted.toPath, [own]);
    assert.deepEqual(granted.fromPath, [fixture.uri]);
    assert.equal(header(granted, 'Expires'), '90');
    const [uri, more] = parsePath(header(granted, 'Use-Path') ?? '', 16, true) ?? [];
    assert.match(uri ?? '', new RegExp(`^msrp://127\\.0\\.0\\.1:${peer.relayPort}/[\\w.-]{24};tcp$`));
    assert.equal(more, undefined);
    assert.match(
      header(granted, 'Authentication-Info') ?? '',
      /^qop=auth, rspauth="[0-9a-f]{32}", cnonce="abc", nc=00000001$/,
    );
    const [entry] = fixture.server.sessions();
    assert.deepEqual([entry?.user, entry?.realm, entry?.client], ['alice', '127.0.0.1', own]);
    assert.ok(
      !JSON.stringify(fixture.server.sessions()).includes(uri!.split('/')[3]!.slice(0, 10)),
      'no whole session-id in views',
    );
    assert.ok(!JSON.stringify(fixture.lines).includes(uri!.split('/')[3]!.split(';')[0]!), 'nor in the log');
    peer.destroy();
  });

  it('the same nonce with the same count is a replay; with a higher one it serves again (D-35)', async () => {
    await using fixture = await startRelay();
    const peer = await raw(fixture);
    const text = await challenge(peer, fixture.uri);
    peer.write(frame('auth1', 'AUTH', fixture.uri, own, [answer(text, fixture.uri)]));
    await peer.response(200);
    peer.write(frame('auth2', 'AUTH', fixture.uri, own, [answer(text, fixture.uri)]));
    assert.match(header(await peer.response(401), 'WWW-Authenticate') ?? '', /stale=true/);
    peer.write(frame('auth3', 'AUTH', fixture.uri, own, [answer(text, fixture.uri, { nc: '00000002' })]));
    await peer.response(200);
    assert.equal(fixture.server.sessions().length, 2);
    // D-35: a nonce is good for its connection only.
    const other = await raw(fixture);
    other.write(frame('auth4', 'AUTH', fixture.uri, own, [answer(text, fixture.uri, { nc: '00000009' })]));
    await other.response(401);
    peer.destroy();
    other.destroy();
  });

  it('D-36, D-38, D-40: wrong password and unknown user look alike; three failures close', async () => {
    await using fixture = await startRelay();
    for (const more of [{ password: 'wrong' }, { user: 'nobody' }, { user: 'mal\\"lory' }]) {
      const peer = await raw(fixture);
      for (let i = 0; i < 3; i++) {
        peer.write(
          frame(`bad${i}`, 'AUTH', fixture.uri, own, [answer(await challenge(peer, fixture.uri), fixture.uri, more)]),
        );
        const again = await peer.response(401);
        assert.doesNotMatch(header(again, 'WWW-Authenticate') ?? '', /stale/);
      }
      await peer.untilClosed();
    }
    assert.equal(fixture.server.stats().closes.auth_failures, 3);
    assert.equal(fixture.server.sessions().length, 0);
    assert.ok(!JSON.stringify(fixture.lines).includes('secret'));
  });

  it('malformed Authorization is 400; what is missing or wrong in it, too', async () => {
    await using fixture = await startRelay(`${PLAIN}\nlimits: {auth_failures: 0}`);
    const peer = await raw(fixture);
    const good = answer(await challenge(peer, fixture.uri), fixture.uri);
    for (const line of [
      'Authorization: Basic YTpi',
      'Authorization: Digest',
      good.replace('qop=auth, ', ''),
      good.replace('nc=00000001', 'nc=1'),
      good.replace('nc=00000001', 'nc=00000000'),
      good.replace(/response="[^"]*"/, 'response="xyz"'),
      good.replace(/cnonce="[^"]*", /, ''),
      good.replace('qop=auth', 'qop=auth-int'),
      `${good}, nc=00000002`,
    ]) {
      peer.write(frame('bad1', 'AUTH', fixture.uri, own, [line]));
      await peer.response(400);
    }
    peer.write(frame('algo', 'AUTH', fixture.uri, own, [`${good}, algorithm=SHA-256`]));
    await peer.response(401);
    peer.write(frame('realm', 'AUTH', fixture.uri, own, [good.replace('realm="127.0.0.1"', 'realm="other"')]));
    await peer.response(401);
    peer.destroy();
  });

  it('R-033: 423 with the bound, after the credentials were right (D-39)', async () => {
    await using fixture = await startRelay();
    const peer = await raw(fixture);
    for (const [expires, name, bound] of [
      ['59', 'Min-Expires', '60'],
      ['3601', 'Max-Expires', '3600'],
    ] as const) {
      peer.write(
        frame('exp1', 'AUTH', fixture.uri, own, [
          answer(await challenge(peer, fixture.uri), fixture.uri),
          `Expires: ${expires}`,
        ]),
      );
      assert.equal(header(await peer.response(423), name), bound);
      peer.write(frame('exp2', 'AUTH', fixture.uri, own, [`Expires: ${expires}`]));
      await peer.response(401);
    }
    peer.destroy();
  });

  it('D-41, D-39: refresh keeps the URI, Expires 0 releases it; nobody else may', async () => {
    await using fixture = await startRelay();
    const peer = await raw(fixture);
    peer.write(frame('auth1', 'AUTH', fixture.uri, own, [answer(await challenge(peer, fixture.uri), fixture.uri)]));
    const uri = header(await peer.response(200), 'Use-Path')!;
    const before = fixture.server.sessions()[0]!.expiresAtMs;
    const other = await raw(fixture);
    other.write(frame('auth2', 'AUTH', uri, own, [answer(await challenge(other, fixture.uri), uri)]));
    await other.response(481);
    peer.write(frame('auth3', 'AUTH', uri, own, [answer(await challenge(peer, uri), uri), 'Expires: 3600']));
    const refreshed = await peer.response(200);
    assert.equal(header(refreshed, 'Use-Path'), uri);
    assert.ok(fixture.server.sessions()[0]!.expiresAtMs > before);
    peer.write(frame('auth4', 'AUTH', uri, own, [answer(await challenge(peer, uri), uri), 'Expires: 0']));
    assert.equal(header(await peer.response(200), 'Expires'), '0');
    assert.equal(fixture.server.sessions().length, 0);
    assert.equal(fixture.server.stats().sessions, 0);
    peer.destroy();
    other.destroy();
  });

  it('R-004, D-30: without TLS only where that is allowed; other methods are 501', async () => {
    await using fixture = await startRelay(PLAIN.replace('allow_plain_auth: true, ', ''));
    const peer = await raw(fixture);
    peer.write(frame('auth1', 'AUTH', fixture.uri, own));
    await peer.response(403);
    peer.write(frame('frob1', 'FROB', fixture.uri, own));
    await peer.response(501);
    peer.destroy();
  });

  it('limits: sessions of a user and of a connection', async () => {
    await using fixture = await startRelay(
      `${PLAIN}\nlimits: {max_sessions_per_user: 3, max_sessions_per_connection: 2}`,
    );
    const open = async (peer: Peer, status: number): Promise<void> => {
      peer.write(frame('auth1', 'AUTH', fixture.uri, own, [answer(await challenge(peer, fixture.uri), fixture.uri)]));
      await peer.response(status);
    };
    const [one, two] = [await raw(fixture), await raw(fixture)];
    await open(one, 200);
    await open(one, 200);
    await open(one, 403);
    await open(two, 200);
    await open(two, 403);
    one.destroy();
    two.destroy();
  });

  it('hooks decide: authenticate, authorize, nextHop, selectSocket', async () => {
    const hooks = file(
      'hooks.mjs',
      `export const authenticate = ({ user }) => (user === 'carol' ? { password: 'pw' } : null);
       export const authorize = async ({ user, remote }) => ({ allow: remote === '127.0.0.1', expiresS: 77 });
       export const nextHop = ({ uri }) => (uri.includes('refused') ? { refuse: 403 } : undefined);
       export const selectSocket = () => '127.0.0.5';`,
    );
    await using fixture = await startRelay(`${PLAIN}\nhooks: ${hooks}`);
    await assert.rejects(MsrpClient.connect({ relay: fixture.uri, ...user }), { code: 'E_AUTH' });
    await using carol = await MsrpClient.connect({ relay: fixture.uri, user: 'carol', password: 'pw' });
    await assert.rejects(
      carol.send({
        to: 'msrp://127.0.0.1:1/refused;tcp',
        contentType: 'a/b',
        body: 'x',
        successReport: true,
        reportTimeoutMs: 5000,
      }),
      {
        status: 403,
      },
    );
    assert.equal(fixture.server.sessions().length, 1);
    const target = createServer().listen(0, '127.0.0.1');
    try {
      await once(target, 'listening');
      const dialled = once(target, 'connection') as Promise<[Socket]>;
      const to = `msrp://127.0.0.1:${(target.address() as AddressInfo).port}/x;tcp`;
      await carol.send({ to, contentType: 'a/b', body: 'x' });
      const [socket] = await within('the dial', dialled);
      assert.equal(socket.remoteAddress, '127.0.0.5');
      socket.destroy();
    } finally {
      target.close();
    }
  });
});

describe('conversations through the relay', () => {
  const message = async (client: MsrpClient): Promise<IncomingMessage> =>
    ((await within('a message', once(client, 'message'))) as [IncomingMessage])[0];

  it('two clients, each with a session, both ways, confirmed', async () => {
    await using fixture = await startRelay();
    await using alice = await MsrpClient.connect({ relay: fixture.uri, ...user });
    await using bob = await MsrpClient.connect({ relay: fixture.uri, ...user });
    const got = message(bob);
    const result = await alice.send({ to: bob.path, contentType: 'text/plain', body: 'Grüße', successReport: true });
    assert.equal(result.confirmed, true);
    assert.equal((await got).text(), 'Grüße');
    const back = message(alice);
    await bob.send({ to: alice.path, contentType: 'text/plain', body: 'zurück' });
    assert.equal((await back).text(), 'zurück');
    assert.deepEqual(alice.path, [alice.usePath[0], alice.uri]);
  });

  it('a client without a relay, to one with', async () => {
    await using fixture = await startRelay();
    await using alice = await MsrpClient.connect({ relay: fixture.uri, ...user });
    await using bob = await MsrpClient.connect({ peer: fixture.uri.replace(';tcp', '/x;tcp') });
    await bob.bind(alice.path);
    const got = message(alice);
    await bob.send({ to: alice.path, contentType: 'text/plain', body: 'hi' });
    assert.equal((await got).text(), 'hi');
    const back = message(bob);
    await alice.send({ to: [bob.uri], contentType: 'text/plain', body: 'ho', successReport: true });
    assert.equal((await back).text(), 'ho');
  });

  it('R-093: what a session may reach is a matter of policy', async () => {
    await using fixture = await startRelay(PLAIN.replace('allow: [127.0.0.0/8]', 'allow: []'));
    await using alice = await MsrpClient.connect({ relay: fixture.uri, ...user });
    for (const to of [
      'msrp://127.0.0.1:22/x;tcp',
      'msrp://localhost:22/x;tcp',
      'msrp://10.0.0.1:80/x;tcp',
      'msrp://[::1]:22/x;tcp',
    ]) {
      await assert.rejects(
        alice.send({ to, contentType: 'a/b', body: 'x', successReport: true, reportTimeoutMs: 5000 }),
        { status: 403 },
        to,
      );
    }
    assert.equal(fixture.server.stats().dialled, 0);
    await assert.rejects(
      alice.send({
        to: 'msrp://127.0.0.1:22/x;ws',
        contentType: 'a/b',
        body: 'x',
        successReport: true,
        reportTimeoutMs: 5000,
      }),
      { status: 481 },
    );
  });

  it('R-013, R-036: a chain of two relays, the second authenticated through the first', async () => {
    await using inner = await startRelay();
    await using outer = await startRelay(PLAIN, [['alice', '', { password: 'secret' }]]);
    await using alice = await MsrpClient.connect({ relay: [inner.uri, outer.uri], ...user });
    assert.equal(alice.usePath.length, 2);
    assert.equal(alice.path[0], alice.usePath[1]);
    assert.equal(alice.path.length, 3);
    await using bob = await MsrpClient.connect({ relay: outer.uri, ...user });
    const got = message(alice);
    await bob.send({ to: alice.path, contentType: 'text/plain', body: 'through two', successReport: true });
    const { fromPath } = await got;
    assert.deepEqual(fromPath, [alice.usePath[0], alice.usePath[1], bob.usePath[0], bob.uri]);
    const back = message(bob);
    await alice.send({ to: bob.path, contentType: 'text/plain', body: 'and back', successReport: true });
    assert.equal((await back).text(), 'and back');
  });

  it('R-037: wrong credentials at the second relay count against the client at the first', async () => {
    await using inner = await startRelay(`${PLAIN}limits: {auth_failures: 2}`);
    await using outer = await startRelay();
    const peer = await raw(inner);
    peer.write(frame('auth1', 'AUTH', inner.uri, own, [answer(await challenge(peer, inner.uri), inner.uri)]));
    const usePath = header(await peer.response(200), 'Use-Path')!;
    const path = [usePath, outer.uri];
    for (const tid of ['bad1', 'bad2']) {
      // Without credentials: of no account.
      const asked = await challenge(peer, path);
      peer.write(frame(tid, 'AUTH', path, own, [answer(asked, outer.uri, { password: 'wrong' })]));
      await peer.response(401);
    }
    await peer.untilClosed();
    assert.equal(inner.server.stats().closes.auth_failures, 1);
    assert.equal(outer.server.sessions().length, 0);
  });

  it('reload: a user is gone for new sessions, the old one goes on; mistakes change nothing', async () => {
    const users = file('reload-users.txt', 'dave::pw\n');
    const text = PLAIN.replace('allow_plain_auth', `users: {file: ${users}}, allow_plain_auth`);
    await using fixture = await startRelay(text, []);
    await using dave = await MsrpClient.connect({ relay: fixture.uri, user: 'dave', password: 'pw' });
    file('reload-users.txt', 'erin::pw\n');
    const change = await fixture.server.reload(config(`${text}\nlog: {level: warn}`));
    assert.deepEqual(change, { reloadable: ['log'], needsRestart: [] });
    await assert.rejects(MsrpClient.connect({ relay: fixture.uri, user: 'dave', password: 'pw' }), { code: 'E_AUTH' });
    await using erin = await MsrpClient.connect({ relay: fixture.uri, user: 'erin', password: 'pw' });
    const got = message(dave);
    await erin.send({ to: dave.path, contentType: 'text/plain', body: 'still there' });
    assert.equal((await got).text(), 'still there');
    file('reload-users.txt', 'broken\n');
    await assert.rejects(fixture.server.reload(config(text)), { code: 'E_USERS' });
    await using again = await MsrpClient.connect({ relay: fixture.uri, user: 'erin', password: 'pw' });
    assert.equal(again.closed, false);
    file('reload-users.txt', 'erin::pw\n');
    const moved = await fixture.server.reload(config(text.replace('msrp:127.0.0.1:0', 'msrp:127.0.0.1:1')));
    assert.deepEqual(moved.needsRestart, ['listeners']);
  });

  it('drain: no new sessions; what is open is closed in the end', async () => {
    await using fixture = await startRelay();
    const alice = await MsrpClient.connect({ relay: fixture.uri, ...user });
    const closed = once(alice, 'closed');
    await fixture.server.drain();
    await within('the end', closed);
    await assert.rejects(MsrpClient.connect({ relay: fixture.uri, ...user }), { code: 'E_CONNECT' });
  });
});
