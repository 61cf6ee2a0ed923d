import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isTagged, partsOf, readElement } from './asn1.ts';
import { readCa, readFiles, readText } from './domain.ts';
import type { TlsDomainFiles } from './domain.ts';
import { checkRevocationLists } from './revocation-list.ts';

/** Something about the files of a domain. */
export interface MaterialProblem {
  /** Key of the configuration, and place in its list. */
  readonly key: 'certificate' | 'private_key' | 'ca_list' | 'ca_dir' | 'crl_dir';
  readonly index?: number;
  readonly message: string;
  /** The domain can be used all the same. */
  readonly warning?: boolean;
}

/** Days before the end of a certificate from which on there is a warning. */
export const EXPIRY_WARNING_DAYS = 14;

/** Everything that is wrong with the files of a domain, each by the key that names it. `nowMs`: time of day. */
export function checkMaterial(files: TlsDomainFiles, nowMs: number): MaterialProblem[] {
  const problems: MaterialProblem[] = [];
  const attempt = <T>(about: Omit<MaterialProblem, 'message'>, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push({ ...about, message: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const kinds = new Map<string, number>();
  for (const [index, file] of files.certificateFiles.entries()) {
    const at = { key: 'certificate', index } as const;
    const chain = attempt(at, () => readCertificates(readText(file), file));
    const keyFile = files.privateKeyFiles[index];
    const key =
      keyFile === undefined
        ? undefined
        : attempt({ key: 'private_key', index }, () => readKey(readText(keyFile), keyFile));
    const leaf = chain?.[0];
    if (leaf === undefined) continue;
    const kind = kindOf(leaf);
    if (kind === undefined) problems.push({ ...at, message: `${file}: expected ${KEYS}` });
    else if (attempt(at, () => isVersion1(leaf)) === true)
      problems.push({ ...at, message: `${file} is of version 1: expected version 3` });
    else if (kinds.has(kind))
      problems.push({ ...at, message: `a second certificate of kind ${kind}: expected one of each of RSA and ECDSA` });
    else kinds.set(kind, index);
    if (key !== undefined && !leaf.checkPrivateKey(key))
      problems.push({ key: 'private_key', index, message: `${keyFile} is not the key of ${file}` });
    const days = daysLeft(leaf, nowMs);
    if (days < 0) problems.push({ ...at, message: `${file} has expired: ${leaf.validTo}`, warning: true });
    else if (Date.parse(leaf.validFrom) > nowMs)
      problems.push({ ...at, message: `${file} is not valid before ${leaf.validFrom}`, warning: true });
    else if (days < EXPIRY_WARNING_DAYS)
      problems.push({ ...at, message: `${file} expires in ${days} days: ${leaf.validTo}`, warning: true });
  }
  for (const [key, source] of [
    ['ca_list', { caListFile: files.caListFile, caDir: undefined }],
    ['ca_dir', { caListFile: undefined, caDir: files.caDir }],
  ] as const) {
    const path = source.caListFile ?? source.caDir;
    if (path !== undefined) attempt({ key }, () => readCertificates(readCa(source), path));
  }
  const { crlDir } = files;
  if (crlDir !== undefined)
    attempt({ key: 'crl_dir' }, () => {
      for (const message of listProblems(crlDir)) problems.push({ key: 'crl_dir', message });
    });
  return problems;
}

/** Lists that one of the engines would not take, and files without any: nobody may believe that they count. */
function listProblems(crlDir: string): string[] {
  const wrong: string[] = [];
  let count = 0;
  for (const { file, text } of readFiles(crlDir)) {
    const lists = checkRevocationLists(text);
    count += lists.length;
    // CAs may lie in the same folder.
    if (lists.length === 0 && !text.includes('-----BEGIN CERTIFICATE-----'))
      wrong.push(`${file}: no revocation list in PEM`);
    for (const [i, problem] of lists.entries())
      if (problem !== undefined) wrong.push(`${file}: revocation list ${i + 1} ${problem}`);
  }
  if (count === 0 && wrong.length === 0) wrong.push(`${crlDir}: no revocation list in PEM (files *.pem, *.crl, *.r0)`);
  return wrong;
}

/** Whole days until a certificate ends; negative when it has. */
export function daysLeft(certificate: X509Certificate, nowMs: number): number {
  return Math.floor((Date.parse(certificate.validTo) - nowMs) / 86_400_000);
}

/** The certificates of a PEM text, at least one; throws with `file` and what was expected. */
export function readCertificates(text: string, file: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (blocks === null) throw new Error(`${file}: expected a certificate in PEM`);
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`${file}: certificate ${i + 1} cannot be read`);
    }
  });
}

function readKey(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    const why = /ENCRYPTED/.test(text) ? 'a key without passphrase' : 'a private key in PEM';
    throw new Error(`${file}: expected ${why}`);
  }
}

/** Keys that every engine signs with. */
const KEYS = 'a key of kind RSA, with 2048 to 8192 bits, or ECDSA, on P-256, P-384 or P-521';
const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

function kindOf({ publicKey }: X509Certificate): 'RSA' | 'ECDSA' | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails: { modulusLength = 0, namedCurve } = {} } = publicKey;
  if (asymmetricKeyType === 'rsa' && modulusLength >= 2048 && modulusLength <= 8192) return 'RSA';
  return asymmetricKeyType === 'ec' && CURVES.has(namedCurve) ? 'ECDSA' : undefined;
}

/** `Certificate ::= { tbs { [0] version?, serialNumber … } … }`: without a version it is 1. */
function isVersion1({ raw }: X509Certificate): boolean {
  const [tbs] = partsOf(readElement(raw));
  return !isTagged(partsOf(tbs)[0], 0);
}
