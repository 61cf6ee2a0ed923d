import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { ClientOptions } from '../../src/endpoint/client.ts';
import { digestResponse, ha1 } from '../../src/syntax/digest.ts';
import { frame, header, within } from '../engine/harness.ts';
import type { Peer } from '../engine/harness.ts';
import { FarSide, Timers, answer, challenge, credentials, granted } from './scripted.ts';

let far: FarSide;
let timers: Timers;
let relay: string;
let given: string;
beforeEach(async () => {
  far = await FarSide.start();
  timers = new Timers();
  relay = `msrp://127.0.0.1:${far.port};tcp`;
  given = `msrp://127.0.0.1:${far.port}/9dK2mQ7xR4tY1zWb0Lp8;tcp`;
});
afterEach(() => far.stop());

/** A client that connects, and the far side of its connection. */
async function dialled(options: ClientOptions = {}): Promise<{ client: Promise<MsrpClient>; peer: Peer }> {
  const client = MsrpClient.connect({ relay, user: 'alice', password: 'wonderland', environment: timers, ...options });
  void client.catch(() => undefined);
  return { client, peer: await far.accept() };
}

/** AUTH as it goes when nothing goes wrong. */
async function logIn(peer: Peer, usePath = given, expiresS = 900): Promise<void> {
  const first = await peer.request('AUTH');
  peer.write(answer(first, '401 Unauthorized', [challenge('nonce1')]));
  const second = await peer.request('AUTH');
  peer.write(answer(second, '200 OK', granted(second, usePath, expiresS)));
}

