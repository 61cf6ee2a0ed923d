import { isIPv6 } from 'node:net';

/** A collector. */
export interface HepDestination {
  readonly host: string;
  readonly port: number;
  readonly version: 1 | 2 | 3;
  readonly transport: 'udp' | 'tcp' | 'tls';
  /** Another transport was asked for, which has no such version. */
  readonly fellBack: boolean;
}

const DEFAULT_PORT = 9060;

/** Parses `HOST[:PORT][;version=1|2|3][;transport=udp|tcp|tls]` as proto_hep does (H-029); a text says what is wrong. */
export function parseHepId(text: string): HepDestination | string {
  const [place, ...params] = text.split(';').map((part) => part.trim());
  const match = /^(?:\[([^\]]*)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/.exec(place as string);
  if (match === null) return 'expected HOST[:PORT][;version=1|2|3][;transport=udp|tcp|tls]';
  const [, v6, name, portText] = match;
  if (v6 !== undefined && !isIPv6(v6)) return `${v6} is no IPv6 address`;
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (port < 1 || port > 65535) return `port ${portText} is not between 1 and 65535`;
  let version: 1 | 2 | 3 = 3;
  let transport: HepDestination['transport'] = 'tcp';
  for (const param of params) {
    if (param === '') continue;
    const [key = '', value = ''] = param.split('=', 2).map((part) => part.trim());
    if (key === 'version' && /^[123]$/.test(value)) version = Number(value) as 1 | 2 | 3;
    else if (key === 'transport' && /^(udp|tcp|tls)$/.test(value)) transport = value as HepDestination['transport'];
    else return `unknown parameter ${param}: expected version=1|2|3 or transport=udp|tcp|tls`;
  }
  const fellBack = version < 3 && transport !== 'udp';
  return { host: v6 ?? (name as string), port, version, transport: fellBack ? 'udp' : transport, fellBack };
}
