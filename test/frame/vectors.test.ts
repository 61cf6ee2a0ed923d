import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import type { Frame } from '../../src/syntax/frame.ts';
import { collect, everywhere } from './collect.ts';
import type { Collected, CollectedFrame } from './collect.ts';
import { FRAMERS } from './framers.ts';
import { VECTORS, bytesOf } from './vectors.ts';
import type { Expected } from './vectors.ts';

it('has every vector', () => {
  assert.equal(VECTORS.length, 293);
  assert.equal(new Set(VECTORS.map(({ name }) => name)).size, 293);
  // As many as the tests of the core have, which count them, too.
  const tests = fileURLToPath(new URL('../../native/core/tests/', import.meta.url));
  const file = (readdirSync(tests, { recursive: true }) as string[]).find((name) => name.endsWith('vectors.rs'));
  const core = readFileSync(join(tests, file ?? ''), 'utf8');
  assert.equal(/assert_eq!\(vectors\.len\(\), (\d+)\)/.exec(core)?.[1], String(VECTORS.length));
});

for (const { name, make } of FRAMERS) {
  for (const strict of [false, true]) {
    for (const streamAfterBytes of [2048, 1, Infinity]) {
      describe(`${name}, ${strict ? 'strict' : 'tolerant'}, streaming from ${streamAfterBytes}`, () => {
        const run = (bytes: Buffer, cuts: readonly number[]): Collected =>
          collect(make({ strict, streamAfterBytes }), bytes, cuts);
        for (const vector of VECTORS) {
          const expected = (strict ? vector.expectedStrict : undefined) ?? vector.expected;
          const bytes = bytesOf(vector);
          it(vector.name, () => {
            verify(run(bytes, []), expected, bytes, 'in one piece');
            verify(run(bytes, everywhere(bytes)), expected, bytes, 'byte by byte');
            for (const cut of vector.splits ?? []) verify(run(bytes, [cut]), expected, bytes, `cut at ${cut}`);
            verify(run(bytes, vector.splits ?? []), expected, bytes, 'at its splits');
          });
        }
      });
    }
  }

  it(`${name}: two valid vectors behind each other are two frames`, () => {
    const valid = VECTORS.filter(({ expected }) => expected.kind === 'request' || expected.kind === 'response');
    let pairs = 0;
    for (const [i, first] of valid.entries()) {
      for (const second of [valid[(i + 1) % valid.length], valid[(i * 7 + 3) % valid.length], first]) {
        if (second === undefined) continue;
        const a = bytesOf(first).subarray(0, first.expected['consumedBytes'] as number);
        const b = bytesOf(second).subarray(0, second.expected['consumedBytes'] as number);
        const both = Buffer.concat([a, b]);
        for (const cuts of [[], [a.length], everywhere(both).filter((at) => at % 11 === 0)]) {
          const { frames, fatal } = collect(make({}), both, cuts);
          assert.equal(fatal, undefined, `${first.name} ${second.name}`);
          assert.equal(frames.length, 2, `${first.name} ${second.name}`);
          compare(frames[0] as CollectedFrame, first.expected);
          compare(frames[1] as CollectedFrame, second.expected, a.length);
        }
        pairs++;
      }
    }
    assert.ok(pairs > 300);
  });
}

function verify(result: Collected, expected: Expected, bytes: Buffer, how: string): void {
  const [first] = result.frames;
  switch (expected.kind) {
    case 'incomplete':
      // A streamed head may have been told already; the end has not.
      assert.equal(result.fatal, undefined, how);
      assert.ok(first === undefined || first.flag === '\0', how);
      break;
    case 'error':
      if (expected['fatal'] === true) {
        assert.equal(result.fatal?.code, expected['category'], how);
        assert.equal(result.frames.length, 0, how);
      } else {
        assert.equal(first?.issue, expected['category'], how);
        assert.equal(first?.end, expected['consumedBytes'], how);
      }
      break;
    default:
      assert.ok(first !== undefined, `${how}: ${result.fatal?.code ?? 'nothing'} of ${bytes.length} bytes`);
      compare(first, expected);
  }
}

function compare(got: CollectedFrame, expected: Expected, offset = 0): void {
  const frame = got.text as Frame;
  const headers: Record<string, unknown> = {};
  for (const [name, value] of frame.headers) headers[name] = name in headers ? [headers[name], value].flat() : value;
  const { body } = got;
  assert.deepEqual(
    {
      kind: frame.kind,
      tid: frame.tid,
      ...(frame.kind === 'request'
        ? { method: frame.method }
        : { status: frame.status, comment: frame.comment ?? null }),
      toPath: frame.toPath,
      fromPath: frame.fromPath,
      headers,
      hasBody: body !== undefined,
      bodyLength: body?.length ?? 0,
      flag: got.flag,
      consumedBytes: got.end - offset,
      ...(body === undefined ? {} : { bodySha256: createHash('sha256').update(body).digest('hex') }),
    },
    expected,
  );
  assert.equal(got.issue, '');
}
