import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CLOSE_REASONS } from '../../src/engine/engine.ts';
import { frameEnd } from '../../src/frame/frame-end.ts';
import { codeOf } from '../../src/ws/close-code.ts';
import { MessageRate } from '../../src/ws/message-rate.ts';
import { plainAddress } from '../../src/ws/upgrade.ts';
import { isIPv4, isIPv6 } from '../../src/browser/node-net.ts';
import { isIPv4 as nodeIsIPv4, isIPv6 as nodeIsIPv6 } from 'node:net';
import { frame } from '../engine/harness.ts';

describe('parts of WebSocket', () => {
  it('the end of a frame is its own end-line, whatever its body holds', () => {
    const one = frame('abcd', 'SEND', 'x', 'y', [], 'body\r\n-------other$\r\n\r\n-------abcd?\r\n');
    const two = frame('efgh', 'FROB', 'x', 'y');
    const bytes = Buffer.from(one + two);
    assert.equal(frameEnd(bytes, 0, bytes.length), one.length);
    assert.equal(frameEnd(bytes, one.length, bytes.length), bytes.length);
    for (let cut = 0; cut < one.length; cut++) assert.equal(frameEnd(bytes, 0, cut), -1, `${cut}`);
    for (const text of [
      '',
      'MSRP ',
      'MSRP  SEND\r\n-------$\r\n',
      `MSRP ${'x'.repeat(40)} SEND\r\n`,
      'GET / HTTP/1.1\r\n\r\n',
    ])
      assert.equal(frameEnd(Buffer.from(text), 0, text.length), -1, text);
  });

  it('a rate admits so many at once, and as many a second', () => {
    let nowMs = 1000;
    const rate = new MessageRate(10, () => nowMs);
    const admitted = (): number => {
      let count = 0;
      while (count < 100 && rate.admits()) count++;
      return count;
    };
    assert.equal(admitted(), 10);
    nowMs += 250;
    assert.equal(admitted(), 2);
    nowMs += 60_000;
    assert.equal(admitted(), 10);
    assert.equal(new MessageRate(0, () => nowMs).admits(), true);
  });

  it('addresses have one form', () => {
    assert.equal(plainAddress('0000:0000:0000:0000:0000:ffff:7f00:0001'), '127.0.0.1');
    assert.equal(plainAddress('2001:0db8:0000:0000:0000:0000:0000:0001'), '2001:db8::1');
    assert.equal(plainAddress('192.0.2.1'), '192.0.2.1');
    assert.equal(plainAddress('unknown'), 'unknown');
  });

  it('a browser knows the addresses that Node knows', () => {
    for (const text of ['127.0.0.1', '256.0.0.1', '1.2.3', '01.2.3.4', '1.2.3.4.5', '', 'a.b.c.d', '1.2.3.-4'])
      assert.equal(isIPv4(text), nodeIsIPv4(text), text);
    for (const text of ['::1', '2001:db8::1', '::ffff:1.2.3.4', '1::2::3', ':1', 'g::1', '', '1.2.3.4', 'a', '[::1]'])
      assert.equal(isIPv6(text), nodeIsIPv6(text), text);
  });

  it('docs/websocket.md has the close code of each reason', () => {
    const text = readFileSync(new URL('../../docs/websocket.md', import.meta.url), 'utf8');
    const [, table] = /\| the engine has closed for \| code \|\n\|---\|---\|\n([\s\S]*?)\n\n/.exec(text) ?? [];
    const codes = new Map<string, number>();
    for (const [, reasons, code] of (table as string).matchAll(/^\| (.*) \| .*?(\d{4})\)? \|$/gm))
      for (const [, reason] of (reasons as string).matchAll(/`(\w+)`/g)) codes.set(reason as string, Number(code));
    assert.ok(codes.size > 10, `${codes.size}`);
    for (const reason of CLOSE_REASONS) {
      if (reason === 'websocket_limit') continue;
      assert.equal(codes.get(reason) ?? 1011, codeOf(reason) ?? 1006, reason);
    }
  });
});
