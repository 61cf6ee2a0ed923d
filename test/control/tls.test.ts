import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import type { Pair } from '../listen/certificates.ts';
import { KINDS } from '../listen/engines.ts';
import { file, rpc, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';

type Row = Record<string, unknown>;

for (const engine of KINDS) {
  describe(`TLS domains for operators, engine ${engine}`, () => {
    let ca: TestCa;
    const put = (name: string, text: string): string => file(`${engine}-${name}`, text);
    /** Gives the path of the certificate. */
    const write = (name: string, { certificate, key }: Pair): string => {
      put(`${name}-key.pem`, key);
      return put(`${name}.pem`, certificate);
    };

    before(async () => {
      ca = await TestCa.create();
    });

    const start = (): Promise<Fixture> =>
      startRelay(`
engine: ${engine}
listeners: [{uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}]
msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 5000}
tls:
  domains:
    default:
      certificate: [${engine}-ec.pem, ${engine}-rsa.pem]
      private_key: [${engine}-ec-key.pem, ${engine}-rsa-key.pem]
      match_sip_domain: "*, localhost"
    outward: {type: client, match_sip_domain: "*.peer.example"}
control: {listen: "http:127.0.0.1:0"}
`);

    /** Serial of the certificate that a handshake is shown. */
    const served = async (fixture: Fixture): Promise<string> => {
      const { port } = fixture.server.listeners[0]!;
      const socket = connect({ host: '127.0.0.1', port, ca: ca.certificate, servername: 'localhost' });
      await within('the handshake', once(socket, 'secureConnect'));
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const list = async (fixture: Fixture): Promise<Row[]> => (await rpc(fixture, 'tls_list')).result as Row[];

    it('tls_list and the metrics say what nearly expires, and tls_reload takes what is new', async () => {
      const ecFile = write('ec', await ca.issueWith({ names: ['localhost'], daysLeft: 3.5 }));
      const rsaFile = write('rsa', await ca.issueWith({ names: ['localhost'], kind: 'rsa', daysLeft: -1.5 }));
      await using fixture = await start();
      const [ec, rsa, outward, ...more] = await list(fixture);
      assert.deepEqual(more, []);
      assert.deepEqual(
        { ...ec, serial: typeof ec!['serial'], not_before: '', not_after: '', fingerprint: '' },
        {
          name: 'default',
          role: 'both',
          match_address: ['*'],
          match_name: ['*', 'localhost'],
          file: ecFile,
          subject: 'CN=localhost',
          issuer: 'CN=test CA',
          serial: 'string',
          not_before: '',
          not_after: '',
          days_left: 3,
          fingerprint: '',
        },
      );
      assert.match(String(ec!['fingerprint']), /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
      const msLeft = Date.parse(String(ec!['not_after'])) - Date.now();
      assert.equal(Math.round(msLeft / 43_200_000), 7, 'three days and a half');
      assert.deepEqual([rsa!['file'], rsa!['days_left']], [rsaFile, -2]);
      assert.deepEqual(outward, {
        name: 'outward',
        role: 'client',
        match_address: ['*'],
        match_name: ['*.peer.example'],
      });
      assert.equal(await served(fixture), ec!['serial']);

      const scraped = await (await fetch(`${fixture.server.control}/metrics`)).text();
      const days = (row: Row): string =>
        `msrpd_tls_certificate_days_left{domain="default",serial="${String(row['serial'])}"} ${String(row['days_left'])}\n`;
      assert.ok(scraped.includes(days(ec!)), scraped);
      assert.ok(scraped.includes(days(rsa!)), scraped);
      const warned = fixture.lines.filter(({ msg }) => /about to expire/.test(String(msg)));
      assert.deepEqual(
        warned.map(({ daysLeft }) => daysLeft),
        [3, -2],
      );

      write('ec', await ca.issueWith({ names: ['localhost'], daysLeft: 90.5 }));
      assert.equal((await rpc(fixture, 'tls_reload')).result, 'OK');
      const [fresh] = await list(fixture);
      assert.deepEqual([fresh!['days_left'], fresh!['serial'] === ec!['serial']], [90, false]);
      assert.equal(await served(fixture), fresh!['serial']);
      assert.equal(fixture.server.stats().handshakeFailures.timeout, 0);
    });

    it('tls_reload with a certificate that cannot be used says so, and the old one stays', async () => {
      const good = await ca.issueWith({ names: ['localhost'], daysLeft: 20.5 });
      write('ec', good);
      write('rsa', await ca.issueWith({ names: ['localhost'], kind: 'rsa', daysLeft: 20.5 }));
      await using fixture = await start();
      const before = await list(fixture);
      const stranger = await ca.issue('localhost');
      for (const [broken, pattern] of [
        [{ certificate: 'nonsense', key: good.key }, /ec\.pem: expected a certificate in PEM/],
        [{ certificate: stranger.certificate, key: good.key }, /ec-key\.pem is not the key of .*ec\.pem/],
        [{ certificate: good.certificate, key: 'nonsense' }, /ec-key\.pem: expected a private key in PEM/],
        [{ certificate: stranger.certificate.slice(0, 300), key: good.key }, /ec\.pem/],
      ] as const) {
        write('ec', broken);
        const { error } = await rpc(fixture, 'tls_reload');
        assert.deepEqual([error?.code, error?.message], [-32000, 'Server error']);
        assert.match(String(error?.data), pattern);
        assert.match(String(error?.data), /tls\.domains\.default\./, 'which key of the configuration');
        assert.deepEqual(await list(fixture), before);
        assert.equal(await served(fixture), before[0]!['serial']);
      }
      const audit = fixture.lines.filter((line) => line['audit'] === true);
      assert.deepEqual(
        audit.map(({ method, outcome }) => [method, outcome]),
        Array.from({ length: 4 }, () => ['tls_reload', 'failed']),
      );
      assert.ok(!JSON.stringify(fixture.lines).includes('PRIVATE KEY'), 'no key in the log');
      write('ec', good);
      assert.equal((await rpc(fixture, 'tls_reload')).result, 'OK');
    });
  });
}
