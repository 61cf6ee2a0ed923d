import fc from 'fast-check';

/** Frames with headers of every kind, good and bad, and paths that come again: what the checks of a decoder are tried with. */

const URIS = [
  'msrp://a:1/x;tcp',
  'msrp://b.example:2855/s.e-s_s~i+o=n/1;tcp',
  'msrps://[::1]:2/x;tcp',
  'MSRP://user;x:y%41@h.example/s/x=;TCP;p=q;r',
  'msrp://a;tcp',
  'msrp://a:65535/x;ws;a',
  'msrp://1.2.3.4:9/x;tcp',
  'msrp://[::ffff:1.2.3.4]/x;tcp',
  'msrp://%41%2f/x;tcp',
  'msrp://%C3%A9/x;tcp',
  'msrp://a:0/x;tcp',
  'msrp://a:65536/x;tcp',
  'msrp://a:/x;tcp',
  'msrp://a:000001/x;tcp',
  'msrp://[::g]/x;tcp',
  'msrp://[1.2.3.4]/x;tcp',
  'msrp://[fe80::1%25eth0]/x;tcp',
  'msrp://[1:2:3:4:5:6:7::8]/x;tcp',
  'msrp://[1:2:3:4:5:6:7:8:9]/x;tcp',
  'msrp://a/;tcp',
  'msrp:///x;tcp',
  'msrp://a/x',
  'msrp://a:1/x;tcp;',
  'msrp://a:1/x;tcp;=',
  'msrp://a:1/x;tcp;p=',
  'msrp://a@b@c/x;tcp',
  'msrp://a%4/x;tcp',
  'http://a/x;tcp',
  'msrp:/a/x;tcp',
  'é',
] as const;

const GOOD_URIS = URIS.slice(0, 9);

/** One character of a text becomes another one, here and there: the border of every class of characters is tried. */
const touch = fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0x20, max: 0x7e })), { freq: 2 });

function touched(text: string, change: readonly [where: number, code: number] | null): string {
  if (change === null || text === '') return text;
  const at = change[0] % text.length;
  return text.slice(0, at) + String.fromCharCode(change[1]) + text.slice(at + 1);
}

const path = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.constantFrom(...GOOD_URIS), { minLength: 1, maxLength: 3 }) },
  { weight: 2, arbitrary: fc.array(fc.constantFrom(...URIS), { minLength: 1, maxLength: 3 }) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...URIS), touch).map(([uri, change]) => [touched(uri, change)]) },
  { weight: 1, arbitrary: fc.constantFrom(Array<string>(17).fill('msrp://a;tcp'), [], ['', 'msrp://a;tcp']) },
);
const pathText = fc.tuple(path, fc.constantFrom(' ', ' ', ' ', '  ')).map(([uris, gap]) => uris.join(gap));

const VALUES: Readonly<Record<string, readonly string[]>> = {
  'Message-ID': ['m123', 'A.b+c%d=e-f', 'a', '', 'a b', 'x'.repeat(32), 'x'.repeat(255), 'x'.repeat(256), 'é'],
  'Success-Report': ['yes', 'no', 'YES', 'partial', 'maybe', ''],
  'Failure-Report': ['yes', 'no', 'partial', 'Partial', 'n', 'yesno'],
  'Byte-Range': [
    '1-5/5',
    '1-*/*',
    '6-10/*',
    '1-0/0',
    '0-1/1',
    '5-4/*',
    '5-3/*',
    '1-2',
    '1-2/1',
    '*-1/1',
    '00001-0002/3',
    '9007199254740991-*/*',
    '9007199254740992-*/*',
    '9007199254740993-*/*',
    '9999999999999999-*/*',
    '1-9999999999999999/*',
    '1-12345678901234567/*',
    '0000000000000001-1/1',
    '00000000000000001-1/1',
    '4294967295-4294967296/4294967297',
    '4294967296-9007199254740990/9007199254740991',
    '1-*/*x',
    '1--1/*',
    '',
  ],
  Status: ['000 200 OK', '000 200', '000 413 é', '00 200', '000 200x', '000  200', '0000 200', '000 200 '],
  Expires: ['3600', '0', '-1', '', '1234567890', '12345678901', '1x'],
  'Min-Expires': ['60', 'x'],
  'Max-Expires': ['3600', ' 1 2'],
  'Use-Path': [...URIS, 'msrp://a;tcp msrp://b;tcp', 'msrp://a;tcp  msrp://b;tcp', 'msrp://a;tcp x'],
  'Content-Type': [
    'text/plain',
    'message/cpim',
    'a/b;c=d;e="f;\\"g"',
    'text/plain; charset=utf-8',
    'a/b;c',
    'a/b;x="é"',
    'a/b;x="\\',
    'text',
    'text/',
    '/plain',
    'a/b;',
    'a/b;=c',
    'a/b, c/d',
    'a/b;x="\u007f"',
    '',
  ],
  'Content-Disposition': ['inline'],
  'MIME-Version': ['1.0'],
  Authorization: ['Digest a="b"'],
  'X-Any': ['', 'a: b', 'ünï', '\u0000', '\ud83d\ude00', 'a\rb'],
};

