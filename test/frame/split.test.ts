import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import { collect, everywhere } from './collect.ts';
import type { Collected } from './collect.ts';
import { VECTORS, bytesOf } from './vectors.ts';

const TID = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}$/);

/** Bodies that look like ends of frames. */
const body = (tid: string): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
        fc
          .constantFrom(
            '\r\n',
            '\r',
            '\n',
            '-------',
            '------',
            '--------',
            tid,
            `${tid}$`,
            `\r\n-------${tid}`,
            `\r\n-------${tid}$`,
          )
          .map((text) => Buffer.from(text)),
        fc
          .constantFrom(`\r\n-------${tid}x$\r\n`, `\r\n-------${tid.slice(0, -1)}$\r\n`, 'x'.repeat(700))
          .map((text) => Buffer.from(text)),
      ),
      { maxLength: 14 },
    )
    .map((parts) => Buffer.concat(parts))
    .filter((bytes) => {
      const text = `\r\n${bytes.toString('latin1')}\r\n`;
      return !['$', '+', '#'].some((flag) => text.includes(`\r\n-------${tid}${flag}\r\n`));
    });

const frame: fc.Arbitrary<Buffer> = fc
  .tuple(
    TID,
    fc.constantFrom('SEND', 'SEND', 'SEND', 'REPORT', 'AUTH', '200 OK', '413'),
    fc.constantFrom('$', '+', '#'),
    fc.nat(3),
  )
  .chain(([tid, word, flag, extra]) =>
    fc.tuple(fc.constant({ tid, word, flag, extra }), word === 'SEND' ? fc.option(body(tid)) : fc.constant(null)),
  )
  .map(([{ tid, word, flag, extra }, octets]) => {
    const head =
      `MSRP ${tid} ${word}\r\nTo-Path: msrp://a.example:1/s${extra};tcp msrps://[::1]:2/x;tcp\r\nFrom-Path: msrp://b.example:3/y;tcp\r\n` +
      'X-Any: ünï code\r\n'.repeat(extra);
    if (octets === null) return Buffer.from(`${head}-------${tid}${/^\d/.test(word) ? '$' : flag}\r\n`);
    const rest = `Message-ID: m123\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n`;
    return Buffer.concat([Buffer.from(head + rest), octets, Buffer.from(`\r\n-------${tid}${flag}\r\n`)]);
  });

const stream = fc.array(frame, { minLength: 1, maxLength: 4 }).map((frames) => Buffer.concat(frames));

const valid = VECTORS.filter(({ expected }) => expected.kind === 'request' || expected.kind === 'response').map(
  bytesOf,
);

/** Single-byte changes, losses and insertions. */
const mutated = fc
  .tuple(
    fc.oneof(stream, fc.constantFrom(...valid)),
    fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.nat(255)), { minLength: 1, maxLength: 3 }),
  )
  .map(([bytes, changes]) => {
    let result = Buffer.from(bytes);
    for (const [where, how, byte] of changes) {
      const at = where % result.length;
      if (how === 0) result[at] = byte;
      else if (how === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)]);
      else result = Buffer.concat([result.subarray(0, at), Buffer.from([byte]), result.subarray(at)]);
    }
    return result;
  });

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'MSRP ',
        'MSRP abcd ',
        'SEND\r\n',
        'To-Path: ',
        'msrp://a:1/x;tcp',
        '\r\n',
        '-------abcd$\r\n',
        ': ',
        ' ',
        '\t',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Buffer.from(`MSRP abcd ${parts.join('')}`, 'latin1'));

describe('architecture I1: splitting the input anywhere changes nothing', () => {
  for (const [name, arbitrary, runs] of [
    ['valid', stream, 400],
    ['mutated', mutated, 800],
    ['hostile', hostile, 800],
  ] as const) {
    it(`${name} streams`, () => {
      fc.assert(
        fc.property(arbitrary, fc.array(fc.nat(), { maxLength: 8 }), fc.boolean(), (bytes, cuts, strict) => {
          const make = (): TsDecoder => new TsDecoder({ strict });
          const whole = strip(collect(make(), bytes, []));
          assert.deepEqual(strip(collect(make(), bytes, everywhere(bytes))), whole);
          assert.deepEqual(
            strip(
              collect(
                make(),
                bytes,
                cuts.map((cut) => cut % (bytes.length + 1)),
              ),
            ),
            whole,
          );
          if (bytes.length <= 512) {
            for (const cut of everywhere(bytes)) assert.deepEqual(strip(collect(make(), bytes, [cut])), whole);
          }
        }),
        { numRuns: runs },
      );
    });
  }

  it('valid streams are framed whole', () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), (frames) => {
        const result = collect(new TsDecoder(), Buffer.concat(frames), []);
        assert.equal(result.fatal, undefined);
        assert.equal(result.frames.length, frames.length);
        assert.equal(result.rest, 0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('bounds', () => {
  it('D-07: at most 44 bytes of a streamed body are held back', () => {
    const tid = 'A'.repeat(32);
    const almost = `\r\n-------${tid}$\r`;
    const text = `MSRP ${tid} SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nMessage-ID: m123\r\nContent-Type: a/b\r\n\r\n${'z'.repeat(2048)}${almost.repeat(200)}\r\n-------${tid}$\r\n`;
    const bytes = Buffer.from(text);
    const result = collect(new TsDecoder(), bytes, everywhere(bytes));
    assert.equal(result.frames.length, 1);
    assert.equal(result.frames[0]?.flag, '$');
    assert.ok(result.mostHeld <= 44, `${result.mostHeld}`);
    assert.ok(result.mostHeld >= 43);
  });

  it('D-04: what is kept of a frame is bounded, and then the stream is given up', () => {
    const endless = Buffer.from(`MSRP abcd SEND\r\n${'X-Header: value\r\n'.repeat(9000)}`);
    const result = collect(
      new TsDecoder(),
      endless,
      everywhere(endless).filter((at) => at % 1000 === 0),
    );
    assert.equal(result.fatal?.code, 'E_LIMIT');
    assert.ok(result.mostKept <= 65536 + 8192 + 1000);
    const line = Buffer.from(`MSRP abcd SEND\r\nX: ${'y'.repeat(20000)}`);
    assert.equal(
      collect(
        new TsDecoder(),
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
      const bytes = Buffer.concat([Buffer.from(head), Buffer.alloc(size, unit), Buffer.from('!\r\n-------abcd$\r\n')]);
      const cuts = Array.from({ length: 128 }, (_, i) => (i * bytes.length) >> 7);
      const result = collect(new TsDecoder(), bytes, cuts);
      assert.equal(result.frames.length, 1, JSON.stringify(unit));
      assert.equal(result.frames[0]?.body?.length, size + 1);
      assert.ok(result.scans <= 3 * 129, `${result.scans}`);
    }
  });
});

/** Without what depends on the pieces. */
function strip({ frames, fatal, rest }: Collected): unknown {
  // What is left of a frame that has not ended may have been streamed, or not.
  const ended = frames.filter(({ flag }) => flag !== '\0');
  return { frames: ended, fatal, rest: fatal === undefined && ended.length === frames.length ? rest : 0 };
}
