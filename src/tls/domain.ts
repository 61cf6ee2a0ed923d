import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MsrpError } from '../errors.ts';
import type { TlsDomain } from '../engine/engine.ts';

/** The files and settings that a TLS domain is made of (`tls_mgm`). */
export interface TlsDomainFiles extends Omit<TlsDomain, 'name' | 'identities' | 'ca' | 'crl'> {
  readonly certificateFile: string | undefined;
  readonly privateKeyFile: string | undefined;
  readonly caListFile: string | undefined;
  readonly caDir: string | undefined;
  readonly crlDir: string | undefined;
}

/** Reads the files of a domain; throws `E_TLS_MATERIAL`. */
export function readDomain(name: string, files: TlsDomainFiles): TlsDomain {
  const { certificateFile, privateKeyFile, caListFile, caDir, crlDir, ...settings } = files;
  const ca = [caListFile === undefined ? '' : read(caListFile), caDir === undefined ? '' : readFolder(caDir)].join('');
  const crl = crlDir === undefined ? '' : readFolder(crlDir);
  return {
    ...settings,
    name,
    identities:
      certificateFile === undefined || privateKeyFile === undefined
        ? []
        : [{ certificate: read(certificateFile), privateKey: read(privateKeyFile) }],
    ...(ca === '' ? {} : { ca }),
    ...(crl === '' ? {} : { crl }),
  };
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