const header = fc
  .tuple(
    fc.constantFrom(...Object.entries(VALUES)),
    fc.nat(255),
    fc.constantFrom(': ', ': ', ': ', ': ', ':', ':\t ', ' : '),
    fc.constantFrom('', '', '', '', ' ', ' \t'),
    fc.constantFrom('as is', 'as is', 'as is', 'lower', 'upper'),
    touch,
  )
  .map(([[name, values], which, separator, end, spelling, change]) => {
    const spelled = spelling === 'lower' ? name.toLowerCase() : spelling === 'upper' ? name.toUpperCase() : name;
    return `${spelled}${separator}${touched(values[which % values.length] as string, change)}${end}\r\n`;
  });

const start = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('SEND', 'SEND', 'REPORT', 'AUTH', 'NICKNAME', '200 OK', '481', '200 ') },
  { weight: 1, arbitrary: fc.constantFrom('FOO_BAR', '_X', 'send', '99', '2000', 'SEND x', '200 é', '') },
);

interface Paths {
  readonly to: string;
  readonly from: string;
}

/** To-Path and From-Path as they should be, or not. */
const order = fc.constantFrom('good', 'good', 'good', 'good', 'good', 'swapped', 'late', 'no from', 'twice');

const part = fc.record({
  tid: fc.constantFrom('abcd', 'tid1', 'A'.repeat(32), '1.-+', 'abc', '-bcd', 'A'.repeat(33)),
  start,
  which: fc.nat(2),
  order,
  headers: fc.array(header, { maxLength: 5 }),
  body: fc.option(
    fc.oneof(
      fc.constantFrom('', 'hello', '\r\n-------', '\r\n-------abcd', '\r\n-------tid1$', 'x'.repeat(40), '\r\n\r\n'),
      fc.string({ unit: 'binary', maxLength: 30 }),
    ),
  ),
  flag: fc.constantFrom('$', '$', '+', '#'),
});

/** One to four frames over three pairs of paths, in Latin-1 and UTF-8 as they come. */
export const varied: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.tuple(pathText, pathText).map(([to, from]) => ({ to, from })),
    fc.tuple(pathText, pathText).map(([to, from]) => ({ to, from })),
    fc.array(part, { minLength: 1, maxLength: 4 }),
  )
  .map(([one, other, parts]) => {
    const pairs: readonly Paths[] = [one, one, other];
    return Buffer.concat(parts.map((frame) => encode(frame, pairs[frame.which] as Paths)));
  });

function encode(frame: typeof part extends fc.Arbitrary<infer T> ? T : never, { to, from }: Paths): Buffer {
  const toLine = `To-Path: ${to}\r\n`;
  const fromLine = `From-Path: ${from}\r\n`;
  const [first = '', ...others] = frame.headers;
  const lines = {
    good: [toLine, fromLine, first],
    swapped: [fromLine, toLine, first],
    late: [toLine, first, fromLine],
    'no from': [toLine, first],
    twice: [toLine, fromLine, toLine, first],
  }[frame.order];
  const head = Buffer.from(`MSRP ${frame.tid} ${frame.start}\r\n${lines.join('')}${others.join('')}`);
  const end = Buffer.from(`-------${frame.tid}${frame.flag}\r\n`);
  if (frame.body === null) return Buffer.concat([head, end]);
  return Buffer.concat([head, Buffer.from(`\r\n${frame.body}\r\n`, 'latin1'), end]);
}
