import { DerReader, TAG } from './der.ts';

/** Blocks of a PEM text. */
const PEM_LIST = /-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g;

/** What is wrong with each list of a PEM text, in order; undefined: nothing. Empty: there is no list. */
export function checkRevocationLists(pem: string): (string | undefined)[] {
  return Array.from(pem.matchAll(PEM_LIST), ([, base64 = '']) => {
    try {
      return problemOf(new DerReader(Buffer.from(base64, 'base64')).enter(TAG.sequence));
    } catch {
      return 'cannot be read';
    }
  });
}

/**
 * RFC 5280 section 5, as far as both engines need it. The profile there is what rustls asks for, while OpenSSL takes more; a list that
 * one of them would pass over or refuse is refused by both.
 *
 * `CertificateList ::= { tbs { version, signature, issuer, thisUpdate, nextUpdate, revoked?, [0] extensions }, algorithm, signature }`
 */
function problemOf(list: DerReader): string | undefined {
  const tbs = list.enter(TAG.sequence);
  const algorithm = list.next(TAG.sequence).content;
  if (tbs.peek() !== TAG.integer) return 'is of version 1: expected version 2, with extensions';
  tbs.next(TAG.integer);
  if (!tbs.next(TAG.sequence).content.equals(algorithm)) return 'names two signature algorithms';
  tbs.next(TAG.sequence);
  const times = [readTime(tbs)];
  if (!TIMES.includes(tbs.peek() ?? 0)) return 'does not say when the next one comes (nextUpdate)';
  times.push(readTime(tbs));
  if (!times.every(isTime)) return NO_TIME;
  const revoked = tbs.peek() === TAG.sequence ? tbs.enter(TAG.sequence) : undefined;
  if (tbs.peek() !== TAG.context0) return 'has no extensions: expected at least a CRL number';
  const extensions = [...extensionsOf(tbs.enter(TAG.context0).enter(TAG.sequence))];
  if (extensions.length === 0) return 'has no extensions: expected at least a CRL number';
  for (const extension of extensions) {
    const problem = extensionProblem(extension);
    if (problem !== undefined) return problem;
  }
  return revoked === undefined ? undefined : entriesProblem(revoked);
}

function entriesProblem(revoked: DerReader): string | undefined {
  while (!revoked.atEnd) {
    const entry = revoked.enter(TAG.sequence);
    entry.next(TAG.integer);
    if (!isTime(readTime(entry))) return NO_TIME;
    if (entry.atEnd) continue;
    for (const { id, critical, value } of extensionsOf(entry.enter(TAG.sequence))) {
      if (id === CERTIFICATE_ISSUER) return INDIRECT;
      if (id === INVALIDITY_DATE && !isTime(readTime(new DerReader(value)))) return NO_TIME;
      if (critical && !ENTRY_EXTENSIONS.has(id))
        return `has an entry with a critical extension that is unknown (${id})`;
    }
  }
  return undefined;
}

const TIMES: readonly number[] = [TAG.utcTime, TAG.generalizedTime];
const NO_TIME = 'has a time that is not to the second and in UTC';
const INDIRECT = 'is for several issuers (an indirect CRL)';

/** Object identifiers in hexadecimal: 55 1d is 2.5.29, `id-ce`. */
const DELTA = '551d1b';
const ISSUING_POINT = '551d1c';
const CERTIFICATE_ISSUER = '551d1d';
/** CRL number, authority key identifier. */
const LIST_EXTENSIONS: ReadonlySet<string> = new Set(['551d14', '551d23']);
const INVALIDITY_DATE = '551d18';
/** Reason code, invalidity date. */
const ENTRY_EXTENSIONS: ReadonlySet<string> = new Set(['551d15', INVALIDITY_DATE]);

function readTime(reader: DerReader): string {
  return reader.next(...TIMES).content.toString('latin1');
}

/** `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5). */
function isTime(text: string): boolean {
  return /^(\d{12}|\d{14})Z$/.test(text);
}

function extensionProblem({ id, critical, value }: Extension): string | undefined {
  if (id === DELTA) return 'is a delta CRL: expected a complete one';
  if (id === ISSUING_POINT) return pointProblem(value);
  return critical && !LIST_EXTENSIONS.has(id) ? `has a critical extension that is unknown (${id})` : undefined;
}

/**
 * `IssuingDistributionPoint ::= { [0] point, [1] onlyUser, [2] onlyCA, [3] reasons, [4] indirect, [5] onlyAttribute }`, all of them
 * optional; a point is `[0] { [0] fullName }` or `[0] { [1] nameRelative }`.
 */
function pointProblem(value: Buffer): string | undefined {
  const fields = new DerReader(value).enter(TAG.sequence);
  let hasFullName = false;
  while (!fields.atEnd) {
    const { tag, content } = fields.next();
    const isTrue = content.length === 1 && content[0] !== 0;
    if (tag === TAG.context0) hasFullName = new DerReader(content).peek() === TAG.context0;
    else if ((tag & 0x1f) === 3) return 'is for some reasons of revocation only';
    else if ((tag & 0x1f) === 4 && isTrue) return INDIRECT;
    else if ((tag & 0x1f) === 5 && isTrue) return 'is for attribute certificates';
  }
  return hasFullName ? undefined : 'has an issuing distribution point without a full name';
}

/** `Extension ::= { id, critical?, value }` */
interface Extension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

function* extensionsOf(list: DerReader): Generator<Extension> {
  while (!list.atEnd) {
    const extension = list.enter(TAG.sequence);
    const id = extension.next(TAG.objectId).content.toString('hex');
    const critical = extension.peek() === TAG.boolean && extension.next().content[0] !== 0;
    yield { id, critical, value: extension.next().content };
  }
}
