import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MsrpError } from '../errors.ts';
import type { TlsServerSpec, TlsSpec } from '../engine/engine.ts';

/** The files and settings that a TLS domain is made of (`tls_mgm`). */
export interface TlsDomainFiles extends Omit<TlsSpec, 'certificate' | 'privateKey' | 'ca' | 'crl'> {
  readonly certificateFile: string | undefined;
  readonly privateKeyFile: string | undefined;
  readonly caListFile: string | undefined;
  readonly caDir: string | undefined;
  readonly crlDir: string | undefined;
  readonly requireCert: boolean;
}

/** Reads the files of a domain; throws `E_TLS_MATERIAL`. Works for dialling; for listening see {@link serverDomain}. */
export function readDomain(files: TlsDomainFiles): TlsSpec & { readonly requireCert: boolean } {
  const { certificateFile, privateKeyFile, caListFile, caDir, crlDir, ...settings } = files;
  const ca = [caListFile === undefined ? '' : read(caListFile), caDir === undefined ? '' : readFolder(caDir)].join('');
  const crl = crlDir === undefined ? '' : readFolder(crlDir);
  return {
    ...settings,
    ...(certificateFile === undefined ? {} : { certificate: read(certificateFile) }),
    ...(privateKeyFile === undefined ? {} : { privateKey: read(privateKeyFile) }),
    ...(ca === '' ? {} : { ca }),
    ...(crl === '' ? {} : { crl }),
  };
}

/** A domain that can serve: with certificate and key. */
export function serverDomain(domain: TlsSpec & { readonly requireCert: boolean }): TlsServerSpec {
  const { certificate, privateKey } = domain;
  if (certificate === undefined || privateKey === undefined) {
    throw new MsrpError('E_TLS_MATERIAL', 'a listener needs certificate and private_key');
  }
  return { ...domain, certificate, privateKey };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MsrpError('E_TLS_MATERIAL', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function readFolder(folder: string): string {
  const files = readdirSync(folder).filter((name) => /\.(pem|crt|cer|crl|\d+|r\d+)$/i.test(name));
  return files
    .toSorted()
    .map((name) => `${read(join(folder, name)).trimEnd()}\n`)
    .join('');
}
