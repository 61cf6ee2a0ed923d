import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import { NO_BROWSER, launch, shots } from '../browser/page.ts';
import { PLAIN, file, startRelay } from '../listen/fixture.ts';
import type { Fixture } from '../listen/fixture.ts';

describe('the status page in Chromium', { skip: NO_BROWSER }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());

  /** A page whose every mistake, and every request to anywhere else, fails the test. */
  async function open(fixture: Fixture, scheme: 'light' | 'dark', problems: string[]): Promise<Page> {
    const page = await browser.newPage({ colorScheme: scheme, viewport: { width: 1180, height: 1080 } });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(fixture.server.control!) && !request.url().startsWith('data:'))
        problems.push(`asked ${request.url()}`);
    });
    await page.goto(fixture.server.control!);
    return page;
  }

  it('shows connections, sessions, throughput, latency and engine; in dark and light; tracing by keyboard', async () => {
    const problems: string[] = [];
    const traced = PLAIN.replace('msrp: {', 'msrp: {trace_destination: x, ');
    const hep = 'hep: {hep_id: {x: "127.0.0.1:9;transport=udp"}}\ncontrol: {listen: "http:127.0.0.1:0"}\n';
    await using fixture = await startRelay(
      traced + hep,
      ['alice', 'bob', 'carol'].map((name) => [name, '', { password: 'secret' }] as const),
    );
    await using listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
    const connect = (user: string): Promise<MsrpClient> =>
      MsrpClient.connect({ relay: fixture.uri, user, password: 'secret' });
    await using alice = await connect('alice');
    await using bob = await connect('bob');
    await using carol = await connect('carol');
    assert.ok(bob.path.length + carol.path.length > 0);
    const send = async (): Promise<void> => {
      for (let i = 0; i < 50; i++)
        await alice.send({ to: [listener.uri], contentType: 'text/plain', body: 'x'.repeat(400 + 37 * i) });
    };
    await send();
    const page = await open(fixture, 'light', problems);
    await page.waitForSelector('#state[data-state=ready]');
    assert.equal(await page.textContent('#connections'), '4');
    assert.equal(await page.textContent('#sessions'), '3');
    assert.match((await page.textContent('#engine')) ?? '', /^engine (native|ts), framer (native|ts)$/);
    assert.match((await page.textContent('#session-rows')) ?? '', /alice@127\.0\.0\.1/);
    assert.match((await page.textContent('#frames-note')) ?? '', /^50 since the start$/);
    assert.match((await page.textContent('#histogram-note')) ?? '', /^50 answered/);
    const secret = alice.path[0]!.split('/')[3]!.split(';')[0]!;
    assert.ok(!(await page.content()).includes(secret), 'no whole session-id');
    // Three more answers, so that there is a line to be drawn.
    for (let i = 0; i < 3; i++) {
      await send();
      await page.waitForResponse((response) => response.url().endsWith('/rpc'));
    }
    await page.waitForFunction(() =>
      /[1-9]\S* [KM]?B\/s in/.test(document.getElementById('throughput-note')!.textContent ?? ''),
    );
    assert.ok((await page.locator('#throughput path').first().getAttribute('d'))!.includes('L'));
    await page.screenshot({ path: `${shots}/status-light.png`, fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.screenshot({ path: `${shots}/status-dark.png`, fullPage: true });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: `${shots}/status-phone.png` });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} px too wide for a telephone`);

    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the figures');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'trace');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#trace[aria-pressed=true]');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await page.waitForSelector('#pause[aria-pressed=true]');
    assert.deepEqual(problems, []);
    await page.close();
  });

  it('asks for the token, tells a wrong one, and says when the relay is away', async () => {
    const problems: string[] = [];
    const token = 'correct-horse-battery';
    const control = `control: {listen: "http:127.0.0.1:0", token_file: ${file('page-token', token)}}\n`;
    const fixture = await startRelay(PLAIN + control);
    try {
      const page = await open(fixture, 'dark', problems);
      await page.waitForSelector('#login:not([hidden])');
      assert.equal(await page.evaluate(() => document.activeElement?.id), 'token');
      assert.equal(await page.isVisible('#main'), false);
      await page.keyboard.type('wrong-horse-battery');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.getElementById('login-problem')!.textContent !== '');
      await page.screenshot({ path: `${shots}/status-token.png` });
      await page.fill('#token', token);
      await page.keyboard.press('Enter');
      await page.waitForSelector('#main:not([hidden])');
      assert.equal(await page.isVisible('#login'), false);
      assert.deepEqual(problems, []);
      await fixture.server.stop();
      await page.waitForSelector('#state[data-state=away]');
      await page.close();
    } finally {
      await fixture.server.stop();
    }
  });
});
