import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatByteRange, parseByteRange, putByteRange, rangeNumber } from '../../src/syntax/byte-range.ts';
import { encodeRequest, encodeResponse } from '../../src/syntax/encode.ts';
import { isContentType, parseStatus, reportValue } from '../../src/syntax/header-value.ts';
import { parse } from '../../src/parse/parse.ts';
import { identOf } from '../../src/syntax/tid.ts';

describe('Byte-Range (core C-022, D-14)', () => {
  const number = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 2 ** 53 - 1, 2 ** 53, 2 ** 60));
  const part = fc.oneof(number.map(String), fc.constantFrom('*', '', '-1', '0x1', ' 1', '01', '99999999999999999999'));

  it('text and bytes are read alike, and what is good is written as it was', () => {
    const words = new Uint32Array(6);
    fc.assert(
      fc.property(part, part, part, fc.constantFrom('-', '/', ''), (start, end, total, separator) => {
        const text = `${start}${separator || '-'}${end}/${total}`;
        const bytes = Buffer.from(`xx${text}yy`);
        const parsed = parseByteRange(text);
        assert.equal(putByteRange(bytes, 2, bytes.length - 2, words, 0), parsed !== undefined, text);
        assert.deepEqual(
          [rangeNumber(words, 0), rangeNumber(words, 2), rangeNumber(words, 4)],
          [parsed?.start ?? 1, parsed?.end ?? -1, parsed?.total ?? -1],
        );
        if (parsed === undefined) return;
        assert.deepEqual(parseByteRange(formatByteRange(parsed)), parsed);
        assert.ok(parsed.end === undefined || parsed.end >= parsed.start - 1);
        assert.ok(parsed.end === undefined || parsed.total === undefined || parsed.end <= parsed.total);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('header values', () => {
  it('Status', () => {
    assert.deepEqual(parseStatus('000 200 OK then'), { namespace: '000', code: 200, comment: 'OK then' });
    assert.deepEqual(parseStatus('000 413'), { namespace: '000', code: 413, comment: undefined });
    for (const text of ['200 OK', '000', '000 20', '0000 200', '000  200'])
      assert.equal(parseStatus(text), undefined, text);
  });

  it('Content-Type', () => {
    for (const text of ['text/plain', 'message/cpim', 'a/b;c=d;e="f;\\"g"', 'a/b;c']) {
      assert.equal(isContentType(text, true), true, text);
    }
    assert.equal(isContentType('text/plain; charset=utf-8', true), false);
    assert.equal(isContentType('text/plain; charset=utf-8', false), true);
    for (const text of ['', 'text', 'text/', '/plain', 'a/b;', 'a/b;=c', 'a/b;c=', 'a/b;c="', 'a/b, c/d']) {
      assert.equal(isContentType(text, false), false, text);
    }
    assert.equal(isContentType(`a/b${';x="\\\\"'.repeat(10_000)}"`, false), false);
  });

  it('yes, no and partial, whatever their case', () => {
    for (const [text, value] of [
      ['yes', 1],
      ['YES', 1],
      ['no', 2],
      ['Partial', 3],
      ['maybe', 0],
      ['ye', 0],
      ['', 0],
      ['yE\u0013', 0],
    ] as const) {
      assert.equal(reportValue(Buffer.from(text), 0, text.length), value, text);
    }
  });
});

describe('encode', () => {
  const ident = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(identOf);
  const uri = fc.tuple(fc.nat(65534), ident).map(([port, id]) => `msrps://h.example:${port + 1}/${id};tcp`);
  const path = fc.array(uri, { minLength: 1, maxLength: 4 });

  it('what is written is read as it was', () => {
    fc.assert(
      fc.property(
        ident,
        path,
        path,
        fc.option(fc.uint8Array({ maxLength: 300 })),
        fc.constantFrom('$', '+', '#'),
        (tid, toPath, fromPath, body, flag) => {
          const headers = [
            ['Message-ID', tid],
            ['X-Any', 'a: b'],
          ] as [string, string][];
          if (body !== null) headers.push(['Content-Type', 'text/plain']);
          const bytes = encodeRequest({ tid, method: 'SEND', toPath, fromPath, headers }, body ?? undefined, flag);
          const [result, more] = [...parse(bytes, { strict: true })];
          assert.ok(result?.type === 'frame' && more === undefined);
          const { frame } = result;
          assert.ok(frame.kind === 'request');
          assert.deepEqual(
            [frame.tid, frame.toPath, frame.fromPath, frame.headers, frame.flag],
            [tid, toPath, fromPath, headers, flag],
          );
          assert.deepEqual(frame.body, body === null ? undefined : Buffer.from(body));
        },
      ),
    );
    const [answer] = parse(
      Buffer.from(
        encodeResponse({
          tid: 'abcd',
          status: 200,
          comment: '',
          toPath: ['msrp://a:1/x;tcp'],
          fromPath: ['msrp://b:1/y;tcp'],
        }),
      ),
    );
    assert.ok(answer?.type === 'frame' && answer.frame.kind === 'response' && answer.frame.comment === undefined);
  });
});
