import { isIPv6 } from 'node:net';
import type { TlsDomain, TlsServerSpec } from '../engine/engine.ts';
import { MsrpError } from '../errors.ts';
import { readDomain } from './domain.ts';
import type { TlsDomainFiles, TlsDomainType } from './domain.ts';
import { checkMaterial, daysLeft, readCertificates } from './material.ts';

/** Where a listener is bound, and the domain that it names. */
export interface TlsListener {
  readonly address: string;
  readonly port: number;
  /** `tls_domain`: its fallback. */
  readonly domain: string | undefined;
}

/** One certificate of a domain, as `tls_list` and the metrics show it. */
export interface TlsDomainInfo {
  readonly name: string;
  readonly role: TlsDomainType;
  readonly matchAddress: readonly string[];
  readonly matchName: readonly string[];
  /** The members from here on are undefined where the domain has no certificate. */
  readonly file?: string;
  readonly subject?: string;
  readonly issuer?: string;
  readonly serial?: string;
  /** ISO 8601. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Whole days; negative when it has expired. */
  readonly daysLeft?: number;
  /** SHA-256, hexadecimal with colons. */
  readonly fingerprint?: string;
}

/** The TLS domains of a configuration, read and checked; which one serves a listener, and which one dials a next hop. */
export class TlsDomains {
  readonly #entries: readonly { readonly files: TlsDomainFiles; readonly domain: TlsDomain }[];

  /**
   * Reads all domains; throws `E_TLS_MATERIAL` with everything that is wrong. Domains of `before` that have not changed stay the
   * objects that they are, so that an engine keeps what it has made of them.
   */
  static read(configured: Readonly<Record<string, TlsDomainFiles>>, nowMs: number, before?: TlsDomains): TlsDomains {
    const wrong: string[] = [];
    const entries: { files: TlsDomainFiles; domain: TlsDomain }[] = [];
    for (const [name, files] of Object.entries(configured)) {
      const problems = checkMaterial(files, nowMs).filter(({ warning }) => warning !== true);
      wrong.push(...problems.map(({ key, message }) => `tls.domains.${name}.${key}: ${message}`));
      if (problems.length > 0) continue;
      const domain = readDomain(name, files);
      const old =
        before === undefined ? undefined : before.#entries.find((entry) => entry.domain.name === name)?.domain;
      entries.push({ files, domain: JSON.stringify(old) === JSON.stringify(domain) ? (old as TlsDomain) : domain });
    }
    if (wrong.length > 0) throw new MsrpError('E_TLS_MATERIAL', wrong.join('; '));
    return new TlsDomains(entries);
  }

  private constructor(entries: readonly { files: TlsDomainFiles; domain: TlsDomain }[]) {
    this.#entries = entries;
  }

  /** What a listener serves; throws `E_TLS_MATERIAL` when that is nothing. */
  server(listener: TlsListener): TlsServerSpec {
    const usable = this.#entries.filter(({ files, domain }) => files.type !== 'client' && domain.identities.length > 0);
    // Those that name the address go first.
    const here = [
      ...usable.filter(({ files }) => matchesAddress(files, listener) === 'named'),
      ...usable.filter(({ files }) => matchesAddress(files, listener) === 'any'),
    ];
    const byName = new Map<string, TlsDomain>();
    for (const { files, domain } of here)
      for (const pattern of files.matchName)
        if (pattern !== '*' && pattern !== 'none' && !byName.has(pattern)) byName.set(pattern, domain);
    const named = usable.find(({ domain }) => domain.name === listener.domain);
    if (listener.domain !== undefined && named === undefined)
      throw new MsrpError('E_TLS_MATERIAL', `tls.domains.${listener.domain} cannot serve a listener`);
    const fallback =
      named ??
      here.find(({ files }) => files.matchName.includes('*') && matchesAddress(files, listener) === 'named') ??
      here.find(({ domain }) => domain.name === 'default') ??
      here.find(({ files }) => files.matchName.includes('*')) ??
      here.find(({ files }) => files.matchName.includes('none'));
    if (fallback === undefined && byName.size === 0)
      throw new MsrpError('E_TLS_MATERIAL', `no TLS domain for ${listener.address}:${listener.port}`);
    return {
      byName: Array.from(byName, ([pattern, domain]) => ({ pattern, domain })),
      ...(fallback === undefined ? {} : { fallback: fallback.domain }),
    };
  }

  /** The domain to dial a next hop with; undefined when none is for it. The host counts more than the address. */
  client(host: string, candidate: { readonly address: string; readonly port: number }): TlsDomain | undefined {
    let best: { domain: TlsDomain; rank: number } | undefined;
    for (const { files, domain } of this.#entries) {
      if (files.type === 'server') continue;
      const address = matchesAddress(files, candidate);
      const name = nameRank(files.matchName, host.toLowerCase());
      if (address === 'no' || name === 0) continue;
      // Among equals a domain that is for clients only goes first, and `default` last.
      const rank =
        name * 8 +
        (address === 'named' ? 4 : 0) +
        (files.type === 'client' ? 2 : 0) +
        (domain.name === 'default' ? 0 : 1);
      if (best === undefined || rank > best.rank) best = { domain, rank };
    }
    return best?.domain;
  }

  /** A row for each certificate. `nowMs`: time of day. */
  list(nowMs: number): TlsDomainInfo[] {
    return this.#entries.flatMap(({ files, domain }): TlsDomainInfo[] => {
      const { type: role, matchAddress, matchName } = files;
      const about = { name: domain.name, role, matchAddress, matchName };
      if (domain.identities.length === 0) return [about];
      return domain.identities.map(({ certificate }, i) => {
        const leaf = readCertificates(certificate, domain.name)[0] as ReturnType<typeof readCertificates>[number];
        return {
          ...about,
          file: files.certificateFiles[i] ?? '',
          subject: oneLine(leaf.subject),
          issuer: oneLine(leaf.issuer),
          serial: leaf.serialNumber,
          notBefore: new Date(leaf.validFrom).toISOString(),
          notAfter: new Date(leaf.validTo).toISOString(),
          daysLeft: daysLeft(leaf, nowMs),
          fingerprint: leaf.fingerprint256,
        };
      });
    });
  }
}

function matchesAddress(
  { matchAddress }: TlsDomainFiles,
  { address, port }: { readonly address: string; readonly port: number },
): 'named' | 'any' | 'no' {
  const text = `${isIPv6(address) ? `[${address}]` : address}:${port}`.toLowerCase();
  if (matchAddress.some((pattern) => pattern.toLowerCase() === text)) return 'named';
  return matchAddress.includes('*') ? 'any' : 'no';
}

/** 3: by its name; 2: by a wildcard; 1: by `*`; 0: not at all. */
function nameRank(patterns: readonly string[], host: string): number {
  if (patterns.includes(host)) return 3;
  const dot = host.indexOf('.');
  if (dot > 0 && patterns.includes(`*${host.slice(dot)}`)) return 2;
  return patterns.includes('*') ? 1 : 0;
}

function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ');
}
