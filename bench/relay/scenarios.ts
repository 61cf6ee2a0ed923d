/** What a scenario's cost is counted in. */
export type Cost = 'µs/message' | 'µs/file' | 'µs/session' | 'bytes/session';

/** One load, the same for every relay. */
export interface Scenario {
  readonly name: string;
  readonly cost: Cost;
  /** Arguments of msrp-load, without the relay, `--warmup` and `--duration`. */
  readonly load: readonly string[];
  /** Clients connect by TLS. */
  readonly tls: boolean;
  /** Connections, each with a file descriptor in the relay and one in the generator. */
  readonly connections: number;
  /** Memory is measured from a process that has done nothing before. */
  readonly freshProcess: boolean;
  /** Part of `--quick`. */
  readonly quick: boolean;
}

/** Octets that a scenario may have in flight: the bare relay queues all of it, and so do sockets. */
const MAX_IN_FLIGHT_BYTES = 128_000_000;

const QUICK = new Set(['chat-16x1-200', 'chat-16x16-200', 'chat-16x1-60000', 'file', 'idle', 'storm']);

/** Those that are there with TLS, too. */
const SECURE = new Set(['chat-16x1-200', 'chat-16x16-200', 'chat-16x1-60000', 'idle', 'storm']);

const PLAIN: readonly Scenario[] = [...chats(), file(), idle(), storm()];

/** Every scenario: `chat-PAIRSxWINDOW-BYTES`, `file`, `idle`, `storm`; some as `tls-…`. */
export const SCENARIOS: readonly Scenario[] = [
  ...PLAIN,
  ...PLAIN.filter(({ name }) => SECURE.has(name)).map((scenario) => ({
    ...scenario,
    name: `tls-${scenario.name}`,
    load: [...scenario.load, '--tls'],
    tls: true,
    quick: scenario.quick && scenario.name !== 'idle',
  })),
];

function chats(): Scenario[] {
  const scenarios: Scenario[] = [];
  for (const pairs of [1, 16, 256, 2000]) {
    for (const window of [1, 16]) {
      for (const size of [200, 2000, 60_000]) {
        if (pairs * window * size > MAX_IN_FLIGHT_BYTES) continue;
        const name = `chat-${pairs}x${window}-${size}`;
        const load = ['chat', '--pairs', `${pairs}`, '--window', `${window}`, '--size', `${size}`];
        const quick = QUICK.has(name);
        scenarios.push({
          name,
          cost: 'µs/message',
          load,
          connections: 2 * pairs,
          freshProcess: false,
          tls: false,
          quick,
        });
      }
    }
  }
  return scenarios;
}

/** Files of 1 MB in chunks of 16 KiB. */
function file(): Scenario {
  const load = ['file', '--pairs', '8', '--window', '4', '--size', '1000000', '--chunk', '16384'];
  return {
    name: 'file',
    cost: 'µs/file',
    load,
    connections: 16,
    freshProcess: false,
    tls: false,
    quick: QUICK.has('file'),
  };
}

function idle(): Scenario {
  const load = ['idle', '--sessions', '9000'];
  return {
    name: 'idle',
    cost: 'bytes/session',
    load,
    connections: 9000,
    freshProcess: true,
    tls: false,
    quick: QUICK.has('idle'),
  };
}

function storm(): Scenario {
  const load = ['storm', '--concurrency', '32'];
  return {
    name: 'storm',
    cost: 'µs/session',
    load,
    connections: 32,
    freshProcess: false,
    tls: false,
    quick: QUICK.has('storm'),
  };
}
