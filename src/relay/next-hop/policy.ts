import { BlockList, isIP, isIPv4 } from 'node:net';
import { shortestIpv6 } from '../../syntax/uri.ts';

/** What a list of next hops holds: CIDR blocks and host patterns. */
export interface HopPatterns {
  readonly blocks: BlockList;
  readonly hosts: readonly RegExp[];
}

/**
 * Where this relay may connect to on behalf of a session (relay R-093, core C-153): no open proxy into private networks.
 *
 * A host that the deny list names is refused; else, when the allow list names it or the address, it is allowed; else only
 * addresses of the public Internet are. What counts are the addresses that a name resolves to, not the name.
 */
export class HopPolicy {
  readonly #allow: HopPatterns;
  readonly #deny: HopPatterns;

  constructor(lists: { readonly allow: readonly string[]; readonly deny: readonly string[] }) {
    this.#allow = compile(lists.allow);
    this.#deny = compile(lists.deny);
  }

  /** False when the name itself is denied; addresses are judged on their own. */
  allowsHost(host: string): boolean {
    return !matchesHost(this.#deny, host);
  }

  /** Whether `address`, which `host` resolves to (or is), may be dialled. */
  allowsAddress(host: string, address: string): boolean {
    const plain = embeddedIpv4(address) ?? address;
    if (matchesAddress(this.#deny, plain) || matchesAddress(this.#deny, address)) return false;
    if (matchesHost(this.#allow, host) || matchesAddress(this.#allow, plain)) return true;
    return !inBlock(NOT_PUBLIC, plain) && !inBlock(NOT_PUBLIC, address);
  }
}

/** Why a pattern of `next_hops` is none; undefined when it is good. For the configuration. */
export function hopPatternProblem(pattern: string): string | undefined {
  const slash = pattern.indexOf('/');
  if (slash >= 0) {
    const [address, bits] = [pattern.slice(0, slash), pattern.slice(slash + 1)];
    const kind = isIP(address);
    if (kind === 0) return 'expected an IP address before the slash';
    return /^\d{1,3}$/.test(bits) && Number(bits) <= (kind === 4 ? 32 : 128)
      ? undefined
      : 'the prefix length is out of range';
  }
  if (isIP(pattern) !== 0) return undefined;
  return /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$|^\*$/i.test(pattern)
    ? undefined
    : 'expected an IP address, a CIDR block, a host name, or a pattern such as *.example.com';
}

function compile(patterns: readonly string[]): HopPatterns {
  const blocks = new BlockList();
  const hosts: RegExp[] = [];
  for (const pattern of patterns) {
    const [address, bits] = pattern.split('/') as [string, string | undefined];
    const kind = isIP(address);
    if (kind === 0) {
      const source = pattern.toLowerCase().replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
      // A star stands for one label or more, at the front; alone, for every host.
      hosts.push(new RegExp(`^${source.replace('*', '.+')}$`));
    } else if (bits === undefined) blocks.addAddress(address, kind === 4 ? 'ipv4' : 'ipv6');
    else blocks.addSubnet(address, Number(bits), kind === 4 ? 'ipv4' : 'ipv6');
  }
  return { blocks, hosts };
}

function matchesHost(patterns: HopPatterns, host: string): boolean {
  return patterns.hosts.some((pattern) => pattern.test(host.toLowerCase()));
}

function matchesAddress(patterns: HopPatterns, address: string): boolean {
  return inBlock(patterns.blocks, address);
}

function inBlock(list: BlockList, address: string): boolean {
  const kind = isIP(address);
  // What is no address at all is nowhere allowed.
  return kind === 0 ? list === NOT_PUBLIC : list.check(address, kind === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Address blocks that are not part of the public Internet (IANA special-purpose registries). IPv4-mapped addresses are judged as
 * the IPv4 ones that they are; as a block they would stand for all of IPv4 here.
 */
const NOT_PUBLIC = new BlockList();
for (const [address, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  NOT_PUBLIC.addSubnet(address, bits, 'ipv4');
}
for (const [address, bits] of [
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  NOT_PUBLIC.addSubnet(address, bits, 'ipv6');
}

/** The IPv4 address that an IPv6 address leads to: mapped, NAT64 or 6to4. */
function embeddedIpv4(address: string): string | undefined {
  if (isIPv4(address) || isIP(address) === 0) return undefined;
  const groups = expand(shortestIpv6(address));
  const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  const [a, b, c, d, e, f, g, h] = groups as [number, number, number, number, number, number, number, number];
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) return dotted(g, h);
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return dotted(g, h);
  return a === 0x2002 ? dotted(b, c) : undefined;
}

function expand(address: string): number[] {
  const [head, tail] = address.split('::') as [string, string | undefined];
  const parse = (part: string | undefined): number[] =>
    part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [first, last] = [parse(head), parse(tail)];
  if (tail === undefined) return first;
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}
