import fc from 'fast-check';

/** Whoever takes part: two clients with sessions, two peers without, and the next hop that can be reached. */
export const PEERS = ['alice', 'carol', 'bob', 'dave', 'far'] as const;
export type Name = (typeof PEERS)[number];

/** Host of the relay in all URIs, so that no transcript depends on ports. */
export const RELAY = 'msrp://relay.example:2855;tcp';

export const uriOf = (name: string): string => `msrp://${name}.example:1/${name};tcp`;
export const sessionOf = (name: string): string => `msrp://relay.example:2855/${name}Session0123456789;tcp`;

/** Next hops, by what becomes of them: a connection, a shared one, a refusal, nobody there, no decision. */
const HOPS = ['far', 'near', 'denied', 'dead', 'silent'] as const;

/** Where a request goes: To-Path. */
const TARGETS = [
  [sessionOf('alice'), uriOf('alice')],
  [sessionOf('carol'), uriOf('carol')],
  [sessionOf('carol').replace('relay', 'RELAY'), uriOf('carol')],
  [sessionOf('alice'), sessionOf('carol'), uriOf('carol')],
  [sessionOf('carol'), sessionOf('alice'), uriOf('alice')],
  [sessionOf('alice'), uriOf('bob')],
  [sessionOf('carol'), uriOf('dave')],
  ...HOPS.flatMap((hop) => [
    [sessionOf('alice'), uriOf(hop)],
    [sessionOf('carol'), uriOf(hop)],
  ]),
  [sessionOf('alice'), uriOf('far'), uriOf('beyond')],
  [sessionOf('nobody'), uriOf('nobody')],
  [sessionOf('alice')],
  [RELAY],
  ['msrp://elsewhere.example:1/x;tcp', uriOf('alice')],
  ['msrp://elsewhere.example:1/aliceSession0123456789;tcp', uriOf('alice')],
  ['nonsense'],
  [sessionOf('alice'), 'nonsense'],
] as const;

/** A whole request; which header lines it has is drawn one by one. */
export interface RequestStep {
  readonly op: 'request';
  readonly peer: Name;
  readonly method: string;
  readonly to: readonly string[];
  /** Otherwise the peer's own. */
  readonly from: Name | undefined;
  readonly headers: readonly string[];
  readonly body: string | undefined;
  readonly flag: string;
  /** Bytes after which it is written, and the rest later; 0: at once. */
  readonly cut: number;
}

/** A response to one of the requests that a peer has got. */
export interface AnswerStep {
  readonly op: 'answer';
  readonly peer: Name;
  readonly which: number;
  readonly status: number;
  readonly how: 'good' | 'forged' | 'elsewhere' | 'twice' | 'misaddressed';
  readonly headers: readonly string[];
}

/** A SEND that is passed on while it comes in, and what happens in its middle. */
export interface LongStep {
  readonly op: 'long';
  readonly peer: Name;
  readonly to: readonly string[];
  readonly headers: readonly string[];
  readonly size: number;
  readonly fill: string;
  readonly middle: 'nothing' | 'other' | 'report' | 'dies' | 'target' | 'expires' | 'pieces';
  readonly flag: string;
}

export type Step =
  | RequestStep
  | AnswerStep
  | LongStep
  | { readonly op: 'raw'; readonly peer: Name; readonly text: string }
  | { readonly op: 'advance'; readonly ms: number }
  | { readonly op: 'end' | 'reset' | 'connect'; readonly peer: Name }
  | {
      readonly op: 'command';
      readonly what:
        'closeSession' | 'extendSession' | 'closeConnection' | 'identify' | 'smallMessages' | 'anyMessages';
      readonly peer: Name;
    };

const peer = fc.constantFrom(...PEERS);
/** Half of them to the clients. */
const to = fc.oneof(fc.constantFrom(...TARGETS.slice(0, 2)), fc.constantFrom(...TARGETS)) as fc.Arbitrary<
  readonly string[]
>;

const maybe = (...lines: string[]): fc.Arbitrary<string[]> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constant<string[]>([]) },
    { weight: lines.length, arbitrary: fc.constantFrom(...lines).map((line) => [line]) },
  );

