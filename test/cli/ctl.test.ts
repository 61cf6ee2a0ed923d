import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { METHODS } from '../../src/control/methods.ts';
import { TestCa } from '../listen/certificates.ts';
import { freePort } from '../engine/harness.ts';
import { tempFolder } from '../listen/fixture.ts';
import { Shell } from './shell.ts';
import type { Running } from './shell.ts';

const folder = tempFolder('ctl');
const shell = new Shell(folder);
const run = shell.run.bind(shell);
after(() => shell.end());

describe('msrpd ctl, trace and sessions, against a running relay', () => {
  let relay: Running;
  let url: string;
  let uri: string;
  const at = (): string[] => ['--url', url, '--token-file', 'token'];

  before(async () => {
    const ca = await TestCa.create();
    const pair = await ca.issueWith({ names: ['localhost'], daysLeft: 5.5 });
    writeFileSync(join(folder, 'cert.pem'), pair.certificate);
    writeFileSync(join(folder, 'key.pem'), pair.key);
    writeFileSync(join(folder, 'token'), 'correct-horse-battery\n', { mode: 0o600 });
    writeFileSync(join(folder, 'users.txt'), 'alice::secret\n');
    writeFileSync(
      join(folder, 'msrpd.yaml'),
      `listeners: [msrp:127.0.0.1:0, {uri: "msrps:127.0.0.1:0", advertise: "localhost:0"}]
tls: {domains: {default: {certificate: cert.pem, private_key: key.pem}}}
msrp: {send_timeout: 30000, max_msg_chunks: 0, trace_destination: x}
relay: {allow_plain_auth: true, allow_ip_use_path: true, users: {file: users.txt}}
hep: {hep_id: {x: "127.0.0.1:9;transport=udp"}}
control: {listen: "http:127.0.0.1:0", token_file: token}
`,
    );
    relay = shell.start(['serve']);
    [, url = ''] = await relay.says(/"url":"([^"]+)"/);
    const [, port] = (await relay.says(/"port":(\d+)/)) as unknown as [string, string];
    uri = `msrp://127.0.0.1:${port};tcp`;
  });

  it('lists the methods without asking anybody', async () => {
    const { code, out } = await run(['ctl']);
    assert.equal(code, 0);
    for (const name of METHODS.keys()) assert.ok(out.includes(name), name);
  });

  it('msrpd ctl msrp_trace on, and msrpd trace', async () => {
    assert.equal((await run(['trace', ...at()])).out, '{\n  "MSRP tracing": "off"\n}\n');
    assert.equal((await run(['ctl', 'msrp_trace', 'on', ...at()])).out, 'OK\n');
    assert.match((await run(['ctl', 'msrp_trace', ...at()])).out, /"on"/);
    assert.equal((await run(['trace', 'off', ...at()])).out, 'OK\n');
    const wrong = await run(['trace', 'ofx', ...at()]);
    assert.deepEqual([wrong.code, wrong.out], [2, '']);
    assert.equal(wrong.err, "msrpd: msrp_trace: trace_mode should be 'on' or 'off'\n");
  });

  it('msrpd sessions', async () => {
    assert.equal((await run(['sessions', ...at()])).out, 'no sessions\n');
    await using client = await MsrpClient.connect({ relay: uri, user: 'alice', password: 'secret' });
    assert.ok(client.path.length > 0);
    const { out } = await run(['sessions', ...at()]);
    assert.match(out, /^session +id +user .*\n\d+ +\S{4}… +alice +127\.0\.0\.1 +msrp:/);
    const [session] = JSON.parse((await run(['sessions', '--json', ...at()])).out) as { session: number }[];
    assert.equal((await run(['ctl', 'close_session', `session=${session!.session}`, ...at()])).out, 'OK\n');
    assert.equal((await run(['sessions', ...at()])).out, 'no sessions\n');
  });

  it('msrpd ctl tls_list and tls_reload', async () => {
    const rows = async (): Promise<Record<string, unknown>[]> =>
      JSON.parse((await run(['ctl', 'tls_list', ...at()])).out) as Record<string, unknown>[];
    const before = await rows();
    assert.deepEqual(
      before.map(({ name, subject, days_left }) => [name, subject, days_left]),
      [['default', 'CN=localhost', 5]],
    );
    const certificate = readFileSync(join(folder, 'cert.pem'));
    writeFileSync(join(folder, 'cert.pem'), 'nonsense');
    const refused = await run(['ctl', 'tls_reload', ...at()]);
    assert.deepEqual([refused.code, refused.out], [1, '']);
    assert.match(refused.err, /^msrpd: tls_reload: .*cert\.pem: expected a certificate in PEM\n$/);
    assert.deepEqual(await rows(), before);
    writeFileSync(join(folder, 'cert.pem'), certificate);
    assert.equal((await run(['ctl', 'tls_reload', ...at()])).out, 'OK\n');
  });

  it('says what is wrong in one line', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    for (const [args, code, pattern] of [
      [['ctl', 'nothing', ...at()], 2, /^msrpd: nothing: Method not found\n$/],
      [['ctl', 'close_connection', 'x', ...at()], 2, /id should be a whole number/],
      [['ctl', 'close_connection', '1', ...at()], 1, /no connection 1/],
      [['ctl', 'list_sessions', 'limit=1', '2', ...at()], 2, /all as NAME=VALUE/],
      [['ctl', 'engine', '--url', url], 1, /asks for a token/],
      [['ctl', 'engine', '--url', nobody], 1, new RegExp(`no relay answers at ${nobody} \\(ECONNREFUSED\\)`)],
      [['ctl', 'engine', '--url', 'nonsense'], 2, /expected http:\/\/HOST:PORT/],
      [['ctl', 'engine', '--url', url, '--token-file', 'missing'], 2, /ENOENT/],
      [['ctl', 'engine', '-c', 'missing.yaml'], 2, /ENOENT/],
    ] as const) {
      const result = await run(args);
      assert.equal(result.code, code, `${args.join(' ')}: ${result.err}`);
      assert.match(result.err, pattern);
      assert.equal(result.err.trim().split('\n').length, 1);
    }
  });

  it('reload and drain: the process ends with 0', async () => {
    assert.match((await run(['ctl', 'reload', ...at()])).out, /"changed": \[\]/);
    writeFileSync(join(folder, 'users.txt'), 'nonsense\n');
    const refused = await run(['ctl', 'reload', ...at()]);
    assert.deepEqual([refused.code, /users/.test(refused.err)], [1, true]);
    assert.equal((await run(['ctl', 'drain', ...at()])).out, 'OK\n');
    assert.equal(await relay.exit, 0);
  });
});
