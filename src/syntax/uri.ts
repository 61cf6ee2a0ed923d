import { isIPv4, isIPv6 } from 'node:net';

/** An MSRP URI, taken apart (RFC 4975 section 6, core C-110…C-117). */
export interface MsrpUri {
  /** As written. */
  readonly text: string;
  readonly scheme: 'msrp' | 'msrps';
  readonly userinfo?: string;
  /** Lower case, needless percent-escapes decoded; IPv6 without brackets, in its shortest form. */
  readonly host: string;
  readonly hostKind: 'name' | 'ipv4' | 'ipv6';
  /** 1…65535. */
  readonly port?: number;
  /** Byte for byte. Never empty. */
  readonly sessionId?: string;
  /** Lower case: `tcp`, `ws` … */
  readonly transport: string;
}

/**
 * Takes an MSRP URI apart; undefined when it is none.
 *
 * Rules: scheme without case; optional userinfo (skipped in comparison, C-114); host a bracketed IPv6 literal, or unreserved,
 * sub-delims without `;`, and escapes; port 1…65535; session-id non-empty; transport mandatory; then `;token[=token]`.
 */
export function parseUri(text: string): MsrpUri | undefined {
  const match = SHAPE.exec(text);
  if (match === null) return undefined;
  const [, scheme, userinfo, v6, name, portText, sessionId, transport] = match;
  if (transport === undefined || scheme === undefined) return undefined;
  let host: string;
  let hostKind: MsrpUri['hostKind'];
  if (v6 !== undefined) {
    if (!isIPv6(v6) || v6.includes('%')) return undefined;
    host = shortestIpv6(v6);
    hostKind = 'ipv6';
  } else {
    host = (name ?? '').replace(/%[0-9a-f]{2}/gi, decodeNeedless).toLowerCase();
    hostKind = isIPv4(host) ? 'ipv4' : 'name';
  }
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return {
    text,
    scheme: scheme.length === 5 ? 'msrps' : 'msrp',
    ...(userinfo === undefined ? {} : { userinfo }),
    host,
    hostKind,
    ...(port === undefined ? {} : { port }),
    ...(sessionId === undefined ? {} : { sessionId }),
    transport: transport.toLowerCase(),
  };
}

/**
 * Compares as RFC 4975 section 6.1 does: scheme, host (IP addresses by value), port (an absent one equals only an absent
 * one), session-id by byte, transport. Userinfo and further parameters do not count (C-114, D-19).
 */
export function sameUri(a: MsrpUri, b: MsrpUri): boolean {
  return (
    a.scheme === b.scheme &&
    a.host === b.host &&
    a.port === b.port &&
    a.sessionId === b.sessionId &&
    a.transport === b.transport
  );
}

/** Compares two URI texts; texts that are equal byte for byte need no parsing. */
export function sameUriText(a: string, b: string): boolean {
  if (a === b) return true;
  const x = parseUri(a);
  if (x === undefined) return false;
  const y = parseUri(b);
  return y !== undefined && sameUri(x, y);
}

/** Host as it stands in an authority: IPv6 in brackets (C-115). */
export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** IPv6 address in its shortest form (RFC 5952), so that equal addresses are equal texts. */
export function shortestIpv6(address: string): string {
  // The URL parser of the platform normalises exactly so; an address that it refuses is compared as written.
  try {
    return new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return address.toLowerCase();
  }
}

const UNRESERVED = String.raw`A-Za-z0-9\-._~`;
const SUB_DELIMS = `!$&'()*+,=`;
const TOKEN = String.raw`[!#-'*+\-.0-9A-Z^-~]+`;

/** One expression, linear: no two alternatives can begin with the same byte. */
const SHAPE = new RegExp(
  String.raw`^(msrps?)://` +
    `(?:((?:[${UNRESERVED}${SUB_DELIMS}:;]|%[0-9A-Fa-f]{2})*)@)?` +
    String.raw`(?:\[([0-9A-Fa-f:.]{2,45})\]|((?:[${UNRESERVED}${SUB_DELIMS}]|%[0-9A-Fa-f]{2})+))` +
    String.raw`(?::([0-9]{1,5}))?` +
    String.raw`(?:/([A-Za-z0-9\-._~+=/]+))?` +
    `;([A-Za-z0-9]+)` +
    `(?:;${TOKEN}(?:=${TOKEN})?)*$`,
  'i',
);

/** Decodes an escape of an unreserved character; any other stays, in upper case (RFC 3986 section 6.2.2). */
function decodeNeedless(escape: string): string {
  const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return /[A-Za-z0-9\-._~]/.test(char) ? char : escape.toUpperCase();
}
