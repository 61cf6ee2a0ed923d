import type { ConnectSpec, HopEvent, TlsSpec } from '../../engine/engine.ts';
import { parseUri } from '../../syntax/uri.ts';
import { runHook } from '../hooks.ts';
import type { Hooks } from '../hooks.ts';
import type { SessionEntry } from '../sessions.ts';
import type { RelaySettings } from '../settings.ts';
import type { HopPolicy } from './policy.ts';
import type { NextHopResolver } from './resolver.ts';

export type HopChoice =
  | { readonly kind: 'connect'; readonly spec: ConnectSpec }
  | { readonly kind: 'refused'; readonly status: number; readonly cause: string };

/** Decides whether and where to connect for a session (relay …R-103): hook, policy, DNS, policy again. */
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
      : await runHook('nextHop', () => hook({ user, realm, uri: uri.text, method, pathLength }));
  if (wish !== undefined && wish !== null && 'refuse' in wish) return refuse(wish.refuse, 'hook');
  const directed = wish ?? undefined;
  const tls = directed === undefined ? uri.scheme === 'msrps' : (directed.tls ?? uri.scheme === 'msrps');

  const isAuth = method === 'AUTH';
  if (directed === undefined && uri.transport !== 'tcp')
    return refuse(481, `transport ${uri.transport} cannot be dialled`);
  // Only the URI of a relay in AUTH is looked up without a port (core C-112).
  if (directed === undefined && uri.port === undefined && !isAuth) return refuse(400, 'port missing');
  // Without TLS the next hop is an endpoint that has no relay, never a relay.
  if (!tls && (pathLength > 1 || isAuth) && !settings.allowPlainAuth) return refuse(403, 'relay without TLS');

  const host = directed?.host.toLowerCase() ?? uri.host;
  if (!policy.allowsHost(host)) return refuse(403, 'host denied');
  const target =
    directed === undefined
      ? uri
      : (parseUri(`${tls ? 'msrps' : 'msrp'}://${bracket(host)}:${directed.port};tcp`) ?? uri);
  const resolved = await resolver.resolve(target);
  const candidates = resolved.filter(({ address }) => policy.allowsAddress(host, address));
  if (candidates.length === 0)
    return resolved.length === 0 ? refuse(408, 'no address') : refuse(403, 'address not allowed');

  const select = hooks.selectSocket?.bind(hooks);
  const localAddress =
    select === undefined
      ? undefined
      : await runHook('selectSocket', () =>
          select({ user, realm, uri: uri.text, address: (candidates[0] as { address: string }).address }),
        );
  const spec = settings.dialTls ?? DEFAULT_TLS;
  const verified = tls && spec.verifyCert;
  return {
    kind: 'connect',
    spec: {
      key: `${tls ? 'msrps' : 'msrp'} ${host} ${target.port ?? ''} ${localAddress ?? ''}`,
      candidates,
      timeoutMs: settings.connectTimeoutMs,
      ...(tls ? { tls: { ...spec, serverName: host } } : {}),
      ...(typeof localAddress === 'string' ? { localAddress } : {}),
      // A certificate that was compared with the name proves the relay.
      ...(verified && (pathLength > 1 || isAuth) ? { relay: host } : {}),
    },
  };
}

const DEFAULT_TLS: TlsSpec = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', verifyCert: true };

function bracket(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
