import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { within } from '../engine/harness.ts';
import { addonIsThere } from '../listen/engines.ts';
import { tempFolder } from '../listen/fixture.ts';
import { VECTORS, bytesOf } from '../frame/vectors.ts';
import { Shell } from './shell.ts';
import type { Running } from './shell.ts';

const folder = tempFolder('cli');
const shell = new Shell(folder);
const start = shell.start.bind(shell);
const run = shell.run.bind(shell);
after(() => shell.end());

describe('msrpd: wrong arguments are one line on stderr and exit code 2', () => {
  for (const [args, pattern] of [
    [['bogus'], /unknown command/],
    [['serv'], /serve/],
    [['--nonsense'], /unknown option/],
    [['check', '-c'], /argument missing/],
    [['check', '-c', 'missing.yaml'], /ENOENT/],
    [['check', 'extra', 'words'], /too many arguments/],
    [['serve', '-c', 'missing.yaml'], /ENOENT/],
    [['serve', '--demo', '-c', 'x.yaml'], /leave out one/],
    [['init', 'a', 'b'], /too many arguments/],
    [['send'], /--to/],
    [['send', '--to', 'nonsense', '--text', 'x'], /MSRP URIs/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x', '--file', 'y'], /not both/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--file', 'missing'], /is no file/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x', '--chunk', '5'], /2048 or more/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x', '--timeout', 'soon'], /above 0/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x', '--relay', 'http://x'], /MSRP URI/],
    [['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x', '--relay', 'msrp://127.0.0.1:1;tcp'], /needs --user/],
    [['listen'], /one of --relay and --bind/],
    [['listen', '--bind', 'a b'], /host name|HOST/],
    [['listen', '--bind', '127.0.0.1:0', '--cert', 'x'], /ENOENT|belong together/],
    [['parse', 'missing.bin'], /ENOENT/],
    [['parse', '--engine', 'fast', 'x'], /Allowed choices|allowed/i],
    [['bench'], /msrpd bench parse/],
    [['bench', 'nonsense'], /too many arguments/],
    [['bench', 'parse', 'missing.bin'], /ENOENT/],
    [['bench', 'parse', '--engine', 'native'], /unknown option/],
  ] as const) {
    it(args.join(' '), async () => {
      const { code, out, err } = await run(args, { env: { MSRPD_PASSWORD: '' } });
      assert.equal(code, 2, err);
      assert.equal(out, '');
      assert.match(err, pattern);
      assert.equal(err.trimEnd().split('\n').length, 1, err);
    });
  }

  it('nobody there: exit code 1', async () => {
    const { code, err } = await run(['send', '--to', 'msrp://127.0.0.1:1/x;tcp', '--text', 'x']);
    assert.equal(code, 1);
    assert.match(err, /^msrpd: connection failed: 127\.0\.0\.1:1: /);
  });

  it('--version and --help', async () => {
    assert.match((await run(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
    for (const args of [['--help'], ['serve', '--help']]) {
      const { code, out } = await run(args);
      assert.equal(code, 0);
      assert.match(out, /Usage: msrpd/);
    }
    const none = await run([]);
    assert.equal(none.code, 2);
    assert.match(none.err, /Usage: msrpd/);
  });
});

describe('msrpd init and check', () => {
  it('what init writes passes check; a file that is there is not touched', async () => {
    assert.equal((await run(['init', 'made.yaml'])).code, 0);
    const { code, out } = await run(['check', '-c', 'made.yaml']);
    assert.equal(code, 0);
    assert.equal(out, 'made.yaml: ok\n');
    writeFileSync(join(folder, 'mine.yaml'), 'mine');
    const again = await run(['init', 'mine.yaml']);
    assert.equal(again.code, 1);
    assert.match(again.err, /--force/);
    assert.equal(readFileSync(join(folder, 'mine.yaml'), 'utf8'), 'mine');
    assert.equal((await run(['init', 'mine.yaml', '--force'])).code, 0);
    assert.match((await run(['init', '-'])).out, /^# Configuration of msrpd/);
  });

  it('check lists every mistake', async () => {
    writeFileSync(join(folder, 'bad.yaml'), 'listeners: [sip:x]\nengin: ts\nlimits: {idle_s: soon}\n');
    const { code, out, err } = await run(['check', '-c', 'bad.yaml']);
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.match(err, /bad\.yaml:1:13: listeners\[0\]: /);
    assert.match(err, /bad\.yaml:2:1: engin: .*did you mean engine/);
    assert.match(err, /bad\.yaml:3:10: limits\.idle_s: /);
    const serve = await run(['serve', '-c', 'bad.yaml']);
    assert.equal(serve.code, 2);
    assert.match(serve.err, /3 mistakes; nothing was started/);
  });
});

describe('msrpd parse', () => {
  it('gives the fields of the test vectors', async () => {
    for (const name of [
      'send-simple',
      'resp-no-comment',
      'hdr-unknown-repeated',
      'uri-http',
      'tid-3',
      'body-binary-all-bytes',
    ]) {
      const vector = VECTORS.find((entry) => entry.name === name)!;
      const { out, code } = await run(['parse', '--json'], { input: bytesOf(vector) });
      assert.deepEqual(JSON.parse(out.split('\n')[0]!), vector.expected, name);
      assert.equal(code, vector.expected['fatal'] === true ? 1 : 0);
    }
    const half = await run(['parse', '--json'], { input: 'MSRP abcd SEND\r\n' });
    assert.deepEqual(JSON.parse(half.out), { kind: 'incomplete', consumedBytes: 0 });
    const text = await run(['parse'], { input: bytesOf(VECTORS[0]!) });
    assert.match(text.out, /^0…226 {2}SEND {2}d93kswow9Qm2\$\n {2}To-Path: /);
  });
});

describe('msrpd bench parse', () => {
  const good = bytesOf(VECTORS.find(({ name }) => name === 'send-simple')!);

  it('tells what the capture holds and how fast each implementation is', async () => {
    const capture = Buffer.concat([good, good, good.subarray(0, 30)]);
    const { code, out, err } = await run(['bench', 'parse'], { input: capture });
    assert.equal(code, 0, err);
    const lines = out.trimEnd().split('\n');
    assert.match(lines[0]!, /^2 frames, \d+ bytes; and the beginning of another$/);
    const rows = lines.filter((line) => /^(framing|decoding), (TypeScript|native) +[\d,.]+ +[\d,.]+/.test(line));
    assert.equal(rows.length, addonIsThere ? 4 : 2, out);
    assert.equal(/^native: cannot run: /m.test(out), !addonIsThere, out);
  });

  it('goes on without the addon, and says why', async () => {
    const env = { MSRPD_ADDON: '/nowhere.node' };
    const { code, out } = await run(['bench', 'parse', '--json'], { input: good, env });
    assert.equal(code, 0);
    const figures = JSON.parse(out) as { content: unknown; rows: { nsPerFrame: number }[]; absent: string };
    assert.deepEqual(figures.content, { frames: 1, bad: 0, end: good.length });
    assert.equal(figures.rows.length, 2);
    assert.ok(figures.rows.every(({ nsPerFrame }) => nsPerFrame > 0));
    assert.match(figures.absent, /no such file/);
  });

  it('has nothing to say of what is no capture', async () => {
    for (const [input, text] of [
      ['GET / HTTP/1.1\r\n', /no frame in it: E_START_LINE/],
      ['', /no whole frame/],
    ] as const) {
      const { code, out, err } = await run(['bench', 'parse'], { input });
      assert.deepEqual([code, out], [1, '']);
      assert.match(err, text);
    }
  });
});

describe('a relay and two endpoints, as a user runs them', () => {
  const serve = async (name: string, more = ''): Promise<{ relay: Running; uri: string; path: string }> => {
    writeFileSync(join(folder, 'users.txt'), 'alice::secret\n');
    const path = join(folder, name);
    writeFileSync(
      path,
      `listeners: [msrp:127.0.0.1:0]\nmsrp: {send_timeout: 30000, max_msg_chunks: 0}\nrelay: {allow_plain_auth: true, allow_ip_use_path: true, users: {file: users.txt}}\n${more}`,
    );
    const relay = start(['serve', '-c', path]);
    const [, port] = await relay.says(/"port":(\d+)/);
    await relay.says(/engine chosen/);
    return { relay, uri: `msrp://127.0.0.1:${port};tcp`, path };
  };

  it('text, standard input and files; SIGTERM drains and exits 0', async () => {
    const { relay, uri } = await serve('one.yaml');
    const output = join(folder, 'received');
    const env = { MSRPD_PASSWORD: 'secret' };
    const listener = start(['listen', '--relay', uri, '--user', 'alice', '--output', output, '--count', '3'], { env });
    const [, to] = await listener.says(/path: (.*)/);
    const hello = await run(['send', '--to', to!, '--text', 'Hello, wörld', '--success-report']);
    assert.equal(hello.code, 0, hello.err);
    assert.match(hello.out, /^sent 13 octets, confirmed by the peer/);
    const piped = await run(['send', '--to', to!, '--json'], { input: 'from a pipe' });
    assert.equal(JSON.parse(piped.out).octets, 11);
    const bytes = randomBytes(2_000_000);
    writeFileSync(join(folder, 'photo.jpg'), bytes);
    const sent = await run([
      'send',
      '--to',
      to!,
      '--file',
      'photo.jpg',
      '--type',
      'image/jpeg',
      '--success-report',
      '--relay',
      uri,
      '--user',
      'alice',
      '--password',
      'secret',
    ]);
    assert.equal(sent.code, 0, sent.err);
    assert.equal(await listener.exit, 0);
    assert.match(listener.out(), /from msrp:\/\/127\.0\.0\.1:\d+\/[\w.+%=-]{4}…;tcp: Hello, wörld\n/);
    assert.match(listener.out(), /: from a pipe\n/);
    assert.match(listener.out(), /: image\/jpeg, 2000000 octets, in .*photo\.jpg\n/);
    const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    assert.equal(hash(readFileSync(join(output, 'photo.jpg'))), hash(bytes));
    const wrong = await run([
      'send',
      '--to',
      to!,
      '--text',
      'x',
      '--relay',
      uri,
      '--user',
      'alice',
      '--password',
      'wrong',
    ]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /authentication failed: 401/);
    const gone = await run(['send', '--to', to!, '--text', 'x']);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /refused the request: 481/);
    relay.child.kill('SIGTERM');
    assert.equal(await relay.exit, 0);
    assert.match(relay.out(), /"msg":"session opened"/);
    assert.match(relay.out(), /"msg":"stopped"/);
    assert.doesNotMatch(relay.out(), /secret|Hello|"wrong"/);
    assert.ok(!relay.out().includes(/\/([\w.-]{24});/.exec(to!)![1]!), 'no whole session-id in the log');
  });

  it('directly, without a relay', async () => {
    const listener = start(['listen', '--bind', '127.0.0.1:0', '--count', '1', '--json']);
    const [, path] = await listener.says(/"path":\["([^"]+)"\]/);
    assert.equal((await run(['send', '--to', path!, '--text', 'direct'])).code, 0);
    assert.equal(await listener.exit, 0);
    assert.equal(JSON.parse(listener.out().trim().split('\n')[1]!).text, 'direct');
  });

  it('SIGHUP: a good file is taken, a bad one changes nothing; a log file follows rotation', async () => {
    const log = join(folder, 'relay.log');
    const path = join(folder, 'two.yaml');
    writeFileSync(join(folder, 'users.txt'), 'alice::secret\n');
    const text = (level: string): string =>
      `listeners: [msrp:127.0.0.1:0]\nrelay: {allow_plain_auth: true, allow_ip_use_path: true, users: {file: users.txt}}\nlog: {destination: ${log}, level: ${level}}\n`;
    writeFileSync(path, text('info'));
    const relay = start(['serve', '-c', path]);
    const logged = async (pattern: RegExp): Promise<void> => {
      while (!existsSync(log) || !pattern.test(readFileSync(log, 'utf8')))
        await new Promise((resolve) => setImmediate(resolve));
    };
    await within('the start', logged(/engine chosen/));
    writeFileSync(path, `${text('debug')}nonsense: 1\n`);
    relay.child.kill('SIGHUP');
    await within('the refusal', logged(/configuration not reloaded.*nonsense|nonsense.*configuration not reloaded/));
    writeFileSync(path, text('debug'));
    relay.child.kill('SIGHUP');
    await within('the reload', logged(/"reloadable":\["log"\].*configuration reloaded/));
    relay.child.kill('SIGTERM');
    assert.equal(await relay.exit, 0);
  });

  it('a port that is taken: one line, exit code 1; MSRPD_ENGINE', async () => {
    const { relay, uri, path } = await serve('three.yaml');
    const port = /:(\d+);/.exec(uri)?.[1];
    writeFileSync(join(folder, 'taken.yaml'), readFileSync(path, 'utf8').replace('127.0.0.1:0', `127.0.0.1:${port}`));
    const taken = await run(['serve', '-c', 'taken.yaml']);
    assert.equal(taken.code, 1);
    assert.match(taken.err.trim().split('\n').at(-1)!, /^msrpd: cannot listen: 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    const refused = await run(['serve', '-c', path], { env: { MSRPD_ENGINE: 'fast' } });
    assert.equal(refused.code, 2);
    assert.match(refused.err, /MSRPD_ENGINE asks for "fast": expected auto, native or ts/);
    relay.child.kill('SIGINT');
    assert.equal(await relay.exit, 0);
  });
});
