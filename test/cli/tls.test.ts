import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { within } from '../engine/harness.ts';
import { tempFolder } from '../listen/fixture.ts';
import { Shell } from './shell.ts';

const folder = tempFolder('cli-tls');
const shell = new Shell(folder);
after(() => shell.end());

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

describe('TLS as a user meets it', () => {
  it('init says how clients trust its certificate, and check has nothing to say against it', async () => {
    const { code, out } = await shell.run(['init']);
    assert.equal(code, 0);
    assert.match(out, /clients trust it with --ca msrpd-tls\/ca\.pem \(a development CA/);
    const checked = await shell.run(['check']);
    assert.deepEqual([checked.code, checked.out], [0, 'msrpd.yaml: ok\n']);
    assert.doesNotMatch(checked.err, /tls/);
  });

  it('init --certificate renews the certificate alone, and only where that is needed', async () => {
    const own = join(folder, 'msrpd-tls', 'cert.pem');
    const [before, config] = [readFileSync(own, 'utf8'), readFileSync(join(folder, 'msrpd.yaml'), 'utf8')];
    const kept = await shell.run(['init', '--certificate']);
    assert.deepEqual([kept.code, kept.out], [0, 'msrpd-tls/cert.pem is good for some time\n']);
    assert.equal(readFileSync(own, 'utf8'), before);
    writeFileSync(own, '');
    const renewed = await shell.run(['init', '--certificate']);
    assert.deepEqual(
      [renewed.code, renewed.out],
      [0, 'wrote msrpd-tls/cert.pem; clients trust it with --ca msrpd-tls/ca.pem\n'],
    );
    assert.notEqual(readFileSync(own, 'utf8'), before);
    assert.equal(readFileSync(join(folder, 'msrpd.yaml'), 'utf8'), config);
  });

  it('what makes certificates is loaded by who makes them, by nobody else', async () => {
    assert.ok((await loaded(['init', 'other/msrpd.yaml', '--certificate'])).some(isMaker), 'it can be seen');
    for (const args of [['check'], ['--version'], ['init', '--certificate']])
      assert.deepEqual((await loaded(args)).filter(isMaker), [], args.join(' '));
  });

  it('what reads ASN.1 is loaded by who has a certificate, and no more of it than that', async () => {
    const isForge = (url: string): boolean => url.includes('/node-forge/');
    const parts = (await loaded(['check'])).filter(isForge).map((url) => url.slice(url.lastIndexOf('/') + 1));
    assert.deepEqual(parts.toSorted(), ['asn1.js', 'baseN.js', 'forge.js', 'oids.js', 'util.js']);
    writeFileSync(join(folder, 'plain.yaml'), 'listeners: [msrp:127.0.0.1:2855]\nrelay: {allow_ip_use_path: true}\n');
    for (const args of [['check', '-c', 'plain.yaml'], ['--version']])
      assert.deepEqual((await loaded(args)).filter(isForge), [], args.join(' '));
  });

  it('the conversation with TLS of the README, as it stands there but for the port, with the demo of npm start', async () => {
    const port = await freePorts();
    const demo = shell.start(['serve', '--demo', '--port', String(port)]);
    await demo.says(/Stop it with Ctrl-C/);
    assert.match(demo.out(), /With TLS, trusting the CA of this demo \(.*\/\.msrpd\/ca\.pem\)/);
    assert.ok(demo.out().includes(`listen --relay 'msrps://localhost:${port + 1};tcp' --ca .msrpd/ca.pem`), demo.out());
    const blocks = Array.from(readme.matchAll(/```sh\n(npx [^`]*--ca [^`]*)```/g), ([, block = '']) => block);
    const [listen, send] = blocks.map((block) => block.replaceAll('localhost:2856', `localhost:${port + 1}`));
    assert.ok(listen !== undefined && send !== undefined, 'there are two blocks with --ca');
    const listener = bash(listen);
    await within('its path', listener.says(/^path: msrps:/m));
    const sender = bash(send);
    assert.equal(await within('the end of send', sender.ended), 0, sender.output());
    assert.match(sender.output(), /confirmed by the peer/);
    await within('the message', listener.says(/Hello/));
    listener.end();
    demo.child.kill('SIGTERM');
    assert.equal(await demo.exit, 0);
    assert.ok(existsSync(join(folder, '.msrpd', 'ca.pem')), 'the CA stays for the next start');
  });
});

/** Scripts that a command has loaded: node writes down what it has run. */
async function loaded(args: readonly string[]): Promise<string[]> {
  const coverage = mkdtempSync(join(folder, 'coverage-'));
  const { code, err } = await shell.run(args, { env: { NODE_V8_COVERAGE: coverage } });
  assert.equal(code, 0, err);
  const urls = readdirSync(coverage).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] };
    return result.map(({ url }) => url);
  });
  assert.ok(
    urls.some((url) => url.endsWith('/cli/main.js')),
    args.join(' '),
  );
  return urls;
}

function isMaker(url: string): boolean {
  return /@peculiar|reflect-metadata/.test(url);
}

/** The first of three ports in a row that nobody listens on. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = await listenOnce(0);
    if (first !== undefined && (await listenOnce(first + 1)) && (await listenOnce(first + 2))) return first;
  }
}

/** The port, when nobody else has it. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const { port: bound } = server.address() as AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}

/** Runs a block of the README in the folder of the demo; `npx msrpd` is the program of this checkout. */
function bash(block: string): {
  output: () => string;
  ended: Promise<number | null>;
  says: (pattern: RegExp) => Promise<void>;
  end: () => void;
} {
  const script = `npx() { shift; '${process.execPath}' '${main}' "$@"; }\n${block.replaceAll('/tmp/', `${folder}/`)}`;
  const child = spawn('bash', ['-c', script], {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  let wake: () => void = () => undefined;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString();
      wake();
    });
  const end = (): void => {
    // The pipeline, not the shell alone.
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  after(end);
  return {
    output: () => output,
    ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
    says: async (pattern) => {
      while (!pattern.test(output)) await new Promise<void>((resolve) => (wake = resolve));
    },
    end,
  };
}
