import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { Shell } from '../cli/shell.ts';
import { within } from '../engine/harness.ts';
import { startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';
import { STACKS } from '../ws/fixture.ts';
import { NO_BROWSER, launch, servePage, shots } from './page.ts';

const SIZE = 10_000_000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the chat page in Chromium', { skip: NO_BROWSER }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  for (const stack of STACKS) {
    describe(stack.name, () => {
      let page: Awaited<ReturnType<typeof servePage>>;
      let wrongPage: typeof page;
      let network: Network;
      let relay: Fixture;
      let context: BrowserContext;
      let shell: Shell;

      before(async () => {
        network = await Network.start();
        const uri = `msrp://127.0.0.1:${network.port};ws`;
        page = await servePage({ relay: uri });
        wrongPage = await servePage({ relay: uri });
        relay = await startRelay(
          `
engine: ${stack.engine}
workers: 2
listeners: ["msrp:127.0.0.1:0", {uri: "ws:127.0.0.1:0", origins: ["${urlOf(page)}"]}]
websocket: {implementation: ${stack.implementation}}
msrp: {send_timeout: 30000, max_msg_chunks: 0}
relay: {allow_plain_auth: true, allow_ip_use_path: true, my_uri: [127.0.0.1], next_hops: {allow: [127.0.0.0/8]}}
`,
          ['alice', 'bob', 'carol'].map((name) => [name, '', { password: 'secret' }] as const),
        );
        network.target = relay.server.listeners[1]?.port ?? 0;
        context = await browser.newContext({ viewport: { width: 900, height: 900 } });
        context.setDefaultTimeout(20_000);
        shell = new Shell(mkdtempSync(join(tmpdir(), 'msrpd-browser-')));
      });
      after(async () => {
        shell.end();
        await context.close();
        await relay.server.stop();
        network.stop();
        page.close();
        wrongPage.close();
      });

      const tab = async (user: string, problems: string[] = []): Promise<Page> => {
        const opened = await context.newPage();
        opened.on('pageerror', (error) => problems.push(error.message));
        await opened.goto(urlOf(page));
        await opened.fill('#user', user);
        await opened.fill('#password', 'secret');
        await opened.click('#login button');
        await opened.waitForSelector('#status[data-state=online]');
        return opened;
      };
      const say = async (from: Page, text: string): Promise<void> => {
        await from.fill('#text', text);
        await from.click('#send button');
      };
      const choose = (from: Page, name: string, buffer: Buffer): Promise<void> =>
        from.setInputFiles('#file', { name, mimeType: 'application/octet-stream', buffer });
      /** The hash of the file behind the link with that name. */
      const received = async (at: Page, name: string): Promise<string> => {
        const href = await at.locator(`#messages a[download="${name}"]`).getAttribute('href');
        return at.evaluate(async (url) => {
          const bytes = await (await fetch(url as string)).arrayBuffer();
          const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
          return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
        }, href);
      };

      it('two tabs chat, and send 10 MB each way', async () => {
        const problems: string[] = [];
        const alice = await tab('alice', problems);
        const bob = await tab('bob', problems);
        await alice.click('#people button');
        await say(alice, 'Hello Bob, grüß dich');
        await bob.getByText('Hello Bob, grüß dich').waitFor();
        await say(bob, 'Hello Alice');
        await alice.getByText('Hello Alice').waitFor();
        await alice.locator('li.own[data-state=delivered]').first().waitFor();
        const there = randomBytes(SIZE);
        const back = randomBytes(SIZE);
        await Promise.all([choose(alice, 'there.bin', there), choose(bob, 'back.bin', back)]);
        assert.equal(await received(bob, 'there.bin'), sha256(there));
        assert.equal(await received(alice, 'back.bin'), sha256(back));
        // Confirmed, octet by octet.
        await alice.locator('li.own[data-state=delivered] progress').waitFor();
        const bar = alice.locator('li.own progress');
        assert.equal(await bar.getAttribute('value'), String(SIZE));
        await alice.screenshot({ path: `${shots}/chat-${stack.implementation}-${stack.engine}.png` });
        assert.deepEqual(problems, []);
        await alice.close();
        await bob.close();
      });

      it('a tab talks with msrpd listen and a client over TCP; 10 MB each way', async () => {
        const alice = await tab('alice');
        const tcp = relay.server.listeners[0]?.uri ?? '';
        const listening = shell.start(
          ['listen', '--relay', tcp, '--user', 'carol', '--password', 'secret', '--json', '-o', 'in', '-n', '2'],
          {},
        );
        const [, path] = await listening.says(/"path":(\[[^\]]*\])/);
        await alice.fill('#peer', (JSON.parse(path as string) as string[]).join(' '));
        await say(alice, 'Hello TCP');
        await listening.says(/"text":"Hello TCP"/);
        const there = randomBytes(SIZE);
        await choose(alice, 'tcp.bin', there);
        const [, file] = await listening.says(/"file":"([^"]+)"/);
        assert.equal(sha256(readFileSync(join(shell.folder, file as string))), sha256(there));
        assert.equal(await listening.exit, 0);
        await using bob = await MsrpClient.connect({ relay: tcp, user: 'bob', password: 'secret' });
        const to = await alice.inputValue('#path');
        const back = randomBytes(SIZE);
        const headers = [['Content-Disposition', 'attachment; filename="from-tcp.bin"']] as const;
        await bob.send({ to, contentType: 'application/octet-stream', body: back, headers, successReport: true });
        assert.equal(await received(alice, 'from-tcp.bin'), sha256(back));
        await alice.close();
      });

      it('the network goes and comes back: so does the tab, with another path', async () => {
        const alice = await tab('alice');
        const before = await alice.inputValue('#path');
        network.cut();
        await alice.waitForSelector('#status[data-state=connecting]');
        network.mend();
        await alice.waitForSelector('#status[data-state=online]');
        const path = await alice.inputValue('#path');
        assert.notEqual(path, before);
        await using bob = await MsrpClient.connect({
          relay: relay.server.listeners[0]?.uri ?? '',
          user: 'bob',
          password: 'secret',
        });
        await assert.rejects(bob.send({ to: before, contentType: 'text/plain', body: 'too late' }), /481/);
        await bob.send({ to: path, contentType: 'text/plain', body: 'welcome back', successReport: true });
        await alice.getByText('welcome back').waitFor();
        await alice.close();
      });

      it('a wrong password is told; a page of another origin, and another subprotocol, do not get in', async () => {
        const alice = await context.newPage();
        await alice.goto(urlOf(page));
        await alice.fill('#user', 'alice');
        await alice.fill('#password', 'wrong');
        await alice.click('#login button');
        await alice.getByText('wrong credentials').waitFor();
        const url = `ws://127.0.0.1:${network.port}/`;
        const attempt = (from: Page, protocols: string[]): Promise<string> =>
          from.evaluate(
            ([address, names]) =>
              new Promise<string>((resolve) => {
                const socket = new WebSocket(address as string, names as string[]);
                socket.onopen = () => resolve(`open ${socket.protocol}`);
                socket.onclose = ({ code }) => resolve(`closed ${code}`);
              }),
            [url, protocols] as const,
          );
        assert.equal(await attempt(alice, ['msrp']), 'open msrp');
        assert.equal(await attempt(alice, ['sip', 'msrp']), 'open msrp');
        assert.equal(await attempt(alice, ['sip']), 'closed 1006');
        assert.equal(await attempt(alice, []), 'closed 1006');
        await alice.goto(urlOf(wrongPage));
        assert.equal(await attempt(alice, ['msrp']), 'closed 1006');
        const origins = relay.lines.filter((line) => line['msg'] === 'WebSocket refused').map((line) => line['origin']);
        assert.ok(origins.includes(urlOf(wrongPage)), JSON.stringify(origins));
        await alice.close();
      });
    });
  }
});

function urlOf(server: { address(): AddressInfo | string | null }): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What lies between a browser and the relay, and can go away. */
class Network {
  target = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  static async start(): Promise<Network> {
    const network = new Network();
    await within('the network', new Promise<void>((resolve) => network.#server.listen(0, '127.0.0.1', resolve)));
    return network;
  }

  private constructor() {
    this.#server = createServer((near) => {
      if (this.#isCut) {
        near.resetAndDestroy();
        return;
      }
      const far = connect(this.target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far);
      far.pipe(near);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }
}
