import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { formatProblem, parseConfig } from '../../src/config/load.ts';
import { TlsDomains } from '../../src/tls/domains.ts';
import { TestCa } from '../listen/certificates.ts';
import { tempFolder } from '../listen/fixture.ts';

const folder = tempFolder('tls-config');
const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);

/** `domains`: YAML of `tls.domains`; the listener is 127.0.0.1:2856. */
function parse(domains: string, listener = ''): ReturnType<typeof parseConfig> {
  const text = `listeners: [{uri: "msrps:127.0.0.1:2856", advertise: relay.example${listener}}]
relay: {users: {hook: hook.mjs}}
tls: {domains: {${domains}}}`;
  return parseConfig(text, join(folder, 'test.yaml'));
}

function problems(domains: string, listener = ''): string {
  const result = parse(domains, listener);
  return 'problems' in result ? result.problems.map(formatProblem).join('\n') : '';
}

function read(domains: string): TlsDomains {
  const result = parse(domains);
  assert.ok('config' in result, 'problems' in result ? result.problems.map(formatProblem).join('\n') : '');
  return TlsDomains.read(result.config.tlsDomains, Date.now());
}

const OWN = 'certificate: ec.pem, private_key: ec-key.pem';

describe('TLS domains (tls_mgm)', () => {
  before(async () => {
    const ca = await TestCa.create();
    const pairs = {
      ec: await ca.issueWith({ names: ['relay.example'], daysLeft: 100 }),
      rsa: await ca.issueWith({ names: ['relay.example'], daysLeft: 100, kind: 'rsa' }),
      old: await ca.issueWith({ names: ['relay.example'], daysLeft: -1 }),
      late: await ca.issueWith({ names: ['relay.example'], daysLeft: 3 }),
    };
    for (const [name, pair] of Object.entries(pairs)) {
      write(`${name}.pem`, pair.certificate);
      write(`${name}-key.pem`, pair.key);
    }
    write('ca.pem', ca.certificate);
    write('garbage.pem', 'x');
    write('hook.mjs', '');
    mkdirSync(join(folder, 'empty'), { recursive: true });
  });

  for (const [domains, expected] of [
    ['default: {}', /listeners\[0\].uri: there is no TLS domain for it/],
    ['default: {certificate: ec.pem}', /default.private_key|default.certificate: .*belong together/],
    ['default: {certificate: [ec.pem, rsa.pem], private_key: [ec-key.pem]}', /got 2 and 1/],
    [
      'default: {certificate: ec.pem, private_key: rsa-key.pem}',
      /private_key: .*rsa-key.pem is not the key of .*ec.pem/,
    ],
    [
      'default: {certificate: [ec.pem, late.pem], private_key: [ec-key.pem, late-key.pem]}',
      /certificate\[1\]: a second/,
    ],
    ['default: {certificate: no.pem, private_key: ec-key.pem}', /default.certificate: .*no.pem/],
    ['default: {certificate: garbage.pem, private_key: ec-key.pem}', /expected a certificate in PEM/],
    ['default: {certificate: ec.pem, private_key: garbage.pem}', /expected a private key in PEM/],
    [`default: {${OWN}, ca_list: garbage.pem}`, /ca_list: .*expected a certificate in PEM/],
    [`default: {${OWN}, ca_dir: empty}`, /ca_dir: .*expected a certificate/],
    [`default: {${OWN}, crl_dir: nowhere}`, /crl_dir: .*nowhere/],
    [`default: {${OWN}, crl_dir: empty}`, /crl_dir: .*no revocation list/],
    [`default: {${OWN}, crl_dir: empty, crl_check_all: false}`, /crl_check_all: a chain is always checked as a whole/],
    [`default: {${OWN}, ciphers_list: "AES128-SHA:TLS_AES_128_GCM_SHA256"}`, /unknown: AES128-SHA; there is TLS_AES/],
    [`default: {${OWN}, ciphers_list: TLS_AES_128_GCM_SHA256}`, /no suite for TLSv1_2/],
    [`default: {${OWN}, tls_method: TLSv1_3, ciphers_list: ECDHE-RSA-AES128-GCM-SHA256}`, /no suite for TLSv1_3/],
    [`default: {${OWN}, ec_curve: "P-521:X25519"}`, /unknown: P-521; there is X25519:P-256:P-384/],
    [`default: {${OWN}, tls_method: TLSv1_1-TLSv1_3}`, /older versions are broken and forbidden \(RFC 8996\)/],
    [`default: {${OWN}, tls_method: SSLv23}`, /RFC 8996/],
    [`default: {${OWN}, type: peer}`, /type: expected one of server, client, both/],
    [`default: {${OWN}, type: server, match_ip_address: "127.0.0.1:9"}`, /can never match: no msrps listener/],
    [`default: {${OWN}, match_ip_address: "127.0.0.1"}`, /expected ADDRESS:PORT/],
    [`default: {${OWN}, match_sip_domain: "192.0.2.1"}`, /can never match: a name is compared/],
    [`default: {${OWN}, match_sip_domain: "a.*.example"}`, /expected a host name/],
    [
      `a: {${OWN}, match_sip_domain: x.example}, b: {${OWN}, match_sip_domain: X.example}`,
      /b.match_sip_domain: X.example can never match: tls.domains.a has it already/,
    ],
  ] as const) {
    it(`says what is wrong: ${domains.slice(0, 90)}`, () => assert.match(problems(domains), expected));
  }

  it('a domain that a listener names must be there and able to serve', () => {
    assert.match(problems(`default: {${OWN}}`, ', tls_domain: other'), /tls_domain: there is no tls.domains.other/);
    assert.match(
      problems(`default: {${OWN}}, c: {${OWN}, type: client}`, ', tls_domain: c'),
      /tls_domain: tls.domains.c is for clients only/,
    );
  });

  it('an expired certificate, or one that is about to, is a warning', () => {
    for (const [name, expected] of [
      ['old', /old.pem has expired/],
      ['late', /late.pem expires in [23] days/],
    ] as const) {
      const result = parse(`default: {certificate: ${name}.pem, private_key: ${name}-key.pem}`);
      assert.ok('config' in result);
      assert.match(result.warnings.map(formatProblem).join(), expected);
    }
  });

  it('serves by listener, then by name: exact, wildcard, fallback', () => {
    const domains = read(`
      other: {${OWN}, match_ip_address: "127.0.0.1:2856", match_sip_domain: "a.example, *.b.example"},
      any: {${OWN}, match_sip_domain: "*.b.example, c.example"},
      default: {${OWN}},
      out: {type: client}`);
    const spec = domains.server({ address: '127.0.0.1', port: 2856, domain: undefined });
    assert.deepEqual(
      spec.byName.map(({ pattern, domain }) => [pattern, domain.name]),
      [
        ['a.example', 'other'],
        ['*.b.example', 'other'],
        ['c.example', 'any'],
      ],
    );
    assert.equal(spec.fallback?.name, 'default');
    const elsewhere = domains.server({ address: '127.0.0.1', port: 1, domain: 'any' });
    assert.deepEqual([elsewhere.byName.length, elsewhere.fallback?.name], [2, 'any']);
    assert.equal(
      read(`n: {${OWN}, match_sip_domain: only.example}`).server({ address: '::', port: 1, domain: undefined })
        .fallback,
      undefined,
    );
  });

  it('dials with the domain of the host, then of the address', () => {
    const domains = read(`
      peer: {type: client, match_sip_domain: "peer.example"},
      wild: {type: client, match_sip_domain: "*.example"},
      near: {type: client, match_ip_address: "192.0.2.1:2855"},
      serves: {${OWN}, type: server},
      default: {${OWN}}`);
    const of = (host: string, address = '192.0.2.9'): string | undefined =>
      domains.client(host, { address, port: 2855 })?.name;
    assert.deepEqual(
      [of('Peer.example', '192.0.2.1'), of('x.example'), of('far.away'), of('far.away', '192.0.2.1')],
      ['peer', 'wild', 'default', 'near'],
    );
    assert.equal(read(`s: {${OWN}, type: server}`).client('x', { address: '192.0.2.1', port: 1 }), undefined);
  });

  it('RSA and ECDSA in one domain; suites and groups by the names of both engines', () => {
    const domains = read(`default: {certificate: [ec.pem, rsa.pem], private_key: [ec-key.pem, rsa-key.pem],
      ciphers_list: ECDHE-RSA-AES128-GCM-SHA256, ec_curve: "prime256v1:X25519"}`);
    const domain = domains.server({ address: '::', port: 1, domain: 'default' }).fallback;
    assert.equal(domain?.identities.length, 2);
    assert.deepEqual(domain.curves, ['P-256', 'X25519']);
    assert.deepEqual([domain.ciphers?.length, domain.ciphers?.at(-1)], [4, 'ECDHE-RSA-AES128-GCM-SHA256']);
    const [first, second] = domains.list(Date.now());
    assert.deepEqual([first?.subject, first?.issuer, first?.daysLeft], ['CN=relay.example', 'CN=test CA', 99]);
    assert.notEqual(first?.serial, second?.serial);
    assert.match(first?.fingerprint ?? '', /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  });

  it('a domain that has not changed stays the object that it is', () => {
    const result = parse(`default: {${OWN}}, b: {${OWN}, match_sip_domain: b.example}`);
    assert.ok('config' in result);
    const { tlsDomains } = result.config;
    const listener = { address: '::', port: 1, domain: 'default' };
    const first = TlsDomains.read(tlsDomains, Date.now());
    const second = TlsDomains.read({ ...tlsDomains, b: { ...tlsDomains['b']!, requireCert: true } }, Date.now(), first);
    assert.equal(second.server(listener).fallback, first.server(listener).fallback);
    assert.notEqual(second.server(listener).byName[0]?.domain, first.server(listener).byName[0]?.domain);
  });
});
