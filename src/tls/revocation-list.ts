import { isDeepStrictEqual } from 'node:util';
import { TYPE, isOf, isTagged, objectIdOf, octetsOf, partsOf, readElement, taggedBy } from './asn1.ts';
import type { Element } from './asn1.ts';

/** Blocks of a PEM text. */
const PEM_LIST = /-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g;

/** What is wrong with each list of a PEM text, in order; undefined: nothing. Empty: there is no list. */
export function checkRevocationLists(pem: string): (string | undefined)[] {
  return Array.from(pem.matchAll(PEM_LIST), ([, base64 = '']) => {
    try {
      return problemOf(readElement(Buffer.from(base64, 'base64')));
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
function problemOf(list: Element): string | undefined {
  const [tbs, algorithm] = partsOf(list);
  const [version, signature, issuer, thisUpdate, nextUpdate, ...rest] = partsOf(tbs);
  if (!isOf(version, TYPE.integer)) return 'is of version 1: expected version 2, with extensions';
  if (!isDeepStrictEqual(signature, algorithm)) return 'names two signature algorithms';
  partsOf(issuer);
  if (!isOf(nextUpdate, ...TIMES)) return 'does not say when the next one comes (nextUpdate)';
  if (!isTime(thisUpdate) || !isTime(nextUpdate)) return NO_TIME;
  const revoked = isOf(rest[0], TYPE.sequence) ? partsOf(rest.shift()) : [];
  const tagged = taggedBy(rest[0], 0);
  const extensions = tagged === undefined ? [] : extensionsOf(tagged);
  if (extensions.length === 0) return 'has no extensions: expected at least a CRL number';
  return firstOf(extensions, extensionProblem) ?? firstOf(revoked, entryProblem);
}

function firstOf<T>(items: readonly T[], problem: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = problem(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `{ serialNumber, revocationDate, extensions? }` */
function entryProblem(entry: Element): string | undefined {
  const [serialNumber, date, extensions] = partsOf(entry);
  octetsOf(serialNumber, TYPE.integer);
  if (!isTime(date)) return NO_TIME;
  return extensions === undefined ? undefined : firstOf(extensionsOf(extensions), entryExtensionProblem);
}

function entryExtensionProblem({ id, critical, value }: Extension): string | undefined {
  if (id === CERTIFICATE_ISSUER) return INDIRECT;
  if (id === INVALIDITY_DATE && !isTime(readElement(value))) return NO_TIME;
  return critical && !ENTRY_EXTENSIONS.has(id)
    ? `has an entry with a critical extension that is unknown (${id})`
    : undefined;
}

const TIMES = [TYPE.utcTime, TYPE.generalizedTime];
const NO_TIME = 'has a time that is not to the second and in UTC';
const INDIRECT = 'is for several issuers (an indirect CRL)';

/** Extensions of RFC 5280 section 5.2, of a list. */
const DELTA = '2.5.29.27';
const ISSUING_POINT = '2.5.29.28';
/** CRL number, authority key identifier. */
const LIST_EXTENSIONS: ReadonlySet<string> = new Set(['2.5.29.20', '2.5.29.35']);
/** Those of section 5.3, of an entry. */
const CERTIFICATE_ISSUER = '2.5.29.29';
const INVALIDITY_DATE = '2.5.29.24';
/** Reason code, invalidity date. */
const ENTRY_EXTENSIONS: ReadonlySet<string> = new Set(['2.5.29.21', INVALIDITY_DATE]);

/** `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5). Throws where it is no time at all. */
function isTime(element: Element | undefined): boolean {
  return /^(\d{12}|\d{14})Z$/.test(octetsOf(element, ...TIMES));
}

function extensionProblem({ id, critical, value }: Extension): string | undefined {
  if (id === DELTA) return 'is a delta CRL: expected a complete one';
  if (id === ISSUING_POINT) return pointProblem(partsOf(readElement(value)));
  return critical && !LIST_EXTENSIONS.has(id) ? `has a critical extension that is unknown (${id})` : undefined;
}

/**
 * `IssuingDistributionPoint ::= { [0] point, [1] onlyUser, [2] onlyCA, [3] reasons, [4] indirect, [5] onlyAttribute }`, all of them
 * optional; a point is `[0] { [0] fullName }` or `[0] { [1] nameRelative }`.
 */
function pointProblem(fields: readonly Element[]): string | undefined {
  const isTrue = (number: number): boolean => fields.some((field) => isTagged(field, number) && field.value !== '\0');
  if (!fields.every((field) => [0, 1, 2, 3, 4, 5].some((number) => isTagged(field, number))))
    return 'has an issuing distribution point that cannot be read';
  if (fields.some((field) => isTagged(field, 3))) return 'is for some reasons of revocation only';
  if (isTrue(4)) return INDIRECT;
  if (isTrue(5)) return 'is for attribute certificates';
  const hasFullName = fields.some((field) => isTagged(taggedBy(field, 0), 0));
  return hasFullName ? undefined : 'has an issuing distribution point without a full name';
}

/** `Extension ::= { id, critical?, value }` */
interface Extension {
  readonly id: string;
  readonly critical: boolean;
  /** DER, an octet in each character. */
  readonly value: string;
}

function extensionsOf(list: Element | undefined): readonly Extension[] {
  return partsOf(list).map((extension) => {
    const [id, ...rest] = partsOf(extension);
    const critical = isOf(rest[0], TYPE.boolean) && rest.shift()?.value !== '\0';
    return { id: objectIdOf(id), critical, value: octetsOf(rest[0], TYPE.octets) };
  });
}
