import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { folder } from './processes.ts';

/** Files of a certificate and its key (PEM). */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** RSA with 2048 bits: what most relays have, and what costs a server most. */
const ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

let made: Promise<CertificateFiles> | undefined;

/** The certificate of every relay of a run; made once. */
export function certificateFiles(): Promise<CertificateFiles> {
  return (made ??= make());
}

async function make(): Promise<CertificateFiles> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const files = { certificate: join(folder, 'relay.pem'), key: join(folder, 'relay.key') };
  writeFileSync(files.certificate, certificate.toString('pem'));
  writeFileSync(files.key, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'));
  return files;
}
