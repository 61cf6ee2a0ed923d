import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { ConnectSpec, HopEvent, TlsDomain } from '../../engine/engine.ts';
import { parseUri } from '../../syntax/uri.ts';
import type { MsrpUri } from '../../syntax/uri.ts';
import { isFailure, runHook } from '../hooks.ts';
import type { Hooks } from '../hooks.ts';
import type { SessionEntry } from '../sessions.ts';
import { SYSTEM_DOMAIN } from '../settings.ts';
import type { RelaySettings } from '../settings.ts';
import type { HopPolicy } from './policy.ts';
import type { NextHopResolver } from './resolver.ts';

export type HopChoice =
  | { readonly kind: 'connect'; readonly spec: ConnectSpec }
  | { readonly kind: 'refused'; readonly status: number; readonly cause: string };

/**
 * Decides whether and where to connect for a session (relay …R-103): hook, policy, DNS, policy again. Rejects when
 * a hook fails or gives what makes no sense, and when DNS fails.
 */
export async function chooseNextHop(
  event: Pick<HopEvent, 'uri' | 'method' | 'pathLength'>,
  entry: Pick<SessionEntry, 'user' | 'realm'>,
  parts: { settings: RelaySettings; policy: HopPolicy; resolver: NextHopResolver; hooks: Hooks },
): Promise<HopChoice> {
  const { settings, policy, resolver, hooks } = parts;
  const refuse = (status: number, cause: string): HopChoice => ({ kind: 'refused', status, cause });
  const uri = parseUri(event.uri);
  if (uri === undefined) return refuse(400, 'bad URI');
  const { user, realm } = entry;
  const { method, pathLength } = event;

  const hook = hooks.nextHop?.bind(hooks);
  const wish =
    hook === undefined
      ? undefined
      : readWish(await runHook('nextHop', () => hook({ user, realm, uri: uri.text, method, pathLength })), uri.scheme);
  if (typeof wish === 'number') return refuse(wish, 'hook');
  const directed = wish;
  const target = directed ?? uri;
  const { host } = target;
  const tls = target.scheme === 'msrps';

  const isAuth = method === 'AUTH';
  if (directed === undefined && uri.transport !== 'tcp')
    return refuse(481, `transport ${uri.transport} cannot be dialled`);
  // Only the name of a relay in AUTH is looked up without a port (core C-112).
  if (target.port === undefined && !(isAuth && target.hostKind === 'name')) return refuse(400, 'port missing');
  // Without TLS the next hop is an endpoint that has no relay, never a relay.
  if (!tls && (pathLength > 1 || isAuth) && !settings.allowPlainAuth) return refuse(403, 'relay without TLS');

  if (!policy.allowsHost(host)) return refuse(403, 'host denied');
  const resolved = await resolver.resolve(target);
  const candidates = resolved.filter(({ address }) => policy.allowsAddress(host, address));
  if (candidates.length === 0)
    return resolved.length === 0 ? refuse(408, 'no address') : refuse(403, 'address not allowed');

  const select = hooks.selectSocket?.bind(hooks);
  const localAddress =
    select === undefined
      ? undefined
      : readLocalAddress(
          await runHook('selectSocket', () =>
            select({ user, realm, uri: uri.text, address: (candidates[0] as { address: string }).address }),
          ),
        );
  const domain = settings.dialTls?.(host, candidates[0] as { address: string; port: number }) ?? SYSTEM_DOMAIN;
  const verified = tls && domain.verifyCert;
  return {
    kind: 'connect',
    spec: {
      key: [
        tls ? 'msrps' : 'msrp',
        host,
        target.port ?? '',
        localAddress ?? '',
        ...(tls ? [domain.name, verified ? 'verified' : 'any'] : []),
        ...(tls && settings.certCheckOnReuse ? [identityOf(domain)] : []),
      ].join(' '),
      candidates,
      timeoutMs: settings.connectTimeoutMs,
      ...(tls ? { tls: { domain, serverName: host } } : {}),
      ...(localAddress === undefined ? {} : { localAddress }),
      // A certificate that was compared with the name proves the relay.
      ...(verified && (pathLength > 1 || isAuth) ? { relay: host } : {}),
    },
  };
}

/** Stands for the certificates of a domain: another one after a reload makes another connection. */
function identityOf({ identities }: TlsDomain): string {
  const hash = createHash('sha256');
  for (const { certificate } of identities) hash.update(certificate);
  return hash.digest('base64url');
}

/** What a `nextHop` hook wants: nothing, a status to refuse with, or another host. Throws when it is none of these. */
function readWish(wish: unknown, scheme: MsrpUri['scheme']): MsrpUri | number | undefined {
  if (wish === undefined || wish === null) return undefined;
  const { refuse, host, port, tls } = wish as Record<'refuse' | 'host' | 'port' | 'tls', unknown>;
  if (refuse !== undefined) {
    if (isFailure(refuse)) return refuse;
    throw new Error('hook nextHop: refuse must be a status from 400 to 699');
  }
  // An IPv6 address comes with or without brackets.
  const text = typeof host !== 'string' ? '' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const asked = tls === undefined ? scheme : tls === true ? 'msrps' : 'msrp';
  const uri = parseUri(`${asked}://${text}:${String(port)};tcp`);
  // Whatever else the text may hold, it is a host and that port only: nothing else of a URI.
  if (
    uri === undefined ||
    uri.port !== port ||
    uri.userinfo !== undefined ||
    !['undefined', 'boolean'].includes(typeof tls)
  )
    throw new Error('hook nextHop: expected {host, port, tls?} or {refuse}');
  return uri;
}

function readLocalAddress(address: unknown): string | undefined {
  if (address === undefined || address === null) return undefined;
  if (typeof address === 'string' && isIP(address) !== 0) return address;
  throw new Error('hook selectSocket: expected an IP address');
}