const failureReport = maybe(...['yes', 'no', 'partial', 'partial', 'NO'].map((value) => `Failure-Report: ${value}`));
const successReport = maybe('Success-Report: yes', 'Success-Report: no');
const byteRange = maybe(
  ...['1-5/5', '1-*/*', '3-*/9', '1-3/*', '5-4/4', '9007199254740991-*/*', '9007199254740000-*/*'].map(
    (range) => `Byte-Range: ${range}`,
  ),
);
/** Values that make a frame a malformed one. */
const bad = fc.oneof(
  { weight: 14, arbitrary: fc.constant<string[]>([]) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('Byte-Range: 9-2/9', 'Byte-Range: 0-5/5', 'Byte-Range: x', 'Failure-Report: maybe', 'Expires: soon')
      .map((line) => [line]),
  },
);
/** Mostly there: without one a SEND is refused. */
const messageId = fc.oneof(
  { weight: 8, arbitrary: fc.constant(['Message-ID: message1']) },
  { weight: 1, arbitrary: fc.constant<string[]>([]) },
  { weight: 1, arbitrary: fc.constant(['Message-ID: one', 'Message-ID: two']) },
);
const contentType = fc.oneof(
  { weight: 8, arbitrary: fc.constant(['Content-Type: text/plain']) },
  { weight: 1, arbitrary: fc.constant<string[]>([]) },
);
const extra = maybe('X-Extra: \u00c3\u00bcmlaut', 'Subject:', 'Content-Disposition: render');

/** A body that is empty, and whose CRLF is that of the end-line. */
export const SHARED = 'shared CRLF';

/** `TID` stands for the transaction id of the frame, `RELAY` for the last one that the relay has used towards the peer. */
const body = fc.constantFrom(
  ...Array.from({ length: 12 }, () => 'hello'),
  '',
  '\r\n',
  '\r\n-------',
  'a\r\n-------TIDx$\r\nb',
  'a\r\n-------TI$\r\nb',
  'a\r\n-------RELAY$\r\nb',
  'MSRP RELAY SEND\r\n-------RELAY+\r\n',
  '-------TID$',
  '\0\u00ff\u0080',
  'x'.repeat(1900),
  undefined,
  SHARED,
);

const flag = fc.constantFrom('$', '$', '$', '$', '$', '$', '+', '#');

const sendStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    to,
    from: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: peer }),
    parts: fc.tuple(messageId, successReport, failureReport, byteRange, bad, extra, contentType),
    body,
    flag,
    cut: fc.constantFrom(0, 0, 0, 9, 60, 150),
  })
  .map(({ parts, ...rest }) => ({ op: 'request', method: 'SEND', headers: parts.flat(), ...rest }));

const status = maybe('Status: 000 200 OK', 'Status: 000 408', 'Status: 000 408', 'Status: 001 200');
const credentials = maybe('Authorization: Digest username="a"', 'authorization: Digest', 'Expires: 60');

const otherStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    to,
    from: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: peer }),
    method: fc.constantFrom('REPORT', 'REPORT', 'AUTH', 'AUTH', 'NICKNAME', 'FROB'),
    parts: fc.tuple(messageId, byteRange, status, credentials, bad),
    body: fc.constantFrom(undefined, undefined, undefined, 'x'),
    flag,
    cut: fc.constantFrom(0, 0, 30),
  })
  .map(({ parts, ...rest }) => ({ op: 'request', headers: parts.flat(), ...rest }));

const answerStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    which: fc.nat(9),
    status: fc.constantFrom(200, 200, 200, 400, 401, 401, 401, 413, 481, 501, 599, 299),
    how: fc.constantFrom('good', 'good', 'good', 'good', 'forged', 'elsewhere', 'twice', 'misaddressed'),
    headers: maybe(
      'WWW-Authenticate: Digest realm="x", stale=true',
      'WWW-Authenticate: Digest realm="x"',
      'Expires: x',
    ),
  })
  .map((step) => ({ op: 'answer' as const, ...step }));

const longStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    to,
    parts: fc.tuple(messageId, failureReport, maybe('Byte-Range: 1-*/*', 'Byte-Range: 11-*/90000'), contentType),
    size: fc.constantFrom(4200, 9000, 30_000),
    fill: fc.constantFrom('y', '\r\n-------', '\r\n-------RELAY'),
    middle: fc.constantFrom('nothing', 'other', 'report', 'dies', 'target', 'expires', 'pieces'),
    flag,
  })
  .map(({ parts, ...rest }) => ({ op: 'long' as const, headers: parts.flat(), ...rest }));

/** Three requests for somebody else at once: a proven connection is closed by the third (relay D-42). */
const MISDIRECTED = ['mis1', 'mis2', 'mis3'].map(
  (tid) =>
    `MSRP ${tid} FROB\r\nTo-Path: msrp://elsewhere.example:1/x;tcp ${uriOf('x')}\r\n` +
    `From-Path: ${uriOf('y')}\r\n-------${tid}$\r\n`,
);

const rawStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    text: fc.constantFrom(
      MISDIRECTED.join(''),
      MISDIRECTED.slice(1).join(''),
      'GET / HTTP/1.1\r\n\r\n',
      'MSRP abcd SEND\n',
      'MSRP abcd SEND\r\nTo-Path msrp\r\n',
      `MSRP abcd FROB\r\nFrom-Path: ${uriOf('x')}\r\nTo-Path: ${RELAY}\r\n-------abcd$\r\n`,
      `MSRP abcd FROB\r\nTo-Path: ${RELAY}\r\n-------abcd$\r\n`,
      'MSRP abcd 200 OK\r\n-------abcd$\r\n',
      `MSRP abcd 200\r\nTo-Path: ${sessionOf('alice')}\r\nFrom-Path: ${uriOf('x')}\r\n-------abcd$\r\n`,
      `MSRP abcd 20 OK\r\nTo-Path: ${sessionOf('alice')}\r\nFrom-Path: ${uriOf('x')}\r\n-------abcd$\r\n`,
      `MSRP abcd FROB\r\nTo-Path: ${RELAY}\r\nFrom-Path: ${uriOf('x')}\r\nX: ${'y'.repeat(9000)}\r\n-------abcd$\r\n`,
      '\r\n',
    ),
  })
  .map((step) => ({ op: 'raw' as const, ...step }));

/** Sums of these never come near a timer: 5 s, 30 s, 60 s. */
const advanceStep: fc.Arbitrary<Step> = fc
  .constantFrom(7000, 14_000, 35_000)
  .map((ms) => ({ op: 'advance' as const, ms }));

const lifeStep: fc.Arbitrary<Step> = fc.record({ op: fc.constantFrom('end', 'reset', 'connect', 'connect'), peer });

const commandStep: fc.Arbitrary<Step> = fc
  .record({
    peer,
    what: fc.constantFrom(
      'closeSession',
      'extendSession',
      'closeConnection',
      'identify',
      'smallMessages',
      'anyMessages',
    ),
  })
  .map((step) => ({ op: 'command' as const, ...step }));

/** Scripts of short frames. */
export const shortScript: fc.Arbitrary<Step[]> = script([]);

/**
 * As those, but for paths through two sessions: when these live on two threads, the frame goes over a link between them, and is
 * counted at both ends of it.
 */
export const threadedScript: fc.Arbitrary<Step[]> = shortScript.map((steps) =>
  steps.filter((step) => step.op !== 'request' || step.to.filter((uri) => uri.includes('Session')).length < 2),
);

/** Scripts with SENDs that are passed on while they come in. */
export const longScript: fc.Arbitrary<Step[]> = script([{ weight: 20, arbitrary: longStep }]);

function script(more: fc.WeightedArbitrary<Step>[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      { weight: 28, arbitrary: sendStep },
      { weight: 16, arbitrary: otherStep },
      { weight: 28, arbitrary: answerStep },
      { weight: 1, arbitrary: rawStep },
      { weight: 2, arbitrary: advanceStep },
      { weight: 3, arbitrary: lifeStep },
      { weight: 2, arbitrary: commandStep },
      ...more,
    ),
    { minLength: 12, maxLength: 30, size: 'max' },
  );
}
