import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeEnd, encodeHead, encodeRequest, encodeResponse } from '../../src/syntax/encode.ts';
import { parse } from '../../src/parse/parse.ts';
import type { Frame } from '../../src/syntax/frame.ts';

const to = ['msrp://relay.example:2855/9dK2mQ7xR4tY1zWb0Lp8;tcp', 'msrp://bob.example:2855/s2;tcp'];
const from = ['msrp://alice.example:2855/s1;tcp'];

function only(bytes: Buffer): Frame {
  const [result, ...rest] = parse(bytes, { strict: true });
  assert.deepEqual(rest, []);
  assert.ok(result?.type === 'frame', JSON.stringify(result));
  assert.equal(result.end, bytes.length);
  return result.frame;
}

describe('what is written', () => {
  it('a request with a body, byte for byte (C-015, C-019)', () => {
    const headers = [
      ['Message-ID', 'mid0001'],
      ['Byte-Range', '1-5/5'],
      ['Content-Type', 'text/plain'],
    ] as const;
    const bytes = encodeRequest(
      { tid: 'b1aa', method: 'SEND', toPath: to, fromPath: from, headers },
      Buffer.from('hello'),
      '+',
    );
    assert.equal(
      bytes.toString(),
      `MSRP b1aa SEND\r\nTo-Path: ${to.join(' ')}\r\nFrom-Path: ${from[0]}\r\nMessage-ID: mid0001\r\n` +
        'Byte-Range: 1-5/5\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------b1aa+\r\n',
    );
  });

  it('no body has no empty line, an empty body has three CRLF (C-017, C-018)', () => {
    const request = { tid: 'b1aa', method: 'SEND', toPath: to, fromPath: from, headers: [] };
    assert.ok(encodeRequest(request, undefined, '$').toString().endsWith(';tcp\r\n-------b1aa$\r\n'));
    const empty = { ...request, headers: [['Content-Type', 'text/plain']] as const };
    assert.ok(encodeRequest(empty, Buffer.alloc(0), '#').toString().endsWith('text/plain\r\n\r\n\r\n-------b1aa#\r\n'));
    assert.equal(encodeHead(request) + encodeEnd('b1aa', '$'), encodeRequest(request, undefined, '$').toString());
  });

  it('a response with and without a comment (C-005, C-020)', () => {
    const response = { tid: 'b1aa', status: 200, comment: 'OK', toPath: from, fromPath: to.slice(0, 1) };
    assert.equal(
      encodeResponse(response),
      `MSRP b1aa 200 OK\r\nTo-Path: ${from[0]}\r\nFrom-Path: ${to[0]}\r\n-------b1aa$\r\n`,
    );
    assert.match(encodeResponse({ ...response, comment: '' }), /^MSRP b1aa 200\r\n/);
    const more = only(Buffer.from(encodeResponse({ ...response, headers: [['Min-Expires', '60']] })));
    assert.deepEqual(more.headers, [['Min-Expires', '60']]);
  });

  it('is read back the same by the strict grammar, whatever the body holds', () => {
    const ident = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.+%=-]{3,31}$/);
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom('\r\n', '-------', 'abcd', '$', '+', '\n', 'x'), { maxLength: 30 })
        .map((parts) => Buffer.from(parts.join(''))),
    );
    const flags = fc.constantFrom('$' as const, '+' as const, '#' as const);
    fc.assert(
      fc.property(ident, body, flags, (tid, octets, flag) => {
        fc.pre(!Buffer.from(octets).includes(tid));
        const headers = [
          ['Message-ID', 'mid1'],
          ['Content-Type', 'a/b'],
        ] as const;
        const read = only(encodeRequest({ tid, method: 'SEND', toPath: to, fromPath: from, headers }, octets, flag));
        assert.deepEqual(
          [read.tid, read.flag, read.toPath, read.fromPath, read.headers],
          [tid, flag, to, from, headers],
        );
        assert.deepEqual(read.body, Buffer.from(octets));
      }),
      { numRuns: 300 },
    );
  });
});
