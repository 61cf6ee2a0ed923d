import fc from 'fast-check';
import { VECTORS, bytesOf } from './vectors.ts';

/** Byte streams as peers send them, and as they must not: what the framers are held against each other with. */

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

/** One whole frame. */
export const frame: fc.Arbitrary<Buffer> = fc
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

/** One to four whole frames. */
export const stream = fc.array(frame, { minLength: 1, maxLength: 4 }).map((frames) => Buffer.concat(frames));

const valid = VECTORS.filter(({ expected }) => expected.kind === 'request' || expected.kind === 'response').map(
  bytesOf,
);

/** Single-byte changes, losses and insertions. */
export function mutate(streams: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(streams, fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.nat(255)), { minLength: 1, maxLength: 3 }))
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
}

export const mutated = mutate(fc.oneof(stream, fc.constantFrom(...valid)));

/** Pieces of the grammar in any order, and anything between them. */
export const hostile = fc
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
