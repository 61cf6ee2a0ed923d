import { Resolver, lookup } from 'node:dns/promises';
import type { MsrpUri } from '../../syntax/uri.ts';

/** An address to dial, in the order in which they are tried. */
export interface Candidate {
  readonly address: string;
  readonly port: number;
}

interface AddressRecord {
  readonly address: string;
  readonly ttl: number;
}

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** The questions that are asked of DNS. A name that does not exist is an empty answer; anything else that fails rejects. */
export interface Dns {
  resolve4(name: string): Promise<readonly AddressRecord[]>;
  resolve6(name: string): Promise<readonly AddressRecord[]>;
  resolveSrv(name: string): Promise<readonly SrvRecord[]>;
  /** The hosts file and whatever else the system asks. */
  lookup(name: string): Promise<readonly string[]>;
}

export interface ResolverEnvironment {
  nowMs(): number;
  /** At least 0, below 1. */
  random(): number;
}

/** Finds the addresses of next hops (relay R-100…R-103, core section 7 "Resolution"), and remembers them for their TTL. */
export class NextHopResolver {
  readonly #dns: Dns;
  readonly #environment: ResolverEnvironment;
  /** Answers and questions under way, oldest first. */
  readonly #cache = new Map<string, { untilMs: number; answer: Promise<unknown> }>();

  constructor(environment: ResolverEnvironment, dns: Dns = systemDns()) {
    this.#environment = environment;
    this.#dns = dns;
  }

  /** Candidates of a URI; empty when there are none. Only a name without port is looked up by SRV. */
  async resolve(uri: Pick<MsrpUri, 'scheme' | 'host' | 'hostKind' | 'port'>): Promise<Candidate[]> {
    const { host, hostKind, port } = uri;
    if (hostKind !== 'name') return port === undefined ? [] : [{ address: host, port }];
    if (port !== undefined) return this.#addresses(host, port);
    const services = uri.scheme === 'msrps' ? await this.#srv(`_msrps._tcp.${host}`) : [];
    const targets = services.filter(({ name }) => name !== '' && name !== '.');
    if (targets.length === 0) return services.length > 0 ? [] : this.#addresses(host, MSRP_PORT);
    // Whoever owns the zone decides how many there are; they are asked for at once, so that the time is bounded, too.
    const chosen = orderSrv(targets, () => this.#environment.random()).slice(0, MAX_TARGETS);
    const found = await Promise.allSettled(chosen.map((target) => this.#addresses(target.name, target.port)));
    const candidates = found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const failure = found.find((result) => result.status === 'rejected');
    if (candidates.length === 0 && failure !== undefined) throw failure.reason;
    return candidates.slice(0, MAX_CANDIDATES);
  }

  async #addresses(name: string, port: number): Promise<Candidate[]> {
    const addresses = await this.#cached(`A ${name}`, async () => {
      const answers = await Promise.allSettled([this.#dns.resolve6(name), this.#dns.resolve4(name)]);
      const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      if (records.length > 0) return { value: records.map(({ address }) => address), ttlS: minTtl(records) };
      return { value: await this.#dns.lookup(name), ttlS: HOSTS_TTL_S };
    });
    return [...new Set(addresses)].slice(0, MAX_CANDIDATES).map((address) => ({ address, port }));
  }

  async #srv(name: string): Promise<readonly SrvRecord[]> {
    // The platform does not tell the TTL of SRV records.
    return this.#cached(`SRV ${name}`, async () => ({ value: await this.#dns.resolveSrv(name), ttlS: SRV_TTL_S }));
  }

  /**
   * Asks once for what many want at the same time, for as long as the question is under way. A failure is remembered for a
   * moment, so as not to be asked in a loop.
   */
  async #cached<T extends readonly unknown[]>(key: string, ask: () => Promise<{ value: T; ttlS: number }>): Promise<T> {
    const nowMs = this.#environment.nowMs();
    const known = this.#cache.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.answer as Promise<T>;
    this.#cache.delete(key);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size < MAX_CACHED) break;
      this.#cache.delete(oldest);
    }
    const entry = { untilMs: Infinity, answer: Promise.resolve() as Promise<unknown> };
    const keep = (seconds: number): void => void (entry.untilMs = this.#environment.nowMs() + seconds * 1000);
    const answer = inTime(key, ask()).then(
      ({ value, ttlS }) => {
        keep(value.length === 0 ? NEGATIVE_TTL_S : Math.min(Math.max(ttlS, MIN_TTL_S), MAX_TTL_S));
        return value;
      },
      (error: unknown) => {
        keep(NEGATIVE_TTL_S);
        throw error;
      },
    );
    entry.answer = answer;
    this.#cache.set(key, entry);
    return answer;
  }
}

/** RFC 2782: lowest priority first; within one, at random by weight. */
export function orderSrv(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const priorities = [...new Set(records.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  for (const priority of priorities) {
    // Those of weight 0 stand in front, so that they are chosen now and then.
    const rest = records.filter((record) => record.priority === priority).toSorted((a, b) => a.weight - b.weight);
    while (rest.length > 0) {
      let total = 0;
      for (const { weight } of rest) total += weight;
      const chosen = random() * total;
      let sum = 0;
      const at = rest.findIndex(({ weight }) => (sum += weight) >= chosen);
      ordered.push(...rest.splice(Math.max(at, 0), 1));
    }
  }
  return ordered;
}

/** Recommended port, where nothing says another one. */
const MSRP_PORT = 2855;
const MAX_CANDIDATES = 16;
const MAX_TARGETS = 8;
/** One question, its fallbacks included; a next hop without a port takes two. Less than the 30 s of a transaction. */
const QUESTION_TIMEOUT_MS = 10_000;
const MAX_CACHED = 10_000;
const MIN_TTL_S = 5;
const MAX_TTL_S = 3600;
const SRV_TTL_S = 60;
const HOSTS_TTL_S = 30;
const NEGATIVE_TTL_S = 5;

/** The hosts file and what the system asks besides may take for ever; nobody waits that long. */
async function inTime<T>(question: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in time: ${question}`)), QUESTION_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function minTtl(records: readonly AddressRecord[]): number {
  return Math.min(...records.map(({ ttl }) => ttl));
}

/** DNS of the platform, with a bound on the time of each question. */
function systemDns(): Dns {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  return {
    resolve4: (name) => resolver.resolve4(name, { ttl: true }).catch(noneOrThrow),
    resolve6: (name) => resolver.resolve6(name, { ttl: true }).catch(noneOrThrow),
    resolveSrv: (name) => resolver.resolveSrv(name).catch(noneOrThrow),
    lookup: async (name) => {
      const found = await lookup(name, { all: true }).catch(noneOrThrow);
      return found.map(({ address }) => address);
    },
  };
}

function noneOrThrow(error: unknown): never[] {
  const { code } = error as { code?: string };
  if (
    code === 'ENOTFOUND' ||
    code === 'ENODATA' ||
    code === 'EAI_AGAIN' ||
    code === 'EREFUSED' ||
    code === 'ECONNREFUSED'
  )
    return [];
  throw error;
}
