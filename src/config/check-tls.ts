import { TLS_CIPHERS, TLS_CURVES } from '../engine/engine.ts';
import type { TlsVersion } from '../engine/engine.ts';
import type { TlsDomainFiles } from '../tls/domain.ts';
import { checkMaterial } from '../tls/material.ts';
import { parseAuthority } from './listener-uri.ts';
import type { RawTlsDomain } from './raw.ts';
import { parseTlsMethod } from './tls-method.ts';

type Path = readonly (string | number)[];

/** Something that is wrong with a domain, by its key there. */
export interface TlsProblem {
  readonly path: Path;
  readonly message: string;
  readonly warning?: boolean;
}

/** Everything that is wrong with one TLS domain: values, then files. Types are those of the schema already. */
export function checkTlsDomain(
  raw: RawTlsDomain,
  resolvePath: (name: string) => string,
  listeners: readonly { readonly address: string; readonly port: number }[],
): TlsProblem[] {
  const problems: TlsProblem[] = [];
  const wrong = (path: Path, message: string): void => void problems.push({ path, message });
  const method = parseTlsMethod(raw.tls_method);
  if (method === undefined) {
    const old = /SSL|TLSv1(_1)?(-|$)/i.test(raw.tls_method ?? '');
    wrong(
      ['tls_method'],
      `expected TLSv1_2, TLSv1_3 or TLSv1_2-TLSv1_3${old ? '; older versions are broken and forbidden (RFC 8996)' : ''}`,
    );
  }
  checkCiphers(raw, method, wrong);
  checkList(raw.ec_curve, TLS_CURVES, CURVE_ALIASES, ['ec_curve'], wrong);
  if (raw.crl_check_all === false && raw.crl_dir !== undefined)
    wrong(['crl_check_all'], 'a chain is always checked as a whole: expected true, or no crl_dir');
  const [certificates, keys] = [listOf(raw.certificate), listOf(raw.private_key)];
  if (certificates.length !== keys.length)
    wrong(
      certificates.length === 0 ? ['private_key'] : ['certificate'],
      `certificate and private_key belong together: expected as many of one as of the other, got ${certificates.length} and ${keys.length}`,
    );
  checkPatterns(raw, listeners, wrong);
  const files = domainFiles(raw, resolvePath);
  for (const { key, index, message, warning } of checkMaterial(files, Date.now())) {
    const isList = (key === 'certificate' || key === 'private_key') && Array.isArray(raw[key]);
    problems.push({ path: isList ? [key, index ?? 0] : [key], message, ...(warning === true ? { warning } : {}) });
  }
  return problems;
}

/** The domain with absolute paths, defaults and names as the engines have them. */
export function domainFiles(raw: RawTlsDomain, resolvePath: (name: string) => string): TlsDomainFiles {
  const { minVersion, maxVersion } = parseTlsMethod(raw.tls_method) ?? parseTlsMethod() ?? NEVER;
  const path = (name: string | undefined): string | undefined => (name === undefined ? undefined : resolvePath(name));
  const ciphers = split(raw.ciphers_list);
  return {
    type: raw.type ?? 'both',
    matchAddress: commaList(raw.match_ip_address),
    matchName: commaList(raw.match_sip_domain).map((name) => name.toLowerCase()),
    certificateFiles: listOf(raw.certificate).map(resolvePath),
    privateKeyFiles: listOf(raw.private_key).map(resolvePath),
    caListFile: path(raw.ca_list),
    caDir: path(raw.ca_dir),
    crlDir: path(raw.crl_dir),
    verifyCert: raw.verify_cert ?? true,
    requireCert: raw.require_cert ?? false,
    minVersion,
    maxVersion,
    // As in OpenSSL, a list of suites of TLS 1.2 says nothing about those of TLS 1.3.
    ...(ciphers.length === 0
      ? {}
      : { ciphers: ciphers.some(isTls13) ? ciphers : [...TLS_CIPHERS.filter(isTls13), ...ciphers] }),
    ...(raw.ec_curve === undefined
      ? {}
      : { curves: split(raw.ec_curve).map((name) => CURVE_ALIASES[name.toLowerCase()] ?? name) }),
  };
}

const NEVER = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const;

/** Names that OpenSSL has for the same groups. */
const CURVE_ALIASES: Readonly<Record<string, string>> = {
  x25519: 'X25519',
  'p-256': 'P-256',
  prime256v1: 'P-256',
  secp256r1: 'P-256',
  'p-384': 'P-384',
  secp384r1: 'P-384',
};

function checkCiphers(
  raw: RawTlsDomain,
  method: { minVersion: TlsVersion; maxVersion: TlsVersion } | undefined,
  wrong: (path: Path, message: string) => void,
): void {
  if (!checkList(raw.ciphers_list, TLS_CIPHERS, {}, ['ciphers_list'], wrong) || method === undefined) return;
  const names = split(raw.ciphers_list);
  if (names.length > 0 && method.minVersion === 'TLSv1.2' && names.every(isTls13))
    wrong(['ciphers_list'], 'no suite for TLSv1_2: add one, or set tls_method to TLSv1_3');
  else if (method.minVersion === 'TLSv1.3' && names.some((name) => !isTls13(name)) && !names.some(isTls13))
    wrong(['ciphers_list'], 'no suite for TLSv1_3, the only version of this domain');
}

/** False when a name is unknown. */
function checkList(
  text: string | undefined,
  known: readonly string[],
  aliases: Readonly<Record<string, string>>,
  path: Path,
  wrong: (path: Path, message: string) => void,
): boolean {
  const unknown = split(text).filter((name) => !known.includes(name) && aliases[name.toLowerCase()] === undefined);
  if (unknown.length > 0) wrong(path, `unknown: ${unknown.join(', ')}; there is ${known.join(':')}`);
  return unknown.length === 0;
}

function checkPatterns(
  raw: RawTlsDomain,
  listeners: readonly { readonly address: string; readonly port: number }[],
  wrong: (path: Path, message: string) => void,
): void {
  for (const pattern of commaList(raw.match_ip_address)) {
    if (pattern === '*') continue;
    const parsed = parseAuthority(pattern, 0);
    if (typeof parsed === 'string' || parsed.port === 0) {
      wrong(['match_ip_address'], `${pattern}: expected ADDRESS:PORT or *`);
      continue;
    }
    const { host, port } = parsed;
    const met = listeners.some(
      (listener) => listener.address.toLowerCase() === host.toLowerCase() && listener.port === port,
    );
    if (raw.type === 'server' && !met)
      wrong(['match_ip_address'], `${pattern} can never match: no msrps listener has that address and port`);
  }
  for (const pattern of commaList(raw.match_sip_domain)) {
    if (pattern === '*' || pattern === 'none') continue;
    if (/^[\d.]+$|:/.test(pattern))
      wrong(['match_sip_domain'], `${pattern} can never match: a name is compared, not an address`);
    else if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(pattern))
      wrong(['match_sip_domain'], `${pattern}: expected a host name, *.example.com (one label), * or none`);
  }
}

function isTls13(name: string): boolean {
  return name.startsWith('TLS_');
}

function split(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(':').filter((name) => name !== '');
}

/** Lists of tls_mgm: separated by commas. Absent: anything. */
export function commaList(text: string | undefined): string[] {
  return (text ?? '*').split(',').map((part) => part.trim());
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
