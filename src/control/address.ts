import { BlockList, isIP, isIPv6 } from 'node:net';

/** Where the control interface listens. */
export interface ControlAddress {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Parses `http:HOST:PORT`; a text says what is wrong. */
export function parseControlAddress(text: string): ControlAddress | string {
  const match = /^http:(?:\/\/)?(?:\[([^\]]*)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})\/?$/.exec(text);
  if (match === null) return 'expected http:HOST:PORT, an IPv6 address in brackets';
  const [, v6, name, portText] = match;
  const port = Number(portText);
  if (v6 !== undefined && !isIPv6(v6)) return `${v6} is no IPv6 address`;
  if (port > 65535) return `port ${portText} is above 65535`;
  return { host: v6 ?? (name as string), port };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** True for an address, or the name, that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const kind = isIP(host);
  return kind === 0 ? host.toLowerCase() === 'localhost' : LOOPBACK.check(host, kind === 4 ? 'ipv4' : 'ipv6');
}
