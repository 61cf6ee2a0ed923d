import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MsrpError } from '../errors.ts';
import type { TlsDomain } from '../engine/engine.ts';

/** The files and settings that a TLS domain is made of (`tls_mgm`). */
export interface TlsDomainFiles extends Omit<TlsDomain, 'name' | 'identities' | 'ca' | 'crl'> {
  /** For connections that come in, that go out, or both. */
  readonly type: TlsDomainType;
  /** `ADDRESS:PORT` of listeners, or of next hops for a client; `*` is any. */
  readonly matchAddress: readonly string[];
  /** Names, `*.example.com`, `*`, `none`; lower case. Of the client's SNI, or the host of a next hop. */
  readonly matchName: readonly string[];
  /** Certificate and key of the same place belong together. */
  readonly certificateFiles: readonly string[];
  readonly privateKeyFiles: readonly string[];
  readonly caListFile: string | undefined;
  readonly caDir: string | undefined;
  readonly crlDir: string | undefined;
}

export type TlsDomainType = 'server' | 'client' | 'both';

/** Reads the files of a domain; throws `E_TLS_MATERIAL`. Whether they fit together: {@link checkMaterial}. */
export function readDomain(name: string, files: TlsDomainFiles): TlsDomain {
  const { certificateFiles, privateKeyFiles, minVersion, maxVersion, ciphers, curves, verifyCert, requireCert } = files;
  const ca = readCa(files);
  const crl = files.crlDir === undefined ? '' : readFolder(files.crlDir);
  return {
    name,
    identities: certificateFiles.map((file, i) => ({
      certificate: readText(file),
      privateKey: readText(privateKeyFiles[i] ?? file),
    })),
    ...(ca === '' ? {} : { ca }),
    ...(crl === '' ? {} : { crl }),
    minVersion,
    maxVersion,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(curves === undefined ? {} : { curves }),
    verifyCert,
    requireCert,
  };
}

/** Trusted CAs of a domain as one text; empty: those of the system. */
export function readCa({ caListFile, caDir }: Pick<TlsDomainFiles, 'caListFile' | 'caDir'>): string {
  const list = caListFile === undefined ? '' : `${readText(caListFile).trimEnd()}\n`;
  return list + (caDir === undefined ? '' : readFolder(caDir));
}

/** Reads a file; throws `E_TLS_MATERIAL`. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MsrpError('E_TLS_MATERIAL', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The PEM files of a folder, in the order of their names; those by hash (`c_rehash`) count, too. Throws `E_TLS_MATERIAL`. */
function readFolder(folder: string): string {
  return readFiles(folder)
    .map(({ text }) => text)
    .join('');
}

/** The same, file by file. */
export function readFiles(folder: string): { readonly file: string; readonly text: string }[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /\.(pem|crt|cer|crl|\d+|r\d+)$/i.test(name));
  } catch (error) {
    throw new MsrpError('E_TLS_MATERIAL', error instanceof Error ? error.message : String(error), { cause: error });
  }
  const files = names.toSorted().map((name) => {
    const file = join(folder, name);
    return { file, text: `${readText(file).trimEnd()}\n` };
  });
  // A file and its name by hash are the same file.
  return files.filter(({ text }, i) => files.findIndex((other) => other.text === text) === i);
}
