import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MixedFramer } from '../../src/frame/mixed-framer.ts';
import { BIT, KIND, R, RECORD_WORDS } from '../../src/frame/record.ts';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import type { DecoderFactory } from '../../src/syntax/decoder.ts';
import { collect } from './collect.ts';
import { FRAMERS } from './framers.ts';
import { hostile, mutated, stream } from './streams.ts';
import { varied } from './varied.ts';

const frameOf = (tid: string, path: string, body = 20): Buffer =>
  Buffer.from(
    `MSRP ${tid} SEND\r\nTo-Path: msrp://a:1/${path};tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nMessage-ID: m123\r\n` +
      `Content-Type: a/b\r\n\r\n${'z'.repeat(body)}\r\n-------${tid}$\r\n`,
  );

/** Counts what each of two framers was given. */
function counted(fromBytes: number): { framer: MixedFramer; scans: { small: number; large: number } } {
  const scans = { small: 0, large: 0 };
  const make = (name: 'small' | 'large'): TsDecoder => {
    const decoder = new TsDecoder();
    const scan = decoder.scan.bind(decoder);
    decoder.scan = (...args) => {
      scans[name]++;
      return scan(...args);
    };
    return decoder;
  };
  return { framer: new MixedFramer(make('small'), () => make('large'), fromBytes), scans };
}

