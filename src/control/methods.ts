import { LATENCY_BOUNDS_MS } from '../engine/engine.ts';
import { RPC, RpcError } from './rpc.ts';
import type { RpcParams } from './rpc.ts';
import type { ControlTarget } from './target.ts';
import { connectionView, nextHopView, queueView, sessionView, snakeView } from './views.ts';

/** A control method. */
export interface Method {
  readonly description: string;
  /** In the order in which they may be given as a list. */
  readonly params: readonly ParamSpec[];
  /** It changes the relay: such a call leaves a line in the log, and cannot be made by GET. */
  readonly changes: (params: Readonly<Record<string, unknown>>) => boolean;
  readonly run: (target: ControlTarget, params: Readonly<Record<string, unknown>>) => unknown;
}

interface ParamSpec {
  readonly name: string;
  readonly type: 'integer' | 'string';
  readonly optional?: true;
  /** Largest number; none is below 0. */
  readonly maximum?: number;
}

const never = (): boolean => false;
const always = (): boolean => true;

/** Connections and sessions in one answer: a relay may have a hundred thousand. */
const DEFAULT_PAGE = 1000;
const PAGE: readonly ParamSpec[] = [
  { name: 'limit', type: 'integer', optional: true, maximum: 10_000 },
  { name: 'offset', type: 'integer', optional: true },
];

