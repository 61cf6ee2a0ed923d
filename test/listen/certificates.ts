import 'reflect-metadata';
import { isIP } from 'node:net';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as Crypto);

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface Issue {
  /** DNS names, and addresses. */
  readonly names: readonly string[];
  readonly kind?: 'ecdsa' | 'rsa';
  /** Negative: it has expired. */
  readonly daysLeft?: number;
}

const DAY_MS = 86_400_000;

/** A certification authority for tests. */
export class TestCa {
  readonly certificate: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: CryptoKeyPair;

  static async create(name = 'test CA'): Promise<TestCa> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 86_400_000),
      notAfter: new Date(Date.now() + 86_400_000),
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestCa(certificate, keys);
  }

  private constructor(certificate: x509.X509Certificate, keys: CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.certificate = certificate.toString('pem');
  }

  /** A certificate for DNS names. */
  issue(...names: string[]): Promise<Pair> {
    return this.issueWith({ names });
  }

  async issueWith({ names, kind = 'ecdsa', daysLeft = 1 }: Issue): Promise<Pair> {
    const algorithm = kind === 'rsa' ? RSA : ALGORITHM;
    const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `01${randomBytes(8).toString('hex')}`,
      subject: `CN=${names[0]}`,
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 30 * DAY_MS),
      notAfter: new Date(Date.now() + daysLeft * DAY_MS),
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
      ],
    });
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const key = `-----BEGIN PRIVATE KEY-----\n${(pkcs8.match(/.{1,64}/g) ?? []).join('\n')}\n-----END PRIVATE KEY-----\n`;
    return { certificate: certificate.toString('pem'), key };
  }
  /** A revocation list of this CA with these certificates on it. */
  async revoke(...pairs: readonly Pair[]): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - DAY_MS),
      nextUpdate: new Date(Date.now() + DAY_MS),
      entries: pairs.map(({ certificate }) => ({
        serialNumber: new x509.X509Certificate(certificate).serialNumber,
        revocationDate: new Date(Date.now() - 1000),
      })),
      // A list of RFC 5280 has a number and says whose it is.
      extensions: [
        new x509.Extension('2.5.29.20', false, Uint8Array.of(2, 1, 1).buffer),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
    });
    return list.toString('pem').replaceAll('BEGIN CRL', 'BEGIN X509 CRL').replaceAll('END CRL', 'END X509 CRL');
  }
}
