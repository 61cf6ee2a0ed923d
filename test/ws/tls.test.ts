import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import type { ServerListener } from '../../src/listen/server.ts';
import { within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import type { Pair } from '../listen/certificates.ts';
import { files, next } from '../listen/chain.ts';
import { config, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { IMPLEMENTATIONS } from './fixture.ts';

for (const implementation of ['auto', ...IMPLEMENTATIONS] as const) {
  describe(`wss: ${implementation}`, () => {
    let ca: TestCa;
    let first: Pair;
    let second: Pair;
    let chat: Pair;
    before(async () => {
      ca = await TestCa.create();
      first = await ca.issue('localhost', 'first.example');
      second = await ca.issue('localhost', 'second.example');
      chat = await ca.issue('chat.example');
    });

    const text = (own: Pair, more = '', byName = false): string => `
listeners:
  - msrp:127.0.0.1:0
  - {uri: "wss:127.0.0.1:0", advertise: "localhost:0"}
  - {uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}
websocket: {implementation: ${implementation}}
msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 5000}
relay: {allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
tls: {domains: {
  default: {${files(own)}${more}},
  ${byName ? `chat: {${files(chat)}, match_sip_domain: chat.example}` : ''}}}
`;

    const portOf = ({ server }: Fixture): number => server.listeners[1]?.port ?? 0;

    /** The certificate that a handshake shows. */
    const shown = (fixture: Fixture, servername: string): Promise<PeerCertificate> =>
      within(
        'a handshake',
        new Promise((resolve, reject) => {
          const socket = connect(
            { host: '127.0.0.1', port: portOf(fixture), servername, ca: ca.certificate, rejectUnauthorized: false },
            () => {
              resolve(socket.getPeerCertificate());
              socket.destroy();
            },
          );
          socket.on('error', reject);
        }),
      );

    const login = (fixture: Fixture, more: object = {}): Promise<MsrpClient> =>
      MsrpClient.connect({
        relay: fixture.server.listeners[1]?.uri ?? '',
        user: 'alice',
        password: 'secret',
        tls: { ca: ca.certificate },
        timeoutMs: 5000,
        ...more,
      });

    it('AUTH over wss, with a certificate that is checked', async () => {
      await using relay = await startRelay(text(first));
      assert.match(relay.server.listeners[1]?.uri ?? '', /^msrps:\/\/localhost:\d+;ws$/);
      const expected = implementation === 'auto' ? 'uws' : implementation;
      assert.ok(
        relay.lines.some((line) => line['msg'] === 'listening' && line['implementation'] === expected),
        'says which implementation serves it',
      );
      const alice = await login(relay);
      assert.equal(relay.server.sessions().length, 1);
      // X-007, X-008: she is reached by the TLS of this relay.
      assert.match(alice.uri, /^msrps:\/\/[0-9a-f]{16}\.invalid:2855\/\S+;ws$/);
      const { port } = relay.server.listeners[2] as ServerListener;
      assert.match(alice.usePath[0] as string, new RegExp(`^msrps://localhost:${port}/.{24};tcp$`));
      await alice.close();
      await assert.rejects(login(relay, { tls: {} }), /certificate|E_CONNECT/);
      assert.match((await shown(relay, 'first.example')).subjectaltname ?? '', /first\.example/);
    });

    it('SNI chooses the domain, which takes ws', async () => {
      if (implementation === 'uws') {
        await assert.rejects(startRelay(text(first, '', true)), /several domains, chosen by name/);
        return;
      }
      await using relay = await startRelay(text(first, '', true));
      assert.match((await shown(relay, 'first.example')).subjectaltname ?? '', /first\.example/);
      assert.match((await shown(relay, 'chat.example')).subjectaltname ?? '', /chat\.example/);
    });

    it('who listens there already refuses the start', async () => {
      await using relay = await startRelay(text(first));
      const taken = text(first).replace('wss:127.0.0.1:0', `wss:127.0.0.1:${portOf(relay)}`);
      await assert.rejects(startRelay(taken), /cannot listen/);
    });

    it('a reload takes a new certificate for new connections; those that are there stay', async () => {
      await using relay = await startRelay(text(first));
      const alice = await login(relay);
      const port = portOf(relay);
      await relay.server.reload(config(text(second)));
      assert.equal(portOf(relay), port);
      for (let i = 0; i < 5; i++)
        assert.match((await shown(relay, 'localhost')).subjectaltname ?? '', /second\.example/);
      const received = next(alice);
      await alice.send({ to: alice.path, contentType: 'text/plain', body: 'still here' });
      assert.equal((await received).text(), 'still here');
      await alice.close();
    });

    it('a broken reload changes nothing', async () => {
      const good = text(first);
      await using relay = await startRelay(good);
      const [, key = ''] = /private_key: ([^\s,}]+)/.exec(good) ?? [];
      writeFileSync(key, second.key);
      assert.throws(() => relay.server.reloadTls(), { code: 'E_TLS_MATERIAL' });
      assert.match((await shown(relay, 'localhost')).subjectaltname ?? '', /first\.example/);
    });

    it('what uWebSockets.js cannot do is done by ws, or refuses the start', async () => {
      const strict = text(first, ', tls_method: TLSv1_3, require_cert: true');
      if (implementation === 'uws') {
        await assert.rejects(startRelay(strict), { code: 'E_WEBSOCKET', message: /asks clients for certificates/ });
        return;
      }
      await using relay = await startRelay(strict);
      const line = relay.lines.find((entry) => entry['msg'] === 'listening' && entry['scheme'] === 'wss');
      assert.equal(line?.['implementation'], 'ws');
      if (implementation === 'auto') assert.match(String(line['reason']), /asks clients for certificates/);
      await assert.rejects(login(relay), /E_CONNECT|certificate|closed|reset|hang up/);
    });
  });
}
