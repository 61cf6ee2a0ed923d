import { BlockList, isIP } from 'node:net';
import type { TraceRule } from './settings.ts';

/** What a filter sees of a connection. */
export interface TraceFacts {
  readonly direction: 'in' | 'out';
  readonly remote: { readonly address: string; readonly port: number };
  readonly local: { readonly address: string; readonly port: number };
  /** As written in the configuration. */
  readonly listener: string | undefined;
  /** Users of sessions that were opened on it. */
  readonly users: readonly string[];
  readonly tlsNames: readonly string[];
}

export type TraceDecision = 'trace' | 'drop';

/** Compiles rules: the first one that fits decides, and a connection that none fits is traced. */
export function compileRules(rules: readonly TraceRule[]): (facts: TraceFacts) => TraceDecision {
  const compiled = rules.map((rule) => ({ action: rule.action, fits: compile(rule) }));
  return (facts) => compiled.find(({ fits }) => fits(facts))?.action ?? 'trace';
}

/** An address or a CIDR block; undefined when it is none. */
export function parsePeers(text: string): BlockList | undefined {
  const [address = '', bits, ...rest] = text.split('/');
  const kind = isIP(address);
  if (kind === 0 || rest.length > 0) return undefined;
  const most = kind === 4 ? 32 : 128;
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity;
  if (length > most) return undefined;
  const list = new BlockList();
  list.addSubnet(address, length, kind === 4 ? 'ipv4' : 'ipv6');
  return list;
}

function compile(rule: TraceRule): (facts: TraceFacts) => boolean {
  const { port, listener, direction, user } = rule;
  const peers = rule.peer === undefined ? undefined : parsePeers(rule.peer);
  const tlsName = rule.tlsName?.toLowerCase();
  return (facts) =>
    (peers === undefined || isIn(peers, facts.remote.address)) &&
    (port === undefined || port === facts.remote.port) &&
    (listener === undefined || listener === facts.listener) &&
    (direction === undefined || direction === facts.direction) &&
    (user === undefined || facts.users.includes(user)) &&
    (tlsName === undefined || facts.tlsNames.some((name) => isNamed(tlsName, name)));
}

function isIn(peers: BlockList, address: string): boolean {
  const kind = isIP(address);
  return kind !== 0 && peers.check(address, kind === 4 ? 'ipv4' : 'ipv6');
}

function isNamed(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === name;
  const dot = name.indexOf('.');
  return dot > 0 && name.slice(dot) === pattern.slice(1);
}