/** All control methods by name; names are those of OpenSIPS where it has them. */
export const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  [
    'msrp_trace',
    {
      description: 'whether connections are traced over HEP; on or off switches',
      params: [{ name: 'trace_mode', type: 'string', optional: true }],
      changes: (params) => params['trace_mode'] !== undefined,
      run: (target, { trace_mode: mode }) => {
        if (mode === undefined) return { 'MSRP tracing': target.tracing === true ? 'on' : 'off' };
        if (mode !== 'on' && mode !== 'off')
          throw new RpcError(RPC.INVALID_PARAMS, 'Invalid params', "trace_mode should be 'on' or 'off'");
        if (target.tracing === undefined && mode === 'on')
          throw new RpcError(RPC.FAILED, 'Server error', 'no msrp.trace_destination is configured');
        if (target.tracing !== undefined) target.tracing = mode === 'on';
        return 'OK';
      },
    },
  ],
  [
    'tls_list',
    {
      description: 'TLS domains: what they match, and their certificates with the days that are left',
      params: [],
      changes: never,
      run: (target) => target.tlsDomains().map(snakeView),
    },
  ],
  [
    'tls_reload',
    {
      description: 'read certificates and keys again',
      params: [],
      changes: always,
      run: async (target) => {
        await told(() => target.reloadTls());
        return 'OK';
      },
    },
  ],
  [
    'list_connections',
    {
      description: 'connections',
      params: PAGE,
      changes: never,
      run: (target, params) => page(target.connections(), params).map((info) => connectionView(info, target)),
    },
  ],
  [
    'close_connection',
    {
      description: 'close a connection',
      params: [{ name: 'id', type: 'integer' }],
      changes: always,
      run: (target, { id }) => done(target.closeConnection(id as number, 'command'), `no connection ${String(id)}`),
    },
  ],
  [
    'list_sessions',
    {
      description: 'sessions; of session-ids only the first characters, since they are secrets',
      params: PAGE,
      changes: never,
      run: (target, params) => page(target.sessions(), params).map((session) => sessionView(session, target)),
    },
  ],
  [
    'close_session',
    {
      description: 'close a session',
      params: [{ name: 'session', type: 'integer' }],
      changes: always,
      run: (target, { session }) => done(target.closeSession(session as number), `no session ${String(session)}`),
    },
  ],
  [
    'list_next_hops',
    {
      description: 'connections that this relay has made',
      params: PAGE,
      changes: never,
      run: (target, params) => {
        const hops = target.connections().filter(({ direction }) => direction === 'out');
        return page(hops, params).map((info) => nextHopView(info, target));
      },
    },
  ],
  [
    'list_queues',
    {
      description: 'connections that something waits for, the fullest first',
      params: PAGE,
      changes: never,
      run: (target, params) => {
        const waiting = target.connections().filter(({ queuedBytes, paused }) => queuedBytes > 0 || paused);
        return page(
          waiting.toSorted((a, b) => b.queuedBytes - a.queuedBytes),
          params,
        ).map(queueView);
      },
    },
  ],
  [
    'get_statistics',
    {
      description: 'counters since the start, and gauges',
      params: [],
      changes: never,
      run: (target) => ({ ...snakeView(target.stats()), latency_bounds_ms: LATENCY_BOUNDS_MS }),
    },
  ],
  [
    'engine',
    {
      description: 'which engine runs, and why',
      params: [],
      changes: never,
      run: ({ engine: { kind, framer, version, reason } }) => ({ kind, framer, version: version ?? null, reason }),
    },
  ],
  [
    'log_level',
    {
      description: 'the lowest level that is logged; a level sets it, until the next reload',
      params: [{ name: 'level', type: 'string', optional: true }],
      changes: (params) => params['level'] !== undefined,
      run: (target, { level }) => {
        if (level === undefined) return { level: target.logLevel };
        if (!LOG_LEVELS.includes(level as string))
          throw new RpcError(RPC.INVALID_PARAMS, 'Invalid params', `level should be one of ${LOG_LEVELS.join(', ')}`);
        target.logLevel = level as string;
        return 'OK';
      },
    },
  ],
  [
    'reload',
    {
      description: 'read the configuration again, as SIGHUP does',
      params: [],
      changes: always,
      run: async (target) => {
        const { reloadable, needsRestart } = await told(() => target.reloadSource());
        return { changed: reloadable, needs_restart: needsRestart };
      },
    },
  ],
  [
    'drain',
    {
      description: 'take nothing new, let what is under way finish, then end',
      params: [],
      changes: always,
      run: (target) => {
        target.beginDrain();
        return 'OK';
      },
    },
  ],
]);

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Parameters by name, whether they were given in a list or by name. Throws an RpcError for what the method does not take. */
export function readParams(method: Method, params: RpcParams): Readonly<Record<string, unknown>> {
  const wrong = (why: string): RpcError => new RpcError(RPC.INVALID_PARAMS, 'Invalid params', why);
  const given = new Map<string, unknown>();
  if (Array.isArray(params)) {
    if (params.length > method.params.length)
      throw wrong(`takes ${method.params.length === 0 ? 'none' : `at most ${method.params.length}`}`);
    for (const [i, value] of params.entries()) given.set((method.params[i] as ParamSpec).name, value);
  } else for (const [name, value] of Object.entries(params)) given.set(name, value);
  const result: Record<string, unknown> = {};
  for (const { name, type, optional, maximum = Number.MAX_SAFE_INTEGER } of method.params) {
    const value = given.get(name);
    given.delete(name);
    if (value === undefined) {
      if (optional !== true) throw wrong(`${name} is missing`);
      continue;
    }
    if (type === 'string' ? typeof value !== 'string' : !Number.isSafeInteger(value))
      throw wrong(`${name} should be ${type === 'string' ? 'a text' : 'a whole number'}`);
    if (typeof value === 'number' && (value < 0 || value > maximum)) throw wrong(`${name} should be 0 to ${maximum}`);
    result[name] = value;
  }
  const [unknown] = given.keys();
  if (unknown !== undefined) {
    const known = method.params.map(({ name }) => name).join(', ') || 'none';
    throw wrong(`unknown parameter; it takes ${known}`);
  }
  return result;
}

function page<T>(all: readonly T[], params: Readonly<Record<string, unknown>>): T[] {
  const { limit = DEFAULT_PAGE, offset = 0 } = params as { limit?: number; offset?: number };
  return all.slice(offset, offset + limit);
}

function done(found: boolean, missing: string): string {
  if (!found) throw new RpcError(RPC.NOT_FOUND, 'Not found', missing);
  return 'OK';
}

/** What an operator has to hear of a failure: the reason, as the log has it. */
async function told<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new RpcError(RPC.FAILED, 'Server error', error instanceof Error ? error.message : String(error));
  }
}
