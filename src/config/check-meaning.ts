import { accessSync, constants, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { ConfigProblem } from './config.ts';
import { isLoopback } from '../control/address.ts';
import { hopPatternProblem } from '../relay/next-hop/policy.ts';
import { checkOperation } from './check-operation.ts';
import { checkTlsDomain, commaList } from './check-tls.ts';
import { parseAuthority, parseListenerUri, parseOwnName } from './listener-uri.ts';
import type { ListenerUri } from './listener-uri.ts';
import type { RawConfig, RawTlsDomain } from './raw.ts';
import type { ConfigSource } from './source.ts';
import { keyText } from './source.ts';

type Path = readonly (string | number)[];

/**
 * What a schema cannot say: files that must be there, values that must fit together. Keys that the schema has found wrong
 * already (`bad`) are passed over.
 */
export function checkMeaning(
  source: ConfigSource,
  value: unknown,
  folder: string,
  bad: ReadonlySet<string>,
): { problems: ConfigProblem[]; warnings: ConfigProblem[] } {
  const checker = new MeaningChecker(source, folder);
  // Parts that are missing or of another type are read as empty: the schema has said so.
  const raw = value as Partial<RawConfig> | null | undefined;
  if (raw !== null && typeof raw === 'object' && !Array.isArray(raw)) checker.check(raw, bad);
  return { problems: checker.problems.filter(({ key }) => !bad.has(key)), warnings: checker.warnings };
}

class MeaningChecker {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly #source: ConfigSource;
  readonly #folder: string;

  constructor(source: ConfigSource, folder: string) {
    this.#source = source;
    this.#folder = folder;
  }

  check(raw: Partial<RawConfig>, bad: ReadonlySet<string>): void {
    const domains = record(record(raw.tls)['domains']) as Record<string, RawTlsDomain>;
    const listeners = Array.isArray(raw.listeners) ? raw.listeners : [];
    this.#listeners(listeners, domains, record(raw.relay));
    const uris = listeners.map((entry) => (typeof entry === 'string' ? entry : record(entry)['uri']));
    const parsed = uris.map((uri) => (typeof uri === 'string' ? parseListenerUri(uri) : ''));
    this.#domains(
      domains,
      parsed.filter((uri) => typeof uri !== 'string').filter(({ scheme }) => scheme === 'msrps'),
      bad,
    );
    this.#relay(record(raw.relay));
    this.#limits(record(raw.msrp), record(raw.limits));
    checkOperation(raw, {
      wrong: (path, message) => this.#wrong(path, message),
      warn: (path, message) => this.#warn(path, message),
      file: (path, name) => this.#file(path, name),
      folder: this.#folder,
    });
    if (typeof raw.hooks === 'string') this.#file(['hooks'], raw.hooks);
  }

  #listeners(
    listeners: RawConfig['listeners'],
    domains: Record<string, RawTlsDomain>,
    relay: Record<string, unknown>,
  ): void {
    const seen = new Map<string, number>();
    for (const [i, entry] of listeners.entries()) {
      const { uri, advertise, tls_domain: tlsDomain } = typeof entry === 'string' ? { uri: entry } : record(entry);
      const path: Path = typeof entry === 'string' ? ['listeners', i] : ['listeners', i, 'uri'];
      if (typeof uri !== 'string') continue;
      const parsed = parseListenerUri(uri);
      if (typeof parsed === 'string') {
        this.#wrong(path, parsed);
        continue;
      }
      const place = `${parsed.address.toLowerCase()} ${parsed.port}`;
      const before = seen.get(place);
      if (before !== undefined && parsed.port !== 0) this.#wrong(path, `listens where listeners[${before}] does`);
      seen.set(place, i);
      this.#advertise(i, path, parsed, advertise, relay);
      if (parsed.scheme === 'msrps') this.#tlsListener(path, i, tlsDomain, domains);
      else if (tlsDomain !== undefined)
        this.#wrong(['listeners', i, 'tls_domain'], 'an msrp listener has no TLS domain');
      else if (!isLoopback(parsed.address)) {
        const plain = relay['allow_plain_auth'] === true;
        this.#warn(
          path,
          plain ? 'AUTH is served without TLS beyond loopback' : 'AUTH is refused on a listener without TLS',
        );
      }
    }
  }

  #advertise(i: number, path: Path, parsed: ListenerUri, advertise: unknown, relay: Record<string, unknown>): void {
    const authority = typeof advertise === 'string' ? parseAuthority(advertise, parsed.port) : undefined;
    if (typeof authority === 'string') {
      this.#wrong(['listeners', i, 'advertise'], authority);
      return;
    }
    const host = authority?.host ?? parsed.address;
    const where: Path = authority === undefined ? path : ['listeners', i, 'advertise'];
    if (host === '0.0.0.0' || host === '::')
      this.#wrong(where, 'clients cannot reach this address: set advertise to a host name');
    else if (isIP(host) !== 0 && relay['allow_ip_use_path'] !== true) {
      this.#wrong(where, 'a relay URI needs a host name: set advertise, or relay.allow_ip_use_path for tests');
    }
  }

  #tlsListener(path: Path, i: number, name: unknown, domains: Record<string, RawTlsDomain>): void {
    const serves = ({ type, certificate }: RawTlsDomain): boolean => type !== 'client' && certificate !== undefined;
    if (typeof name !== 'string') {
      if (!Object.values(domains).some((domain) => serves(record(domain))))
        this.#wrong(
          path,
          'there is no TLS domain for it: expected tls.domains.default with certificate and private_key',
        );
      return;
    }
    const where: Path = ['listeners', i, 'tls_domain'];
    const domain = domains[name];
    if (domain === undefined) this.#wrong(where, `there is no tls.domains.${name}`);
    else if (domain.type === 'client') this.#wrong(where, `tls.domains.${name} is for clients only`);
    else if (!serves(domain)) this.#wrong(where, `tls.domains.${name} needs certificate and private_key`);
  }

  /** Keys that the schema has found wrong are read as if they were not there. */
  #domains(domains: Record<string, RawTlsDomain>, listeners: readonly ListenerUri[], bad: ReadonlySet<string>): void {
    const seen = new Map<string, string>();
    for (const [name, value] of Object.entries(domains)) {
      const path: Path = ['tls', 'domains', name];
      const raw = Object.fromEntries(
        Object.entries(record(value)).filter(([key]) => !isBad(bad, keyText([...path, key]))),
      ) as RawTlsDomain;
      for (const { path: key, message, warning } of checkTlsDomain(
        raw,
        (file) => resolve(this.#folder, file),
        listeners,
      )) {
        if (warning === true) this.#warn([...path, ...key], message);
        else this.#wrong([...path, ...key], message);
      }
      if (raw.type === 'client') continue;
      if (raw.type === 'server' && raw.certificate === undefined)
        this.#wrong(path, 'a server domain needs certificate and private_key');
      for (const address of commaList(raw.match_ip_address)) {
        for (const pattern of commaList(raw.match_sip_domain)) {
          const place = `${address} ${pattern}`.toLowerCase();
          const before = seen.get(place);
          if (before !== undefined && pattern !== '*' && pattern !== 'none')
            this.#wrong(
              [...path, 'match_sip_domain'],
              `${pattern} can never match: tls.domains.${before} has it already`,
            );
          else seen.set(place, name);
        }
      }
    }
  }

  #relay(relay: Record<string, unknown>): void {
    const [least, usual, most] = [relay['auth_min_expires'], relay['auth_expires'], relay['auth_max_expires']];
    if (typeof least === 'number' && typeof usual === 'number' && usual < least) {
      this.#wrong(['relay', 'auth_expires'], `expected at least auth_min_expires (${least})`);
    }
    if (typeof most === 'number' && typeof usual === 'number' && usual > most) {
      this.#wrong(['relay', 'auth_expires'], `expected at most auth_max_expires (${most})`);
    }
    for (const [i, name] of strings(relay['my_uri'])) {
      if (parseOwnName(name) === undefined)
        this.#wrong(['relay', 'my_uri', i], 'expected HOST, HOST:PORT or an MSRP URI');
    }
    const hops = record(relay['next_hops']);
    for (const key of ['allow', 'deny']) {
      for (const [i, pattern] of strings(hops[key])) {
        const problem = hopPatternProblem(pattern);
        if (problem !== undefined) this.#wrong(['relay', 'next_hops', key, i], problem);
      }
    }
    const { file, hook } = record(relay['users']);
    if (typeof file === 'string' && typeof hook === 'string')
      this.#wrong(['relay', 'users', 'hook'], 'either file or hook, not both');
    if (typeof file === 'string') this.#file(['relay', 'users', 'file'], file);
    if (typeof hook === 'string') this.#file(['relay', 'users', 'hook'], hook);
    if (file === undefined && hook === undefined)
      this.#warn(['relay', 'users'], 'there are no users: nobody can open a session');
  }

  #limits(msrp: Record<string, unknown>, limits: Record<string, unknown>): void {
    const sendTimeout = msrp['send_timeout'];
    if (typeof sendTimeout === 'number' && sendTimeout > 0 && sendTimeout < 1000) {
      this.#warn(
        ['msrp', 'send_timeout'],
        `${sendTimeout} ms closes readers on slow networks; 30000 is a value for the Internet`,
      );
    }
    const handshake = msrp['tls_handshake_timeout'];
    if (typeof handshake === 'number' && handshake > 0 && handshake < 1000) {
      this.#warn(
        ['msrp', 'tls_handshake_timeout'],
        `${handshake} ms refuses clients on slow networks: a handshake takes two round trips; 5000 is the default`,
      );
    }
    const chunks = msrp['max_msg_chunks'];
    if (typeof chunks === 'number' && chunks > 0 && chunks < 16) {
      this.#warn(
        ['msrp', 'max_msg_chunks'],
        `peers that write header by header need more than ${chunks} reads; 0 is no limit`,
      );
    }
    const outbox = limits['outbox_bytes'];
    if (typeof outbox === 'number' && outbox > 0 && outbox < 4096)
      this.#wrong(['limits', 'outbox_bytes'], 'expected 0, or 4096 or more');
  }

  #file(path: Path, name: string): void {
    try {
      const file = resolve(this.#folder, name);
      if (!statSync(file).isFile()) this.#wrong(path, `${file} is no file`);
      else accessSync(file, constants.R_OK);
    } catch (error) {
      this.#wrong(
        path,
        `cannot read ${resolve(this.#folder, name)}: ${(error as { code?: string }).code ?? String(error)}`,
      );
    }
  }

  #wrong(path: Path, message: string): void {
    this.problems.push(this.#source.problem(path, message));
  }

  #warn(path: Path, message: string): void {
    this.warnings.push(this.#source.problem(path, message));
  }
}

function record(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** The schema has found this key wrong, or something in it. */
function isBad(bad: ReadonlySet<string>, key: string): boolean {
  for (const other of bad) if (other === key || other.startsWith(`${key}[`)) return true;
  return false;
}

function* strings(value: unknown): Generator<[number, string]> {
  if (!Array.isArray(value)) return;
  for (const [i, entry] of value.entries()) if (typeof entry === 'string') yield [i, entry];
}
