import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import * as x509 from '@peculiar/x509';
import type { TlsDomainFiles } from '../../src/tls/domain.ts';
import { readDomain } from '../../src/tls/domain.ts';
import { checkMaterial } from '../../src/tls/material.ts';
import { ENGINES } from '../engine/harness.ts';
import { TlsBench, issue } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'msrpd-material-'));
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Keys and certificates by openssl: name → options of `genpkey`, and whether every engine takes it. */
const CERTIFICATES: Record<string, { key: readonly string[]; good: boolean }> = {
  'rsa 2048': { key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], good: true },
  'rsa 4096': { key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'], good: true },
  'rsa 1024': { key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'], good: false },
  'ec P-256': { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], good: true },
  'ec P-384': { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'], good: true },
  'ec P-521': { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'], good: true },
  'ec secp256k1': { key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'], good: false },
  ed25519: { key: ['-algorithm', 'ED25519'], good: false },
};

/** Revocation lists: what is different from a good one, and what `msrpd check` says of it. */
const LISTS: Record<string, { change: Partial<ListChange>; says?: RegExp }> = {
  'as RFC 5280 has it': { change: {} },
  'number and key, both critical': { change: { numberIsCritical: true } },
  'a distribution point': { change: { extensions: [point('a0 0a a0 08 86 06 68 74 74 70 3a 2f')] } },
  'an unknown extension': { change: { extensions: [unknown(false)] } },
  'reason and date of an entry': { change: { reason: true } },
  'of many certificates': { change: { count: 3000 } },
  'an unknown extension of an entry': { change: { ofEntry: unknown(false) } },
  'an unknown critical extension of an entry': { change: { ofEntry: unknown(true) }, says: /an entry with a critical/ },
  'an entry of another issuer': {
    change: { ofEntry: extension('2.5.29.29', true, '30 08 86 06 68 74 74 70 3a 2f') },
    says: /indirect/,
  },
  'two signature algorithms': { change: { twoAlgorithms: true }, says: /names two signature algorithms/ },
  'for attribute certificates': {
    change: { extensions: [point('a0 0a a0 08 86 06 68 74 74 70 3a 2f 85 01 ff')] },
    says: /attribute certificates/,
  },
  'a date with a fraction of a second': { change: { fraction: true }, says: /a time that is not to the second/ },
  'no extensions': { change: { none: true }, says: /has no extensions: expected at least a CRL number/ },
  'no next update': { change: { endless: true }, says: /does not say when the next one comes/ },
  'a delta': { change: { extensions: [extension('2.5.29.27', true, '02 01 01')] }, says: /is a delta CRL/ },
  'an unknown critical extension': {
    change: { extensions: [unknown(true)] },
    says: /critical extension that is unknown/,
  },
  'of several issuers': {
    change: { extensions: [point('a0 0a a0 08 86 06 68 74 74 70 3a 2f 84 01 ff')] },
    says: /indirect/,
  },
  'for some reasons': {
    change: { extensions: [point('a0 0a a0 08 86 06 68 74 74 70 3a 2f 83 02 01 40')] },
    says: /some reasons/,
  },
  'a point with something else beside it': {
    change: { extensions: [point('a0 0a a0 08 86 06 68 74 74 70 3a 2f 05 00')] },
    says: /distribution point that cannot be read/,
  },
  'no point': { change: { extensions: [point('81 01 ff')] }, says: /without a full name/ },
};

interface ListChange {
  readonly none: boolean;
  readonly endless: boolean;
  readonly numberIsCritical: boolean;
  readonly reason: boolean;
  readonly fraction: boolean;
  readonly twoAlgorithms: boolean;
  /** How many certificates are revoked. */
  readonly count: number;
  readonly ofEntry: x509.Extension;
  readonly extensions: readonly x509.Extension[];
}

describe('what msrpd check lets pass, every engine takes; what one does not take, it refuses', () => {
  let own: string;
  let key: string;
  before(async () => {
    const pair = await issue({ names: ['relay.example'], daysLeft: 60 });
    own = write('own.pem', pair.certificate);
    key = write('own-key.pem', pair.key);
  });

  const files = (more: Partial<TlsDomainFiles>): TlsDomainFiles => ({
    type: 'both',
    matchAddress: ['*'],
    matchName: ['*'],
    certificateFiles: [own],
    privateKeyFiles: [key],
    caListFile: undefined,
    caDir: undefined,
    crlDir: undefined,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    verifyCert: true,
    requireCert: false,
    ...more,
  });

  for (const [name, { good }] of Object.entries(CERTIFICATES))
    it(`${name}: ${good ? 'taken' : 'refused'}`, async () => {
      const { certificateFile, keyFile } = made(name);
      const with_ = files({ certificateFiles: [certificateFile], privateKeyFiles: [keyFile] });
      const says = good ? undefined : /expected a key of kind RSA, with 2048 to 8192 bits, or ECDSA, on P-256/;
      // Engines could do more than is offered.
      await agree(with_, says, name === 'ed25519');
    });

  for (const form of ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'])
    it(`a key as ${form}: taken`, async () => {
      const { certificateFile, keyFile: source } = made(form.startsWith('RSA') ? 'rsa 2048' : 'ec P-256');
      const keyFile = join(folder, `${form}.key`);
      const traditional = form === 'PRIVATE KEY' ? [] : ['-traditional'];
      openssl('pkey', '-in', source, '-out', keyFile, ...traditional);
      assert.match(readFileSync(keyFile, 'utf8'), new RegExp(`-----BEGIN ${form}-----`));
      await agree(files({ certificateFiles: [certificateFile], privateKeyFiles: [keyFile] }), undefined);
    });

  it('a certificate of version 1: refused', async () => {
    const [request, certificateFile] = [join(folder, 'v1.csr'), join(folder, 'v1.pem')];
    const { keyFile } = made('ec P-256');
    openssl('req', '-new', '-key', keyFile, '-out', request, '-subj', '/CN=relay.example');
    // Without a file of extensions openssl makes version 1; newer ones have to be asked.
    const ask = openssl('x509', '-help').includes('-x509v1') ? ['-x509v1'] : [];
    openssl('x509', '-req', '-in', request, '-signkey', keyFile, '-out', certificateFile, '-days', '60', ...ask);
    const with_ = files({ certificateFiles: [certificateFile], privateKeyFiles: [keyFile] });
    await agree(with_, /v1\.pem is of version 1: expected version 3/);
  });

  for (const [name, { change, says }] of Object.entries(LISTS))
    it(`a revocation list, ${name}: ${says === undefined ? 'taken' : 'refused'}`, async () => {
      const crlDir = join(folder, `list ${name}`);
      mkdirSync(crlDir);
      writeFileSync(join(crlDir, 'good.pem'), await list({}));
      writeFileSync(join(crlDir, 'this.pem'), await list(change));
      await agree(
        files({ crlDir }),
        says === undefined ? undefined : new RegExp(`this\\.pem: revocation list 1 .*${says.source}`),
      );
    });

  it('a file in crl_dir that holds no list in PEM, or garbage, is named', async () => {
    const crlDir = join(folder, 'odd');
    mkdirSync(crlDir);
    writeFileSync(join(crlDir, 'a.pem'), await list({}));
    writeFileSync(join(crlDir, 'ca.0'), readFileSync(own));
    assert.deepEqual(checkMaterial(files({ crlDir }), Date.now()), []);
    writeFileSync(
      join(crlDir, 'binary.crl'),
      Buffer.from((await list({})).replaceAll(/-----[^-]+-----/g, ''), 'base64'),
    );
    writeFileSync(join(crlDir, 'cut.pem'), '-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n');
    assert.deepEqual(
      checkMaterial(files({ crlDir }), Date.now()).map(({ message }) => message),
      [`${crlDir}/binary.crl: no revocation list in PEM`, `${crlDir}/cut.pem: revocation list 1 cannot be read`],
    );
  });

  /** The verdict of the check, and that of each engine: a listener with that domain, and a handshake with it. */
  async function agree(with_: TlsDomainFiles, says: RegExp | undefined, mayTake = false): Promise<void> {
    const problems = checkMaterial(with_, Date.now()).filter(({ warning }) => warning !== true);
    const text = problems.map(({ message }) => message).join('\n');
    if (says === undefined) assert.equal(text, '');
    else assert.match(text, says);
    const refusals: string[] = [];
    for (const { name, make } of engines) {
      try {
        const bench = await TlsBench.listen(make, { byName: [], fallback: readDomain('default', with_) });
        try {
          if (says === undefined) assert.equal((await bench.handshake()).type, 'opened', name);
        } finally {
          await bench.stop();
        }
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'E_TLS_MATERIAL', `${name}: ${String(error)}`);
        refusals.push(`${name}: ${String(error)}`);
      }
    }
    if (says === undefined) assert.deepEqual(refusals, []);
    // It is not stricter than it has to be.
    else if (engines.length > 1 && !mayTake)
      assert.ok(refusals.length > 0, `every engine takes what is refused: ${text}`);
  }
});

/** One of each kind: workers and framers make no difference. */
const engines = ENGINES.filter(({ name }) => name === 'ts, framer mixed' || name === 'native, 1 worker');

const SUBJECT = ['-subj', '/CN=relay.example', '-days', '60'];

/** The files of one of CERTIFICATES: whoever needs them first makes them. */
function made(name: keyof typeof CERTIFICATES): { certificateFile: string; keyFile: string } {
  const [certificateFile, keyFile] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  if (!existsSync(certificateFile)) {
    openssl('genpkey', ...(CERTIFICATES[name]?.key ?? []), '-out', keyFile);
    openssl(...['req', '-x509', '-new', '-key', keyFile, '-out', certificateFile], ...SUBJECT);
  }
  return { certificateFile, keyFile };
}

function openssl(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  // -help ends with 0, too.
  assert.equal(status, 0, stderr);
  return `${stdout}${stderr}`;
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** A list of a CA of its own. */
async function list(change: Partial<ListChange>): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
  const number = new x509.Extension('2.5.29.20', change.numberIsCritical === true, Uint8Array.of(2, 1, 1).buffer);
  const key = await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey, change.numberIsCritical === true);
  const made = await x509.X509CrlGenerator.create({
    issuer: 'CN=some CA',
    thisUpdate: new Date(Date.now() - DAY_MS),
    ...(change.endless === true ? {} : { nextUpdate: new Date(Date.now() + DAY_MS) }),
    entries: Array.from({ length: change.count ?? 1 }, (_, i) => ({
      serialNumber: (i + 0x0102).toString(16).padStart(4, '0'),
      revocationDate: new Date(Date.now() - 1000),
      ...(change.reason === true ? { reason: x509.X509CrlReason.keyCompromise, invalidity: new Date(0) } : {}),
      ...(change.fraction === true ? { invalidity: new Date(123) } : {}),
      ...(change.ofEntry === undefined ? {} : { extensions: [change.ofEntry] }),
    })),
    extensions: change.none === true ? [] : [number, key, ...(change.extensions ?? [])],
    signingAlgorithm: ALGORITHM,
    signingKey: keys.privateKey,
  });
  const der = Buffer.from(made.rawData);
  // The first one is inside; the last octet of ecdsa-with-SHA256 makes it ecdsa-with-SHA384.
  if (change.twoAlgorithms === true) der[der.indexOf(ECDSA_WITH_SHA256) + ECDSA_WITH_SHA256.length - 1] = 3;
  return `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
}

const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');

function extension(id: string, critical: boolean, hex: string): x509.Extension {
  return new x509.Extension(id, critical, new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex')).buffer);
}

function unknown(critical: boolean): x509.Extension {
  return extension('1.3.6.1.4.1.55555.1', critical, '05 00');
}

/** An issuing distribution point with these fields. */
function point(fields: string): x509.Extension {
  const length = fields.split(' ').length.toString(16).padStart(2, '0');
  return extension('2.5.29.28', true, `30 ${length} ${fields}`);
}
