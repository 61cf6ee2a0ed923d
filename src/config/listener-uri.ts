import { isIPv6 } from 'node:net';
import { parseUri } from '../syntax/uri.ts';

/** Where to listen. */
export interface ListenerUri {
  readonly scheme: 'msrp' | 'msrps' | 'ws' | 'wss';
  /** Name or address, IPv6 without brackets. */
  readonly address: string;
  /** 0…65535; 0 is any free port. */
  readonly port: number;
}

/** Ports where nothing says another one (RFC 4976 section 8, RFC 6455 section 3). */
const DEFAULT_PORTS = { msrp: 2855, msrps: 2855, ws: 80, wss: 443 } as const;

/** A listener for WebSocket clients. */
export function isWebSocket({ scheme }: Pick<ListenerUri, 'scheme'>): boolean {
  return scheme === 'ws' || scheme === 'wss';
}

/** Parses `msrp:HOST[:PORT]`, or the same with `msrps`, `ws` or `wss`; a text says what is wrong. */
export function parseListenerUri(text: string): ListenerUri | string {
  const match = /^([a-z]+):(.*)$/i.exec(text);
  const scheme = match?.[1]?.toLowerCase();
  if (match === null || scheme === undefined) return 'expected msrp:HOST[:PORT], or msrps, ws or wss instead of msrp';
  if (scheme !== 'msrp' && scheme !== 'msrps' && scheme !== 'ws' && scheme !== 'wss')
    return `unknown scheme ${scheme}: expected msrp, msrps, ws or wss`;
  const place = (match[2] as string).replace(/^\/\//, '').replace(/;tcp$/i, '');
  const authority = parseAuthority(place, DEFAULT_PORTS[scheme]);
  return typeof authority === 'string' ? authority : { scheme, address: authority.host, port: authority.port };
}

/** Parses `HOST[:PORT]`, IPv6 in brackets; a text says what is wrong. */
export function parseAuthority(text: string, defaultPort: number): { host: string; port: number } | string {
  const match = /^(?:\[([^\]]*)\]|([^[\]:]+))(?::([0-9]+))?$/.exec(text);
  if (match === null) return 'expected HOST[:PORT], an IPv6 address in brackets';
  const [, v6, name, portText] = match;
  if (v6 !== undefined && !isIPv6(v6)) return `${v6} is no IPv6 address`;
  if (name !== undefined && !/^[A-Za-z0-9._-]+$/.test(name)) return `${name} is no host name`;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port > 65535) return `port ${portText} is above 65535`;
  return { host: v6 ?? (name as string), port };
}

/** Parses a name of this relay: `host`, `host:port`, or an MSRP URI; undefined when it is none. Port 0 is any. */
export function parseOwnName(text: string): { host: string; port: number } | undefined {
  if (text.includes('://')) {
    const uri = parseUri(text);
    return uri === undefined ? undefined : { host: uri.host, port: uri.port ?? 0 };
  }
  const authority = parseAuthority(text, 0);
  return typeof authority === 'string' ? undefined : { host: authority.host.toLowerCase(), port: authority.port };
}
