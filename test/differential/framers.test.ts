import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Framer } from '../../src/frame/framer.ts';
import { NativeFramer } from '../../src/frame/native-framer.ts';
import { BIT, FRAME_ERROR, KIND, R } from '../../src/frame/record.ts';
import { TsFramer } from '../../src/frame/ts-framer.ts';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import type { DecoderOptions } from '../../src/syntax/decoder.ts';
import { theAddon } from '../addon/native.ts';
import { hostile, mutate, mutated, stream } from '../frame/streams.ts';
import { varied } from '../frame/varied.ts';
import { VECTORS, bytesOf } from '../frame/vectors.ts';
import { CUT_EVERYWHERE, Difference, Placed, compare, cutsEverywhere, pieces, seen } from './lockstep.ts';

const addon = theAddon();

/** Of the whole run; with another one: MSRPD_SEED=… npm test test/differential/framers.test.ts */
const SEED = Number(process.env['MSRPD_SEED'] ?? 20_260_101);

const SMALL = { lineBytes: 60, headerLines: 4, headerBytes: 200, nonSendBodyBytes: 8 };
const NONE = { lineBytes: 0, headerLines: 0, headerBytes: 0, nonSendBodyBytes: 0 };

/** Ways to make a framer; each stream takes two of them, so that all of them see a share of every kind of stream. */
const VARIANTS: readonly DecoderOptions[] = [
  { pathUris: 16 },
  { strict: true, pathUris: 16 },
  { streamAfterBytes: 1, pathUris: 2 },
  { streamAfterBytes: 0, pathUris: 0 },
  { streamAfterBytes: Infinity, strict: true, pathUris: 2 },
  { limits: SMALL, streamAfterBytes: 16, pathUris: 16 },
  { limits: SMALL, strict: true, pathUris: 0 },
  { limits: NONE, streamAfterBytes: 16, pathUris: 16 },
  {},
  { strict: true },
  { streamAfterBytes: 1 },
  { limits: SMALL, streamAfterBytes: 0 },
  { limits: NONE, strict: true, streamAfterBytes: Infinity },
];

interface Pair {
  readonly one: Framer;
  readonly other: Framer;
}

function pair(options: DecoderOptions): Pair {
  const one = options.pathUris === undefined ? new TsFramer(options) : new TsDecoder(options);
  return { one, other: new NativeFramer(addon.Framer, options) };
}

let streams = 0;
let runs = 0;

/** In one piece, byte by byte (long ones: in random pieces), and in two at one random place, one pair of framers after another. */
function tryStream(
  bytes: Buffer,
  options: DecoderOptions,
  random: number,
  make: (options: DecoderOptions) => Pair,
): void {
  streams++;
  const placed = new Placed(bytes);
  const { length } = bytes;
  let framers = make(options);
  const run = (edges: Iterable<number>): void => {
    runs++;
    // The same framers go on where a frame has ended: they know paths by then.
    if (!compare(framers.one, framers.other, placed, edges)) framers = make(options);
  };
  run([length]);
  run(length <= CUT_EVERYWHERE ? cutsEverywhere(length) : pieces(length, random));
  run([random % (length + 1), length]);
}

/** Streams of one run of a property: what fast-check does for a run would cost more than comparing one stream. */
const BATCH = 20;

function tryMany(arbitrary: fc.Arbitrary<Buffer>, count: number, make = pair): void {
  let last = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(arbitrary, fc.nat()), { minLength: BATCH, maxLength: BATCH }), (batch) => {
      for (const [bytes, random] of batch) {
        tryStream(bytes, VARIANTS[last++ % VARIANTS.length] as DecoderOptions, random, make);
      }
    }),
    { numRuns: count / BATCH, seed: SEED, endOnFailure: true },
  );
}