describe('two framers of one stream', () => {
  const records = new Uint32Array(4 * RECORD_WORDS);

  it('small inputs go to one, large ones to the other, which is not made before it is needed', () => {
    let made = 0;
    const large = (): TsDecoder => {
      made++;
      return new TsDecoder();
    };
    const framer = new MixedFramer(new TsDecoder(), large, 1000);
    const small = frameOf('abcd', 'x');
    framer.scan(small, 0, small.length, records);
    assert.equal(made, 0);
    const long = frameOf('abcd', 'x', 1000);
    for (let i = 0; i < 3; i++) assert.equal(framer.scan(long, 0, long.length, records), 1);
    assert.equal(made, 1);
  });

  it('whoever takes over says that paths are new; whoever goes on knows them', () => {
    const framer = new MixedFramer(new TsDecoder(), () => new TsDecoder(), 500);
    const bitsOf = (bytes: Buffer): string => {
      assert.equal(framer.scan(bytes, 0, bytes.length, records), 1);
      const bits = records[R.BITS] as number;
      return (bits & BIT.NEW_PATHS) !== 0 ? 'new' : (bits & BIT.SAME_PATHS) !== 0 ? 'same' : 'none';
    };
    const [small, large, other] = [frameOf('abcd', 'x'), frameOf('abcd', 'x', 500), frameOf('abcd', 'other')];
    assert.deepEqual([small, small, large, large, small, other, small, large].map(bitsOf), [
      'new',
      'same',
      'new',
      'same',
      'new',
      'new',
      'new',
      'new',
    ]);
    framer.forget();
    assert.equal(bitsOf(large), 'new');
  });

  it('a frame is finished by whoever has begun it, in one record; what follows goes to the other', () => {
    const { framer, scans } = counted(500);
    const first = frameOf('abcd', 'x', 600);
    const bytes = Buffer.concat([first, frameOf('efgh', 'x', 600), frameOf('ijkl', 'x', 600)]);
    assert.equal(framer.scan(bytes, 0, 30, records), 0);
    assert.ok(framer.pending);
    assert.equal(framer.consumed, 0);
    assert.deepEqual({ ...scans }, { small: 1, large: 0 });
    assert.equal(framer.scan(bytes, 0, bytes.length, records), 1);
    assert.equal(framer.consumed, first.length);
    assert.equal(records[R.END], first.length);
    assert.deepEqual({ ...scans }, { small: 2, large: 0 });
    assert.equal(framer.scan(bytes, first.length, bytes.length, records), 2);
    assert.deepEqual({ ...scans }, { small: 2, large: 1 });
    assert.equal(framer.consumed, bytes.length);
  });

  it('a SEND that is streamed stays where it began, however long', () => {
    const { framer, scans } = counted(3000);
    const bytes = frameOf('abcd', 'x', 9000);
    assert.equal(framer.scan(bytes, 0, 2900, records), 1);
    assert.equal(records[R.KIND], KIND.HEAD);
    assert.ok(framer.streaming);
    assert.equal(framer.scan(bytes, framer.consumed, bytes.length, records), 1);
    assert.equal(records[R.KIND], KIND.END);
    assert.deepEqual(scans, { small: 2, large: 0 });
  });

  it('an empty scan in the middle of a frame lets nobody take over', () => {
    const { framer, scans } = counted(100);
    const bytes = frameOf('abcd', 'x', 400);
    framer.scan(bytes, 0, 50, records);
    framer.scan(bytes, 0, 0, records);
    framer.scan(bytes, 0, bytes.length, new Uint32Array(0));
    assert.equal(framer.scan(bytes, 0, bytes.length, records), 1);
    assert.equal(scans.large, 0);
  });

  it('a stream that is lost stays lost', () => {
    for (const size of [10, 1000]) {
      const framer = new MixedFramer(new TsDecoder(), () => new TsDecoder(), 500);
      const bad = Buffer.alloc(size, 'x');
      assert.equal(framer.scan(bad, 0, bad.length, records), 1);
      assert.equal(records[R.KIND], KIND.ERROR);
      for (const body of [20, 2000]) {
        const good = frameOf('abcd', 'x', body);
        assert.equal(framer.scan(good, 0, good.length, records), 0);
      }
    }
  });

  /** Whatever the threshold and the pieces, the frames are those of one framer alone, and SAME_PATHS says what it says. */
  for (const { name, make } of FRAMERS) {
    it(`with ${name} for large inputs: any stream, any pieces, any threshold`, () => {
      fc.assert(
        fc.property(
          fc.oneof(stream, varied, mutated, hostile),
          fc.array(fc.nat(), { maxLength: 8 }),
          fc.nat(600),
          fc.constantFrom(1, 100, 2048, Infinity),
          (bytes, cuts, fromBytes, streamAfterBytes) => {
            const mixed: DecoderFactory = (options) =>
              new MixedFramer(new TsDecoder(options), () => make(options), fromBytes);
            const at = cuts.map((cut) => cut % (bytes.length + 1));
            const expected = collect(new TsDecoder({ streamAfterBytes }), bytes, at);
            const { scans: _expected, ...alone } = expected;
            const { scans: _actual, ...together } = collect(mixed({ streamAfterBytes }), bytes, at);
            assert.deepEqual(together, alone);
          },
        ),
        { numRuns: 3000 },
      );
    });

    it(`with ${name}: what has the same paths has them`, () => {
      const paths = fc.constantFrom('x', 'y', 'longer/one');
      const frames = fc.array(fc.tuple(paths, fc.constantFrom('SEND', '200'), fc.nat(400)), {
        minLength: 2,
        maxLength: 12,
      });
      let same = 0;
      fc.assert(
        fc.property(frames, fc.array(fc.nat(), { maxLength: 6 }), fc.nat(700), (list, cuts, fromBytes) => {
          const bytes = Buffer.concat(
            list.map(([path, word, body]) =>
              word === 'SEND'
                ? frameOf('abcd', path, body)
                : Buffer.from(
                    `MSRP abcd 200\r\nTo-Path: msrp://a:1/${path};tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n-------abcd$\r\n`,
                  ),
            ),
          );
          const framer = new MixedFramer(new TsDecoder(), () => make({}), fromBytes);
          const edges = [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b);
          const last: [string, string] = ['', ''];
          let at = 0;
          let seen = 0;
          for (const edge of edges) {
            for (;;) {
              const count = framer.scan(bytes, at, edge, records);
              at = framer.consumed;
              for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
                const bits = records[base + R.BITS] as number;
                const kind = bits & BIT.RESPONSE;
                const text = bytes.toString('latin1', records[base + R.TO_START], records[base + R.FROM_END]);
                if ((bits & BIT.NEW_PATHS) !== 0) last[kind] = text;
                else {
                  assert.ok((bits & BIT.SAME_PATHS) !== 0);
                  assert.equal(text, last[kind]);
                  same++;
                }
                assert.ok(
                  bytes.toString('latin1', records[base + R.SESSION_START], records[base + R.SESSION_END]) !== '',
                );
                seen++;
              }
              if (count === 0 || at === edge) break;
            }
          }
          assert.equal(seen, list.length);
        }),
        { numRuns: 3000 },
      );
      assert.ok(same > 1000, `${same}`);
    });
  }
});
