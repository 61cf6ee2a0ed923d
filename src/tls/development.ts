import { X509Certificate, createPrivateKey, webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type * as x509Module from '@peculiar/x509';
import { EXPIRY_WARNING_DAYS, daysLeft } from './material.ts';

/** Files of a development CA and of a certificate that it has issued. */
export interface DevelopmentFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
  /** The certificate is new. */
  readonly renewed: boolean;
}

/**
 * A CA of our own in `folder`, and a certificate of it for `names` (host names and addresses): for a first start, not for a relay
 * that others use. What is there already is kept; a certificate that ends soon, or is for other names, is made anew, and so is a CA
 * that ends soon. Needs no openssl. Files have mode 0600. Rejects with what the system says when they cannot be written, and when
 * there are certificates of somebody else.
 */
export async function developmentFiles(
  folder: string,
  names: readonly string[],
  nowMs: number,
): Promise<DevelopmentFiles> {
  const at = (name: string): string => join(folder, name);
  const files = { ca: at('ca.pem'), certificate: at('cert.pem'), privateKey: at('key.pem') };
  const caKey = at('ca-key.pem');
  if (!existsSync(caKey) && [files.ca, files.certificate, files.privateKey].some((file) => existsSync(file)))
    throw new Error(`${folder} holds certificates that are not of msrpd: it does not replace them`);
  const ends = (certificate: X509Certificate): boolean => daysLeft(certificate, nowMs) < EXPIRY_WARNING_DAYS;
  const [oldCa, old] = [readPair(files.ca, caKey), readPair(files.certificate, files.privateKey)];
  if (isForeign(files.certificate))
    throw new Error(`${files.certificate} is not of msrpd, which does not replace it: keep your own elsewhere`);
  const hasCa = oldCa !== undefined && !ends(oldCa);
  if (hasCa && old !== undefined && !ends(old) && old.verify(oldCa.publicKey) && names.every(isNamedIn(old)))
    return { ...files, renewed: false };

  // Only who makes certificates pays for loading this.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  // The same object; two sets of types.
  x509.cryptoProvider.set(webcrypto as never);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!hasCa) await makeCa(x509, files.ca, caKey, nowMs);
  await issue(x509, files, caKey, names, nowMs);
  return { ...files, renewed: true };
}

async function makeCa(x509: typeof x509Module, certificateFile: string, keyFile: string, nowMs: number): Promise<void> {
  const keys = await newKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${CA_NAME} ${new Date(nowMs).toISOString().slice(0, 10)}`,
    keys,
    signingAlgorithm: ALGORITHM,
    ...lifetime(nowMs, CA_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  writeSecret(keyFile, await privateKeyText(keys));
  writeSecret(certificateFile, `${ca.toString('pem')}\n`);
}

async function issue(
  x509: typeof x509Module,
  files: Omit<DevelopmentFiles, 'renewed'>,
  caKeyFile: string,
  names: readonly string[],
  nowMs: number,
): Promise<void> {
  const ca = new x509.X509Certificate(readFileSync(files.ca, 'utf8'));
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0]}`,
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(readFileSync(caKeyFile, 'utf8')),
    signingAlgorithm: ALGORITHM,
    ...lifetime(nowMs, CERTIFICATE_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // A relay is a client of other relays, too.
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
    ],
  });
  writeSecret(files.privateKey, await privateKeyText(keys));
  writeSecret(files.certificate, `${certificate.toString('pem')}\n`);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** A day back, for clocks that are behind. */
function lifetime(nowMs: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** What the names of our CAs begin with. */
const CA_NAME = 'msrpd development CA';
const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const CERTIFICATE_DAYS = 90;

/** A certificate that no CA of ours has issued. */
function isForeign(file: string): boolean {
  try {
    return !new X509Certificate(readFileSync(file)).issuer.includes(CA_NAME);
  } catch {
    return false;
  }
}

/** A certificate whose key is there, too. Whoever ended us between the one and the other has left a pair that is none. */
function readPair(certificateFile: string, keyFile: string): X509Certificate | undefined {
  if (!existsSync(certificateFile) || !existsSync(keyFile)) return undefined;
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile));
    return certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function isNamedIn(certificate: X509Certificate): (name: string) => boolean {
  return (name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

async function privateKeyText({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END PRIVATE KEY-----\n`;
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(text.replaceAll(/-----[^-]+-----/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

/** Whoever reads it while it is written reads the old one. What another run has left half written keeps no mode of its own. */
function writeSecret(file: string, text: string): void {
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, text, { mode: 0o600, flag: 'wx' });
  renameSync(`${file}.new`, file);
}