describe('AUTH (relay R-010…R-027)', () => {
  it('a challenge is answered by a digest over the URI of the relay, in a new transaction', async () => {
    const { client, peer } = await dialled({ expiresS: 600 });
    const first = await peer.request('AUTH');
    assert.deepEqual(first.toPath, [relay]);
    assert.match(first.fromPath.join(' '), /^msrp:\/\/127\.0\.0\.1:\d+\/[A-Za-z0-9.-]{16};tcp$/);
    assert.equal(header(first, 'Authorization'), undefined);
    assert.equal(header(first, 'Expires'), '600');
    peer.write(answer(first, '401 Unauthorized', [challenge('n1', ', algorithm=MD5, opaque="o\\"p", domain="x"')]));
    const second = await peer.request('AUTH');
    assert.notEqual(second.tid, first.tid);
    assert.deepEqual(second.fromPath, first.fromPath);
    const sent = credentials(second);
    assert.match(
      header(second, 'Authorization') ?? '',
      /, qop=auth, nc=00000001, cnonce="[^"]{16}", response="[0-9a-f]{32}"/,
    );
    assert.equal(sent.get('opaque'), 'o"p');
    assert.equal(sent.has('uri'), false);
    const input = {
      ha1: ha1('alice', 'relay.example', 'wonderland'),
      uri: relay,
      nonce: 'n1',
      nc: '00000001',
      cnonce: sent.get('cnonce')!,
    };
    assert.equal(sent.get('response'), digestResponse(input));
    peer.write(answer(second, '200 OK', granted(second, given, 600)));
    const connected = await client;
    assert.deepEqual(connected.usePath, [given]);
    assert.deepEqual(connected.path, [given, connected.uri]);
    assert.equal(connected.uri, first.fromPath[0]);
  });

  it('R-013, R-014: further relays through the nearer ones; the path to offer is turned round', async () => {
    const outer = 'msrps://outer.example;tcp';
    const outerGiven = 'msrps://outer.example:2855/Tt5aaaaaaaaaaaaaaaaa;tcp';
    const { client, peer } = await dialled({ relay: [relay, outer] });
    await logIn(peer);
    const first = await peer.request('AUTH');
    assert.deepEqual(first.toPath, [given, outer]);
    peer.write(answer(first, '401 Unauthorized', [challenge('nonce2')]));
    const second = await peer.request('AUTH');
    peer.write(answer(second, '200 OK', granted(second, `${given} ${outerGiven}`, 900)));
    const connected = await client;
    assert.deepEqual(connected.usePath, [given, outerGiven]);
    assert.deepEqual(connected.path, [outerGiven, given, connected.uri]);
    const bound = connected.bind('msrp://bob.example:2855/s2;tcp');
    const send = await peer.request('SEND');
    assert.deepEqual(send.toPath, [given, outerGiven, 'msrp://bob.example:2855/s2;tcp']);
    peer.write(answer(send, '200 OK'));
    await bound;
  });

  it('423: once more, with the bound that the relay names; a nonce is not used twice', async () => {
    for (const [name, bound] of [
      ['Min-Expires', '60'],
      ['Max-Expires', '3600'],
    ] as const) {
      const { client, peer } = await dialled({ expiresS: 5 });
      peer.write(answer(await peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
      peer.write(answer(await peer.request('AUTH'), '423 Interval Out-of-Bounds', [`${name}: ${bound}`]));
      const again = await peer.request('AUTH');
      assert.equal(header(again, 'Expires'), bound);
      assert.equal(header(again, 'Authorization'), undefined);
      peer.write(answer(again, '401 Unauthorized', [challenge('n2')]));
      const last = await peer.request('AUTH');
      assert.equal(credentials(last).get('nonce'), 'n2');
      peer.write(answer(last, '200 OK', granted(last, given, Number(bound))));
      await (await client).close();
    }
    const { client, peer } = await dialled();
    peer.write(answer(await peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
    peer.write(answer(await peer.request('AUTH'), '423 No'));
    await assert.rejects(client, { code: 'E_AUTH', status: 423 });
  });

  it('D-31: a second 401 means wrong credentials, unless the nonce was stale; 403 does, too', async () => {
    const wrong = await dialled();
    wrong.peer.write(answer(await wrong.peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
    wrong.peer.write(answer(await wrong.peer.request('AUTH'), '401 Unauthorized', [challenge('n2')]));
    await assert.rejects(wrong.client, { code: 'E_AUTH', status: 401 });
    await wrong.peer.untilClosed();
    const forbidden = await dialled();
    forbidden.peer.write(answer(await forbidden.peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
    forbidden.peer.write(answer(await forbidden.peer.request('AUTH'), '403 Forbidden'));
    await assert.rejects(forbidden.client, { code: 'E_AUTH', status: 403 });
    const stale = await dialled();
    stale.peer.write(answer(await stale.peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
    stale.peer.write(answer(await stale.peer.request('AUTH'), '401 Unauthorized', [challenge('n2', ', stale="TRUE"')]));
    const last = await stale.peer.request('AUTH');
    assert.equal(credentials(last).get('nonce'), 'n2');
    stale.peer.write(answer(last, '200 OK', granted(last, given, 900)));
    await stale.client;
  });

  it('a relay that finds every nonce stale is not asked for ever', async () => {
    const { client, peer } = await dialled();
    void (async () => {
      for (let i = 0; ; i++)
        peer.write(answer(await peer.request('AUTH'), '401 No', [challenge(`n${i}`, ', stale=true')]));
    })().catch(() => undefined);
    await assert.rejects(client, { code: 'E_AUTH', status: 401 });
  });

  it('R-020, R-021, D-37: challenges that cannot be met', async () => {
    for (const value of [
      'Basic realm="relay.example"',
      'Digest realm="relay.example", nonce="n1", qop="auth-int"',
      'Digest realm="relay.example", nonce="n1", qop="auth", algorithm=MD5-sess',
      'Digest realm="relay.example", nonce="n1", qop="auth", algorithm=SHA-256',
      'Digest realm="relay.example", qop="auth"',
      'Digest nonce="n1", qop="auth"',
      'Digest realm="other.example", nonce="n1", qop="auth"',
    ]) {
      const { client, peer } = await dialled({ realm: 'relay.example' });
      peer.write(answer(await peer.request('AUTH'), '401 Unauthorized', [`WWW-Authenticate: ${value}`]));
      await assert.rejects(client, { code: 'E_AUTH', status: 401 }, value);
    }
    const none = await dialled();
    none.peer.write(answer(await none.peer.request('AUTH'), '401 Unauthorized'));
    await assert.rejects(none.client, { code: 'E_AUTH' });
  });

  it('D-33: a relay that does not prove that it knows the password is refused, unless that is waived', async () => {
    const forged = async (options: ClientOptions, info: string[]): Promise<Promise<MsrpClient>[]> => {
      const { client, peer } = await dialled(options);
      peer.write(answer(await peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
      peer.write(answer(await peer.request('AUTH'), '200 OK', [`Use-Path: ${given}`, 'Expires: 900', ...info]));
      return [client];
    };
    const wrong = `Authentication-Info: rspauth="${'0'.repeat(32)}", cnonce="x", nc=00000001, qop=auth`;
    await assert.rejects((await forged({}, []))[0]!, { code: 'E_AUTH' });
    await assert.rejects((await forged({}, [wrong]))[0]!, { code: 'E_AUTH' });
    await (
      await forged({ requireRspauth: false }, [])
    )[0];
    const unasked = await dialled();
    unasked.peer.write(answer(await unasked.peer.request('AUTH'), '200 OK', [`Use-Path: ${given}`, 'Expires: 900']));
    await assert.rejects(unasked.client, { code: 'E_AUTH' });
  });

  it('a Use-Path or Expires that cannot be read is a failed AUTH, at once', async () => {
    for (const replace of [
      ['Use-Path: msrps://'],
      ['Use-Path: '],
      ['Use-Path: http://relay.example/x'],
      [`Use-Path: ${given_()} ${given_()}`],
      [],
      [`Use-Path: ${given_()}`, 'Expires: soon'],
    ]) {
      const { client, peer } = await dialled({ requireRspauth: false });
      peer.write(answer(await peer.request('AUTH'), '401 Unauthorized', [challenge('n1')]));
      peer.write(answer(await peer.request('AUTH'), '200 OK', replace));
      await assert.rejects(within(`an end of ${replace.join()}`, client), { code: 'E_AUTH' }, replace.join());
    }
  });

  it('no answer is E_TIMEOUT, a lost connection E_CLOSED, an abort E_ABORTED, whenever it comes', async () => {
    const silent = await dialled({ timeoutMs: 5000 });
    await silent.peer.request('AUTH');
    timers.advance(5000);
    await assert.rejects(silent.client, { code: 'E_TIMEOUT' });
    const lost = await dialled();
    await lost.peer.request('AUTH');
    lost.peer.reset();
    await assert.rejects(lost.client, { code: 'E_CLOSED' });
    const abort = new AbortController();
    const aborted = await dialled({ signal: abort.signal });
    await aborted.peer.request('AUTH');
    abort.abort();
    await assert.rejects(within('the abort', aborted.client), { code: 'E_ABORTED' });
    await aborted.peer.untilClosed();
    await assert.rejects(MsrpClient.connect({ peer: relay, signal: AbortSignal.abort() }), { code: 'E_ABORTED' });
  });

  it('what could be smuggled into a header is refused before anything is sent', async () => {
    for (const options of [
      { user: 'alice\r\nX: y' },
      { uri: 'nonsense' },
      { uri: 'msrp://a:1/b;tcp\r\nX: y' },
      { expiresS: 1.5 },
      { expiresS: -1 },
      { relay: 'nonsense' },
      { relay: [relay, 'nonsense'] },
    ]) {
      await assert.rejects(
        MsrpClient.connect({ relay, user: 'alice', password: 'x', ...options }),
        { code: 'E_ARGUMENT' },
        JSON.stringify(options),
      );
    }
  });
});

describe('refreshing a session (R-016, D-31, D-41)', () => {
  it('before it ends, at its own URI; a refusal is told', async () => {
    const { client, peer } = await dialled();
    await logIn(peer, given, 900);
    const connected = await client;
    timers.advance(869_999);
    assert.equal(peer.frames.length, 0);
    timers.advance(1);
    const refreshed = once(connected, 'refreshed');
    const first = await peer.request('AUTH');
    assert.deepEqual(first.toPath, [given]);
    peer.write(answer(first, '401 Unauthorized', [challenge('n2')]));
    const second = await peer.request('AUTH');
    peer.write(answer(second, '200 OK', granted(second, given, 100)));
    assert.deepEqual(await within('refreshed', refreshed), [100]);
    // max(100 − 30, 100 × 0.8)
    assert.equal(timers.asked.at(-1), 80_000);
    const expired = once(connected, 'expired');
    timers.advance(80_000);
    peer.write(answer(await peer.request('AUTH'), '481 Gone'));
    const [error] = await within('expired', expired);
    assert.equal((error as { status?: number }).status, 481);
  });

  it('a relay that gives another URI has ended the old one', async () => {
    const { client, peer } = await dialled();
    await logIn(peer, given, 900);
    const expired = once(await client, 'expired');
    timers.advance(870_000);
    const first = await peer.request('AUTH');
    peer.write(answer(first, '401 Unauthorized', [challenge('n2')]));
    const second = await peer.request('AUTH');
    peer.write(answer(second, '200 OK', granted(second, given.replace('9dK2', 'XXXX'), 900)));
    await within('expired', expired);
  });

  it('R-003: the AUTHs of two relays do not overlap', async () => {
    const outer = 'msrps://outer.example;tcp';
    const path = `${given} msrps://outer.example:2855/Tt5aaaaaaaaaaaaaaaaa;tcp`;
    const { client, peer } = await dialled({ relay: [relay, outer] });
    await logIn(peer);
    await logIn(peer, path);
    const connected = await client;
    timers.advance(870_000);
    const first = await peer.request('AUTH');
    // A bind overtakes the second AUTH if that waits for the answer to the first.
    const bound = connected.bind('msrp://bob.example:2855/s2;tcp');
    const send = await peer.request('SEND');
    peer.write(answer(send, '200 OK'));
    await bound;
    peer.write(answer(first, '403 No'));
    assert.deepEqual((await peer.request('AUTH')).toPath, path.split(' '));
  });

  it('a lifetime beyond what a timer can hold does not fire at once', async () => {
    const { client, peer } = await dialled();
    await logIn(peer, given, 4_294_967_295);
    await client;
    assert.ok((timers.asked.at(-1) ?? 0) <= 2 ** 31 - 1);
  });

  it('release gives the session back, and takes no for an answer', async () => {
    const { client, peer } = await dialled();
    await logIn(peer);
    const released = (await client).release();
    const first = await peer.request('AUTH');
    assert.equal(header(first, 'Expires'), '0');
    peer.write(answer(first, '401 Unauthorized', [challenge('n2')]));
    peer.write(answer(await peer.request('AUTH'), '423 Interval Out-of-Bounds', ['Min-Expires: 60']));
    await peer.untilClosed();
    assert.deepEqual(peer.frames, []);
    await released;
  });

  it('a closed client asks no more', async () => {
    const { client, peer } = await dialled();
    await logIn(peer);
    const connected = await client;
    await connected.close();
    timers.advance(900_000);
    assert.deepEqual(peer.frames, []);
    // A frame for nobody does no harm.
    peer.write(frame('late', '200 OK', connected.uri, given));
  });
});

function given_(): string {
  return 'msrp://127.0.0.1:1/9dK2mQ7xR4tY1zWb0Lp8;tcp';
}