describe('both framers say the same, word for word', () => {
  const KINDS = [
    ['valid', stream, 20_000],
    ['with headers of every kind', varied, 40_000],
    ['with headers of every kind, mutated', mutate(varied), 20_000],
    ['valid, mutated', mutated, 20_000],
    ['hostile', hostile, 20_000],
  ] as const;
  /** Tests of this group that came to their end. */
  let ended = 0;

  for (const [name, arbitrary, count] of KINDS) {
    it(`${count} streams: ${name}`, (context) => {
      context.diagnostic(`seed ${SEED}`);
      tryMany(arbitrary, count);
      ended++;
    });
  }

  it('all test vectors in all variants, cut in two everywhere', () => {
    for (const options of VARIANTS) {
      for (const vector of VECTORS) {
        const bytes = bytesOf(vector);
        tryStream(bytes, options, bytes.length >> 1, pair);
        const placed = new Placed(bytes);
        let framers = pair(options);
        for (let cut = 0; cut <= Math.min(bytes.length, CUT_EVERYWHERE); cut++) {
          if (!compare(framers.one, framers.other, placed, [cut, bytes.length])) framers = pair(options);
        }
      }
    }
    ended++;
  });

  it('1,000 streams with headers of every kind, cut in two everywhere', () => {
    let last = 0;
    fc.assert(
      fc.property(varied, (bytes) => {
        streams++;
        const options = VARIANTS[last++ % VARIANTS.length] as DecoderOptions;
        const placed = new Placed(bytes);
        let framers = pair(options);
        for (let cut = 0; cut <= Math.min(bytes.length, CUT_EVERYWHERE); cut++) {
          if (!compare(framers.one, framers.other, placed, [cut, bytes.length])) framers = pair(options);
        }
      }),
      { numRuns: 1000, seed: SEED, endOnFailure: true },
    );
    ended++;
  });

  after(() => {
    // When tests were chosen by name, there is less to be seen.
    if (ended < KINDS.length + 2) return;
    assert.ok(streams >= 100_000, `${streams} streams, ${runs} runs`);
    assert.deepEqual(seen.kinds, new Set(Object.values(KIND)));
    assert.deepEqual(seen.issues, new Set([0, ...Object.values(FRAME_ERROR)]));
    assert.equal(
      seen.bits,
      Object.values(BIT).reduce((all, bit) => all | bit, 0),
    );
  });
});

describe('a difference is found', () => {
  /** Changes one word of a record now and then, as a slip of the pen in one implementation would. */
  class Slip implements Framer {
    readonly #framer: Framer;
    readonly #word: number;

    constructor(framer: Framer, word: number) {
      this.#framer = framer;
      this.#word = word;
    }

    get consumed(): number {
      return this.#framer.consumed;
    }

    get pending(): boolean {
      return this.#framer.pending;
    }

    get streaming(): boolean {
      return this.#framer.streaming;
    }

    scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
      const count = this.#framer.scan(bytes, from, to, records);
      if (count > 0) records[this.#word] = (records[this.#word] as number) ^ 1;
      return count;
    }

    forget(): void {
      this.#framer.forget();
    }
  }

  for (const [name, word] of Object.entries(R)) {
    it(`in ${name}`, () => {
      const make = (options: DecoderOptions): Pair => {
        const { one, other } = pair(options);
        return { one: new Slip(one, word), other };
      };
      assert.throws(
        () => tryMany(varied, BATCH, make),
        (error: Error) => error.cause instanceof Difference,
      );
    });
  }

  it('in one byte of the input', () => {
    const bytes = bytesOf(VECTORS[0]!);
    const changed = Buffer.from(bytes);
    changed[changed.length - 4] = 0x2b;
    const { one, other } = pair({});
    const deaf: Framer = {
      consumed: 0,
      pending: false,
      streaming: false,
      forget: () => undefined,
      scan: (_bytes, from, to, records) => one.scan(changed, from, to, records),
    };
    assert.throws(() => compare(deaf, other, new Placed(bytes), [bytes.length]), Difference);
  });
});
