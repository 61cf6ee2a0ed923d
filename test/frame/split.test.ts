import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FRAMERS } from './framers.ts';
import type { Framer } from '../../src/frame/framer.ts';
import { collect, everywhere } from './collect.ts';
import type { Collected } from './collect.ts';
import { frame, hostile, mutated, stream } from './streams.ts';

for (const { name: framer, make } of FRAMERS) {
  describe(`${framer}: splitting the input anywhere changes nothing (architecture I1)`, () => {
    for (const [name, arbitrary, runs] of [
      ['valid', stream, 400],
      ['mutated', mutated, 800],
      ['hostile', hostile, 800],
    ] as const) {
      it(`${name} streams`, () => {
        fc.assert(
          fc.property(arbitrary, fc.array(fc.nat(), { maxLength: 8 }), fc.boolean(), (bytes, cuts, strict) => {
            const start = (): Framer => make({ strict });
            const whole = strip(collect(start(), bytes, []));
            assert.deepEqual(strip(collect(start(), bytes, everywhere(bytes))), whole);
            assert.deepEqual(
              strip(
                collect(
                  start(),
                  bytes,
                  cuts.map((cut) => cut % (bytes.length + 1)),
                ),
              ),
              whole,
            );
            if (bytes.length <= 512) {
              for (const cut of everywhere(bytes)) assert.deepEqual(strip(collect(start(), bytes, [cut])), whole);
            }
          }),
          { numRuns: runs },
        );
      });
    }

    it('valid streams are framed whole', () => {
      fc.assert(
        fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), (frames) => {
          const result = collect(make({}), Buffer.concat(frames), []);
          assert.equal(result.fatal, undefined);
          assert.equal(result.frames.length, frames.length);
          assert.equal(result.rest, 0);
        }),
        { numRuns: 300 },
      );
    });
  });

  describe(`${framer}: bounds`, () => {
    it('D-07: at most 44 bytes of a streamed body are held back', () => {
      const tid = 'A'.repeat(32);
      const almost = `\r\n-------${tid}$\r`;
      const text = `MSRP ${tid} SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nMessage-ID: m123\r\nContent-Type: a/b\r\n\r\n${'z'.repeat(2048)}${almost.repeat(200)}\r\n-------${tid}$\r\n`;
      const bytes = Buffer.from(text);
      const result = collect(make({}), bytes, everywhere(bytes));
      assert.equal(result.frames.length, 1);
      assert.equal(result.frames[0]?.flag, '$');
      assert.ok(result.mostHeld <= 44, `${result.mostHeld}`);
      assert.ok(result.mostHeld >= 43);
    });

    it('D-04: what is kept of a frame is bounded, and then the stream is given up', () => {
      const endless = Buffer.from(`MSRP abcd SEND\r\n${'X-Header: value\r\n'.repeat(9000)}`);
      const result = collect(
        make({}),
        endless,
        everywhere(endless).filter((at) => at % 1000 === 0),
      );
      assert.equal(result.fatal?.code, 'E_LIMIT');
      assert.ok(result.mostKept <= 65536 + 8192 + 1000);
      const line = Buffer.from(`MSRP abcd SEND\r\nX: ${'y'.repeat(20000)}`);
      assert.equal(
        collect(
          make({}),
          line,
          everywhere(line).filter((at) => at % 100 === 0),
        ).fatal?.code,
        'E_LIMIT',
      );
    });

    it('bodies full of lookalikes are passed on in as many records as there are reads', () => {
      for (const unit of [
        '-',
        '\r\n-------',
        '\r\n-------abc',
        '\r\n-------abcd',
        '\r\n-------abcdX\r\n',
        '\r',
        '\r\n',
      ]) {
        const size = 4 * 1024 * 1024;
        const head =
          'MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nContent-Type: a/b\r\n\r\n';
        const bytes = Buffer.concat([
          Buffer.from(head),
          Buffer.alloc(size, unit),
          Buffer.from('!\r\n-------abcd$\r\n'),
        ]);
        const cuts = Array.from({ length: 128 }, (_, i) => (i * bytes.length) >> 7);
        const result = collect(make({}), bytes, cuts);
        assert.equal(result.frames.length, 1, JSON.stringify(unit));
        assert.equal(result.frames[0]?.body?.length, size + 1);
        assert.ok(result.scans <= 3 * 129, `${result.scans}`);
      }
    });
  });
}

/** Without what depends on the pieces. */
function strip({ frames, fatal, rest }: Collected): unknown {
  // What is left of a frame that has not ended may have been streamed, or not.
  const ended = frames.filter(({ flag }) => flag !== '\0');
  return { frames: ended, fatal, rest: fatal === undefined && ended.length === frames.length ? rest : 0 };
}
