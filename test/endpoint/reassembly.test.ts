import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OctetRanges } from '../../src/endpoint/octet-ranges.ts';
import { MessageAssembly } from '../../src/endpoint/reassembly.ts';

const limits = { messageBytes: 100_000, pieces: 1000 };

/** Cuts of a message into chunks, some of them sent twice or overlapping, in any order. */
const chunks = fc
  .tuple(
    fc.uint8Array({ minLength: 1, maxLength: 400 }),
    fc.array(fc.tuple(fc.nat(399), fc.nat(60)), { maxLength: 12 }),
    fc.array(fc.nat(), { maxLength: 20 }),
  )
  .map(([body, extra, cuts]) => {
    const edges = [...new Set([0, ...cuts.map((cut) => cut % body.length), body.length])].sort((a, b) => a - b);
    const pieces = edges.slice(1).map((end, i) => [edges[i] as number, end] as const);
    for (const [at, length] of extra) {
      const from = at % body.length;
      pieces.push([from, Math.min(body.length, from + length)]);
    }
    return { body: Buffer.from(body), pieces };
  });

describe('reassembly (core C-083…C-086)', () => {
  it('any cut, any order, overlaps and repetitions give the same bytes, and not before all are there', () => {
    fc.assert(
      fc.property(
        chunks.chain(({ body, pieces }) =>
          fc.tuple(fc.constant(body), fc.shuffledSubarray(pieces, { minLength: pieces.length })),
        ),
        ([body, pieces]) => {
          const assembly = new MessageAssembly(limits);
          const have = new Set<number>();
          assert.ok(assembly.endAt(body.length, 1));
          for (const [from, to] of pieces) {
            assert.ok(assembly.add(from + 1, body.subarray(from, to)));
            for (let i = from; i < to; i++) have.add(i);
            assert.equal(assembly.complete, have.size === body.length);
            assert.equal(assembly.bytes, have.size, 'no octet is kept twice');
          }
          assert.deepEqual(assembly.body(), body);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('later octets win', () => {
    const assembly = new MessageAssembly(limits);
    assembly.add(1, Buffer.from('aaaaaaaa'));
    assembly.add(3, Buffer.from('BB'));
    assembly.add(8, Buffer.from('CCC'));
    assembly.endAt(1, 10);
    assert.equal(assembly.body().toString(), 'aaBBaaaCCC');
  });

  it('nothing is allocated for what is only announced; limits hold', () => {
    const assembly = new MessageAssembly({ messageBytes: 1000, pieces: 3 });
    assert.equal(assembly.add(1001, Buffer.from('x')), false);
    assert.equal(assembly.add(999, Buffer.from('xyz')), false);
    assert.equal(assembly.bytes, 0);
    assert.equal(assembly.add(900, Buffer.from('x')), true);
    assert.equal(assembly.add(800, Buffer.from('x')), true);
    assert.equal(assembly.add(700, Buffer.from('x')), true);
    assert.equal(assembly.add(600, Buffer.from('x')), false);
    assert.equal(assembly.bytes, 3);
    assert.equal(assembly.nextMissing, 1);
  });

  it('a message that comes backwards octet by octet is put together all the same', () => {
    const body = Buffer.from('the quick brown fox jumps over the lazy dog');
    const assembly = new MessageAssembly({ messageBytes: 1000, pieces: 8 });
    assembly.endAt(body.length, 1);
    for (let at = body.length; at >= 1; at--) assert.equal(assembly.add(at, body.subarray(at - 1, at)), true);
    assert.deepEqual(assembly.body(), body);
    assert.equal(assembly.bytes, body.length);
  });

  it('any octets anywhere: what is kept is what was taken, the last of each, within the limits', () => {
    const writes = fc.array(fc.tuple(fc.integer({ min: 1, max: 120 }), fc.uint8Array({ maxLength: 30 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(writes, fc.integer({ min: 1, max: 10 }), (list, pieces) => {
        const assembly = new MessageAssembly({ messageBytes: 100, pieces });
        const model = new Map<number, number>();
        for (const [start, octets] of list) {
          if (!assembly.add(start, octets)) continue;
          assert.ok(octets.length === 0 || start - 1 + octets.length <= 100);
          for (const [i, octet] of octets.entries()) model.set(start + i, octet);
        }
        assert.equal(assembly.bytes, model.size);
        let next = 1;
        while (model.has(next)) next++;
        assert.equal(assembly.nextMissing, next);
        assembly.endAt(next, 0);
        assert.equal(assembly.complete, true);
        assert.deepEqual(
          [...assembly.body()],
          Array.from({ length: next - 1 }, (_, i) => model.get(i + 1)),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('two ends that differ are a contradiction; an empty message is complete at once', () => {
    const assembly = new MessageAssembly(limits);
    assert.equal(assembly.endAt(1, 5), true);
    assert.equal(assembly.endAt(3, 3), true);
    assert.equal(assembly.endAt(1, 6), false);
    const empty = new MessageAssembly(limits);
    assert.equal(empty.endAt(1, 0), true);
    assert.equal(empty.complete, true);
    assert.equal(empty.body().length, 0);
  });
});

describe('octet ranges', () => {
  it('cover what was added, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat(15)), { maxLength: 20 }), (ranges) => {
        const octets = new OctetRanges(100);
        const have = new Set<number>();
        for (const [from, length] of ranges) {
          octets.add(from, from + length - 1);
          for (let i = from; i < from + length; i++) have.add(i);
        }
        for (let total = 0; total < 80; total++) {
          let all = true;
          for (let i = 1; i <= total; i++) all &&= have.has(i);
          assert.equal(octets.covers(total), all);
        }
      }),
    );
  });
});
