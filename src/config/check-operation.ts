import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { readToken } from '../control/access.ts';
import { isLoopback, parseControlAddress } from '../control/address.ts';
import { parsePeers } from '../trace/filter.ts';
import { parseHepId } from '../trace/hep-id.ts';
import type { RawConfig } from './raw.ts';

type Path = readonly (string | number)[];

/** How mistakes are told, and files looked at. */
export interface Findings {
  readonly wrong: (path: Path, message: string) => void;
  readonly warn: (path: Path, message: string) => void;
  readonly file: (path: Path, name: string) => void;
  readonly folder: string;
}

/** Checks what belongs to operators: tracing, the control interface. Parts that the schema has found wrong are passed over. */
export function checkOperation(raw: Partial<RawConfig>, findings: Findings): void {
  checkControl(record(raw.control), findings);
  checkTrace(record(raw.msrp), record(raw.hep), raw, findings);
}

function checkControl(control: Record<string, unknown>, { wrong, warn, folder }: Findings): void {
  const { listen, token_file: tokenFile } = control;
  const hasToken = typeof tokenFile === 'string';
  if (hasToken) {
    const file = resolve(folder, tokenFile);
    const read = readToken(file);
    if (typeof read === 'string') wrong(['control', 'token_file'], read);
    else if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0)
      warn(['control', 'token_file'], `others can read ${file}: chmod 600`);
  }
  if (typeof listen !== 'string') {
    if (hasToken) warn(['control', 'token_file'], 'there is no control.listen');
    return;
  }
  const address = parseControlAddress(listen);
  if (typeof address === 'string') wrong(['control', 'listen'], address);
  else if (!isLoopback(address.host)) {
    if (!hasToken)
      wrong(['control', 'listen'], 'others can reach this address: set control.token_file, or listen on 127.0.0.1');
    else warn(['control', 'listen'], 'the token crosses the network in clear text: put a proxy with TLS before it');
  }
}

function checkTrace(
  msrp: Record<string, unknown>,
  hep: Record<string, unknown>,
  raw: Partial<RawConfig>,
  { wrong, warn, file }: Findings,
): void {
  const collectors = record(hep['hep_id']);
  for (const [name, text] of Object.entries(collectors)) {
    if (typeof text !== 'string') continue;
    const parsed = parseHepId(text);
    if (typeof parsed === 'string') wrong(['hep', 'hep_id', name], parsed);
    else if (parsed.fellBack)
      warn(['hep', 'hep_id', name], 'versions below 3 go over UDP only, so udp is what is used');
  }
  if (typeof hep['ca_list'] === 'string') file(['hep', 'ca_list'], hep['ca_list']);
  const { trace_destination: destination, trace_on: on, trace_filter_route: rules } = msrp;
  if (typeof destination === 'string' && !(destination in collectors))
    wrong(['msrp', 'trace_destination'], `there is no hep.hep_id.${destination}`);
  if (destination === undefined && on === true) wrong(['msrp', 'trace_on'], 'needs trace_destination');
  if (!Array.isArray(rules)) return;
  const listeners = Array.isArray(raw.listeners) ? raw.listeners : [];
  const known = listeners.map((entry) => (typeof entry === 'string' ? entry : entry?.uri));
  for (const [i, rule] of rules.entries()) {
    const { peer, listener } = record(rule);
    const path: Path = ['msrp', 'trace_filter_route', i];
    if (typeof peer === 'string' && parsePeers(peer) === undefined)
      wrong([...path, 'peer'], 'expected an IP address or a CIDR block');
    if (typeof listener === 'string' && !known.includes(listener))
      wrong([...path, 'listener'], `no listener is written like that: ${known.join(', ')}`);
  }
}

function record(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
