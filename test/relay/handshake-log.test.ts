import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { ClosedEvent } from '../../src/engine/engine.ts';
import { HandshakeLog } from '../../src/relay/handshake-log.ts';

/** A log of failed handshakes, its lines, and time that only the test moves. */
class LogBench {
  readonly lines: Record<string, unknown>[] = [];
  nowMs = 5000;
  readonly log: HandshakeLog;

  constructor() {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        const { level: _level, time: _time, ...line } = JSON.parse(chunk.toString()) as Record<string, unknown>;
        this.lines.push(line);
        done();
      },
    });
    this.log = new HandshakeLog(pino({ base: null }, sink), () => this.nowMs);
  }

  fail(event: Partial<ClosedEvent> & { readonly address?: string } = {}): void {
    this.log.note({
      type: 'closed',
      connection: 1,
      direction: 'in',
      remote: { address: event.address ?? '192.0.2.7', port: 40_000 },
      reason: 'tls_handshake_failed',
      detail: 'unknown_ca: what the library says',
      handshake: 'unknown_ca',
      tlsDomain: 'default',
      bytesIn: 0,
      bytesOut: 0,
      ...event,
    });
  }

  /** Seconds go by, with a look each. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.nowMs += 1000;
      this.log.sweep();
    }
  }
}

const FIRST = {
  direction: 'in',
  address: '192.0.2.7',
  tlsDomain: 'default',
  handshake: 'unknown_ca',
  port: 40_000,
  detail: 'unknown_ca: what the library says',
  msg: 'TLS handshake failed',
};
const { port: _port, detail: _detail, ...KIND } = FIRST;

describe('log of failed handshakes', () => {
  it('a burst of 500 is one line at once, and one with their number', () => {
    const bench = new LogBench();
    // Whenever the burst begins, the looks are somewhere within it.
    for (let i = 0; i < 500; i++) {
      bench.fail();
      if (i % 100 === 50) bench.pass(1);
    }
    assert.deepEqual(bench.lines, [FIRST]);
    bench.pass(60);
    assert.deepEqual(bench.lines, [FIRST, { ...KIND, count: 499, msg: 'TLS handshakes failed' }]);
  });

  it('one that is alone is one line; the next of its kind is told at once again when it was quiet meanwhile', () => {
    const bench = new LogBench();
    bench.fail();
    bench.pass(10);
    bench.fail();
    assert.deepEqual(bench.lines, [FIRST, FIRST]);
  });

  it('what goes on is told every 10 s', () => {
    const bench = new LogBench();
    for (let i = 0; i < 35; i++) {
      bench.fail();
      bench.pass(1);
    }
    assert.deepEqual(
      bench.lines.map(({ count }) => count),
      [undefined, 9, 10, 10],
    );
  });

  it('peers, TLS domains, reasons and directions are told apart', () => {
    const bench = new LogBench();
    for (let i = 0; i < 3; i++) {
      bench.fail();
      bench.fail({ address: '192.0.2.8' });
      bench.fail({ tlsDomain: 'chat' });
      bench.fail({ handshake: 'timeout', reason: 'tls_handshake_timeout' });
      bench.fail({ direction: 'out' });
    }
    assert.equal(bench.lines.length, 5);
    bench.log.flush();
    assert.deepEqual(
      bench.lines.slice(5).map(({ count }) => count),
      [2, 2, 2, 2, 2],
    );
  });

  it('of many peers a hundred are told apart, the rest is counted; the memory of them has a bound', () => {
    const bench = new LogBench();
    for (let i = 0; i < 500; i++) bench.fail({ address: `2001:db8::${i.toString(16)}` });
    assert.equal(bench.lines.length, 100);
    bench.pass(10);
    assert.deepEqual(bench.lines.slice(100), [{ count: 400, msg: 'TLS handshakes of other peers failed' }]);
    // They are forgotten: others are told.
    bench.fail();
    assert.deepEqual(bench.lines.at(-1), FIRST);
  });

  it('what was not told yet is told at the end', () => {
    const bench = new LogBench();
    for (let i = 0; i < 7; i++) bench.fail();
    bench.log.flush();
    assert.equal(bench.lines.at(-1)?.['count'], 6);
    bench.log.flush();
    assert.equal(bench.lines.length, 2);
  });
});
