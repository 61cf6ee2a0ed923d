import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { TestCa } from '../listen/certificates.ts';
import { tempFolder } from '../listen/fixture.ts';
import { formatProblem, loadConfig, parseConfig } from '../../src/config/load.ts';
import { compareConfig, keepFixed } from '../../src/config/reload.ts';
import type { Config } from '../../src/config/config.ts';

const folder = tempFolder('config');
const name = join(folder, 'msrpd.yaml');
const ca = await TestCa.create();
const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
const own = await ca.issue('relay.example.com');
write('cert.pem', own.certificate);
write('key.pem', own.key);
writeFileSync(join(folder, 'users.txt'), '');

const BASE =
  'listeners: [{uri: "msrp:127.0.0.1:2855", advertise: relay.example.com}]\nrelay: {users: {file: users.txt}}\n';

function problems(text: string): string[] {
  const result = parseConfig(text, name);
  return 'problems' in result ? result.problems.map((problem) => formatProblem(problem).slice(folder.length + 1)) : [];
}

function good(text: string): Config {
  const result = parseConfig(text, name);
  assert.ok('config' in result, 'problems' in result ? result.problems.map(formatProblem).join('\n') : '');
  return result.config;
}

describe('configuration', () => {
  it('has the defaults of the OpenSIPS modules, but a handshake has time', () => {
    const config = good(BASE);
    assert.deepEqual(
      [
        config.limits.sendTimeoutMs,
        config.limits.maxMsgChunks,
        config.limits.tlsHandshakeTimeoutMs,
        config.relay.authExpiresS,
      ],
      [100, 4, 5000, 1800],
    );
    assert.deepEqual(
      [
        config.relay.authMinExpiresS,
        config.relay.authMaxExpiresS,
        config.relay.nonceExpireS,
        config.relay.cleanupIntervalS,
      ],
      [60, 3600, 30, 60],
    );
    assert.deepEqual(
      [config.limits.outboxBytes, config.limits.headerBytes, config.limits.probationMs, config.relay.authFailures],
      [262144, 65536, 30_000, 3],
    );
    assert.equal(config.relay.allowPlainAuth, false);
    assert.deepEqual(config.listeners[0]?.advertise, { host: 'relay.example.com', port: 2855 });
  });

  it('is YAML or JSON, with both forms of a listener', () => {
    const config = good(
      JSON.stringify({
        listeners: ['msrp:relay.example.com', { uri: 'msrps:[::1]:7', advertise: 'r.example:8' }],
        tls: { domains: { default: { certificate: 'cert.pem', private_key: 'key.pem', tls_method: 'TLSv1_3' } } },
      }),
    );
    assert.deepEqual(
      config.listeners.map(({ scheme, address, port }) => [scheme, address, port]),
      [
        ['msrp', 'relay.example.com', 2855],
        ['msrps', '::1', 7],
      ],
    );
    assert.deepEqual(config.tlsDomains['default']?.certificateFiles, [join(folder, 'cert.pem')]);
    assert.deepEqual(
      [config.tlsDomains['default']?.minVersion, config.tlsDomains['default']?.maxVersion],
      ['TLSv1.3', 'TLSv1.3'],
    );
  });

  for (const [text, expected] of [
    ['', /^msrpd\.yaml(:\d+:\d+)?: the configuration is empty/],
    ['- a', /expected keys and values/],
    ['a: [', /msrpd\.yaml:1:\d+: /],
    ['listeners: [msrp:a.example]\nlisteners: [msrp:b.example]', /msrpd\.yaml:2:1: .*unique/],
    ['engine: auto', /listeners is missing/],
    ['listeners: []', /:1:1: listeners: expected at least one entry/],
    ['listeners: [7]', /listeners\[0\]: expected a text or keys and values, got 7/],
    ['listeners: [sip:a.example]', /:1:13: listeners\[0\]: unknown scheme sip/],
    ['listeners: [wss:0.0.0.0:8443]', /set advertise to a host name/],
    ['listeners: [wss:chat.example]', /there is no TLS domain for it/],
    ['listeners: [{uri: "ws:chat.example", tls_domain: default}]', /a listener with ws has no TLS domain/],
    ['listeners: [{uri: "msrp:a.example", path: /x}]', /listeners\[0\]\.path: for ws and wss listeners only/],
    ['listeners: [{uri: "msrp:a.example", origins: ["*"]}]', /listeners\[0\]\.origins: for ws and wss listeners only/],
    ['listeners: [{uri: "ws:a.example", path: x}]', /listeners\[0\]\.path: /],
    [`${BASE}websocket: {implementation: other}`, /websocket\.implementation: expected one of auto, uws, ws/],
    [`${BASE}websocket: {chunk_bytes: 100}`, /websocket\.chunk_bytes: expected 2048 or more/],
    [
      `${BASE}websocket: {trusted_proxies: [10.0.0.0/33]}`,
      /trusted_proxies\[0\]: expected an IP address or a CIDR block/,
    ],
    ['listeners: ["msrp:a.example:70000"]', /port 70000 is above 65535/],
    ['listeners: ["msrp:[::g]:1"]', /no IPv6 address/],
    ['listeners: ["msrp:0.0.0.0"]', /set advertise/],
    ['listeners: ["msrp:10.0.0.1"]', /needs a host name/],
    ['listeners: [{advertise: a.example}]', /uri is missing/],
    ['listeners: [{uri: "msrp:a.example", advertise: "a b"}]', /listeners\[0\]\.advertise: /],
    ['listeners: [msrp:a.example, msrp:a.example]', /listeners\[1\]: listens where listeners\[0\] does/],
    ['listeners: [msrps:a.example]', /there is no TLS domain for it: expected tls\.domains\.default/],
    ['listeners: [{uri: "msrp:a.example", tls_domain: default}]', /has no TLS domain/],
    [`${BASE}engin: ts`, /:3:1: engin: unknown key; did you mean engine\?/],
    [`${BASE}engine: fast`, /engine: expected one of auto, native, ts, got "fast"/],
    [`${BASE}workers: 0`, /workers: expected 1 or more, got 0/],
    [`${BASE}workers: many`, /workers: expected a number or auto, got "many"/],
    [`${BASE}msrp: {send_timeout: fast}`, /msrp\.send_timeout: expected a whole number \(ms\), got "fast"/],
    [`${BASE}msrp: {send_timeout: -1}`, /expected 0 or more \(ms\), got -1/],
    [`${BASE}msrp: {send_timeout: 1.5}`, /expected a whole number/],
    [`${BASE}msrp: {send_timout: 1}`, /did you mean send_timeout\?/],
    [`${BASE}msrp: {trace_on: true}`, /msrp\.trace_on: needs trace_destination/],
    [`${BASE}msrp: {trace_destination: x}`, /there is no hep\.hep_id\.x/],
    [`${BASE}hep: {hep_id: {x: "host;transport=sctp"}}`, /hep\.hep_id\.x: unknown parameter transport=sctp/],
    [`${BASE}hep: {hep_id: {x: "host:0"}}`, /hep\.hep_id\.x: port 0 is not between 1 and 65535/],
    [`${BASE}hep: {ca_list: /nowhere/ca.pem}`, /hep\.ca_list: cannot read/],
    [`${BASE}msrp: {trace_filter_route: [{peer: 10.0.0.0/8}]}`, /action is missing/],
    [`${BASE}msrp: {trace_filter_route: [{action: drop, peer: 10.0.0.0/40}]}`, /\[0\]\.peer: expected an IP address/],
    [`${BASE}msrp: {trace_filter_route: [{action: drop, listener: "msrp:x"}]}`, /no listener is written like that/],
    [`${BASE}metrics: {path: metrics}`, /metrics\.path: /],
    [`${BASE}limits: {max_connections: yes}`, /limits\.max_connections: expected a whole number/],
    [`${BASE}limits: {outbox_bytes: 100}`, /expected 0, or 4096 or more/],
    [`${BASE}log: {level: loud}`, /log\.level: expected one of trace/],
    [`${BASE}hooks: nowhere.mjs`, /hooks: cannot read .*ENOENT/],
    [`${BASE}tls: {domains: {default: {certificate: cert.pem}}}`, /belong together/],
    [`${BASE}tls: {domains: {default: {certificate: no.pem, private_key: key.pem}}}`, /certificate: .*no\.pem/],
    [`${BASE}tls: {domains: {default: {tls_method: TLSv1}}}`, /RFC 8996/],
    [`${BASE}tls: {domains: {default: {tls_method: TLSv1_3-TLSv1_2}}}`, /expected TLSv1_2/],
    [
      BASE.replace('{users', '{auth_expires: 30, users'),
      /relay\.auth_expires: expected at least auth_min_expires \(60\)/,
    ],
    [BASE.replace('{users', '{auth_expires: 4000, users'), /expected at most auth_max_expires \(3600\)/],
    [BASE.replace('{users', '{my_uri: ["a b"], users'), /relay\.my_uri\[0\]: expected HOST/],
    [
      BASE.replace('{users', '{next_hops: {allow: [10.0.0.0/99]}, users'),
      /relay\.next_hops\.allow\[0\]: the prefix length/,
    ],
    [BASE.replace('file: users.txt', 'file: users.txt, hook: users.txt'), /either file or hook/],
    [BASE.replace('users.txt', 'nobody.txt'), /relay\.users\.file: cannot read/],
    ['a: &a [x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: [*c, *c, *c, *c]', /alias|unknown key/i],
  ] as const) {
    it(`says what is wrong: ${text.split('\n').at(-1)?.slice(0, 60) || '(nothing)'}`, () => {
      const found = problems(text);
      assert.ok(
        found.some((line) => expected.test(line)),
        `expected ${expected}, got:\n${found.join('\n')}`,
      );
    });
  }

  it('lists every mistake, in the order of the lines', () => {
    const found = problems(
      'engine: fast\nlisteners:\n  - msrp:127.0.0.1\n  - sip:x\nmsrp:\n  send_timeout: -5\n  nonsense: 1\nlimits:\n  idle_s: soon\n',
    );
    assert.deepEqual(
      found.map((line) => line.split(': ').slice(0, 2).join(' ')),
      [
        'msrpd.yaml:1:1 engine',
        'msrpd.yaml:3:5 listeners[0]',
        'msrpd.yaml:4:5 listeners[1]',
        'msrpd.yaml:6:3 msrp.send_timeout',
        'msrpd.yaml:7:3 msrp.nonsense',
        'msrpd.yaml:9:3 limits.idle_s',
      ],
    );
  });

  it('hostile text is refused, soon', () => {
    assert.match(problems('x'.repeat(2 ** 20 + 1))[0] ?? '', /larger than/);
    assert.ok(problems(`${BASE}log: !!js/function 'x'`).length > 0);
    assert.ok(problems('['.repeat(3000)).length > 0);
    assert.throws(() => loadConfig(join(folder, 'missing.yaml')), { code: 'E_CONFIG_READ' });
  });

  it('warnings do not stop a start', () => {
    const result = parseConfig('listeners: ["msrp:relay.example.com"]', name);
    assert.ok('config' in result);
    const text = result.warnings.map(formatProblem).join('\n');
    for (const pattern of [/send_timeout|AUTH is refused/, /no users/]) assert.match(text, pattern);
  });

  it('a handshake with less than a second is a warning; the default and 0 are none', () => {
    const warned = (value: string): boolean => {
      const { warnings } = parseConfig(`${BASE}msrp: {tls_handshake_timeout: ${value}}\n`, name);
      return warnings.some(({ key }) => key === 'msrp.tls_handshake_timeout');
    };
    assert.deepEqual(['100', '999', '1000', '5000', '0'].map(warned), [true, true, false, false, false]);
  });

  it('reload: what can be swapped and what cannot', () => {
    const before = good(BASE);
    assert.deepEqual(compareConfig(before, good(BASE)), { reloadable: [], needsRestart: [] });
    assert.deepEqual(compareConfig(before, good(`${BASE}limits: {idle_s: 5}\nworkers: 2\n`)), {
      reloadable: ['limits'],
      needsRestart: ['workers'],
    });
    const after = good(`${BASE}limits: {drain_s: 1}
log: {level: warn, destination: other.log}
websocket: {implementation: ws, max_message_bytes: 5000, chunk_bytes: 4096}
hep: {hep_id: {a: "127.0.0.1:9060"}, queue_bytes: 70000, verify_cert: false}
msrp: {trace_destination: a, trace_frames: headers}
metrics: {path: /m}
`);
    assert.deepEqual(compareConfig(before, after), {
      reloadable: ['limits.drain_s', 'websocket', 'hep', 'log'],
      needsRestart: [
        'metrics.path',
        'log.destination',
        'websocket.implementation',
        'websocket.max_message_bytes',
        'msrp.trace_destination',
        'hep.queue_bytes',
        'hep.verify_cert',
      ],
    });
    const taken = keepFixed(before, after);
    assert.deepEqual(compareConfig(taken, after).reloadable, []);
    assert.deepEqual([taken.log.level, taken.log.destination], ['warn', 'stdout']);
    assert.deepEqual(compareConfig(before, taken).needsRestart, []);
  });

  it('a log file is beside the configuration, the streams are none', () => {
    assert.equal(
      good(`${BASE}log: {destination: logs/m.log}\n`).log.destination,
      join(dirname(resolve(name)), 'logs/m.log'),
    );
    for (const stream of ['stdout', 'stderr'])
      assert.equal(good(`${BASE}log: {destination: ${stream}}\n`).log.destination, stream);
  });
});
