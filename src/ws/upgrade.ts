import { SocketAddress as Address, isIPv4, isIPv6 } from 'node:net';
import type { BlockList } from 'node:net';
import type { SocketAddress, TlsInfo } from '../engine/engine.ts';
import { isFailure, runHook } from '../relay/hooks.ts';
import type { Hooks } from '../relay/hooks.ts';
import { SUBPROTOCOL } from './socket.ts';
import type { UpgradeRequest } from './socket.ts';

/** Who may become a WebSocket on a listener. */
export interface UpgradeRules {
  readonly path: string;
  /** `scheme://host[:port]` as browsers write it, or `*`. */
  readonly origins: readonly string[];
  readonly trustedProxies: BlockList;
  readonly hook: Hooks['websocket'] | undefined;
}

/** Who is at the other end, once the rules are kept. */
export interface Accepted {
  readonly kind: 'accepted';
  readonly remote: SocketAddress;
  readonly tls: TlsInfo | undefined;
  /** Who the handshake has shown it to be (RFC 7977 section 5.3.1); AUTH needs no digest then. */
  readonly identity: { readonly user: string; readonly realm: string | undefined } | undefined;
}

export interface Refused {
  readonly kind: 'refused';
  readonly status: number;
  readonly why: string;
}

/** Judges a handshake (RFC 7977 section 4.1, X-001, X-010…X-012). */
export async function judgeUpgrade(request: UpgradeRequest, rules: UpgradeRules): Promise<Accepted | Refused> {
  const refused = (status: number, why: string): Refused => ({ kind: 'refused', status, why });
  if (request.path !== rules.path) return refused(404, 'another path');
  const offered = request.subprotocols.split(',').map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) return refused(400, 'subprotocol msrp is not offered');
  if (!isOriginAllowed(request, rules)) return refused(403, 'this origin is not allowed');
  const { remote, tls } = throughProxies(request, rules.trustedProxies);
  const accepted = { kind: 'accepted', remote, tls, identity: undefined } as const;
  const { hook } = rules;
  if (hook === undefined) return accepted;
  const { path, query, host, origin, cookie, authorization } = request;
  let verdict: unknown;
  try {
    verdict = await runHook('websocket', () =>
      hook({ remote: remote.address, path, query, host, origin, cookie, authorization }),
    );
  } catch (error) {
    return refused(500, error instanceof Error ? error.message : String(error));
  }
  if (verdict === undefined || verdict === null) return accepted;
  const { refuse, user, realm } = verdict as Record<'refuse' | 'user' | 'realm', unknown>;
  if (isFailure(refuse)) return refused(refuse, 'refused by hook websocket');
  if (typeof user !== 'string' || user === '' || (realm !== undefined && typeof realm !== 'string'))
    return refused(500, 'hook websocket: expected nothing, {user, realm?} or {refuse: 4xx}');
  return { ...accepted, identity: { user, realm } };
}

/** A client that is no browser sends none. An empty list: any, but the own one alone where cookies count (D-54). */
function isOriginAllowed({ origin, host }: UpgradeRequest, { origins, hook }: UpgradeRules): boolean {
  if (origin === '' || origins.includes('*')) return true;
  if (origins.length > 0) return origins.includes(origin.toLowerCase());
  return hook === undefined || origin.toLowerCase().replace(/^https?:\/\//, '') === host.toLowerCase();
}

/** What trusted proxies say of who is behind them: the last address that is none of theirs, and whether it has come by TLS. */
function throughProxies(
  request: UpgradeRequest,
  trusted: BlockList,
): { remote: SocketAddress; tls: TlsInfo | undefined } {
  const { tls } = request;
  let remote = { ...request.remote, address: plainAddress(request.remote.address) };
  if (!isTrusted(remote.address, trusted)) return { remote, tls };
  const hops = request.forwardedFor.split(',').map((hop) => plainAddress(hop.trim()));
  for (const hop of hops.toReversed()) {
    if (!isIPv4(hop) && !isIPv6(hop)) break;
    remote = { address: hop, port: 0 };
    if (!isTrusted(hop, trusted)) break;
  }
  const secure = tls === undefined && request.forwardedProto.trim().toLowerCase() === 'https';
  return { remote, tls: secure ? PROXIED_TLS : tls };
}

function isTrusted(address: string, trusted: BlockList): boolean {
  return trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** TLS that ends at a proxy. */
const PROXIED_TLS: TlsInfo = { domain: 'proxy', protocol: 'unknown', cipher: 'unknown', resumed: false };

/** In its shortest form; IPv4 in IPv6 as IPv4. */
export function plainAddress(text: string): string {
  if (!isIPv6(text)) return text;
  const { address } = new Address({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:(.*)$/i.exec(address)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : address;
}
