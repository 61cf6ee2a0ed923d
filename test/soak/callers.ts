import { RPC } from '../../src/control/rpc.ts';

/** What a call is to be answered with: an HTTP status, and the code of a JSON-RPC error, or none. */
interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly status: number;
  readonly code?: number;
}

const rpc = (method: string, params: unknown = [], code?: number): Call => ({
  method: 'POST',
  path: '/rpc',
  body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }),
  status: 200,
  ...(code === undefined ? {} : { code }),
});

/** What operators, their mistakes and their enemies send. None of it changes what the relay does for others. */
const CALLS: readonly Call[] = [
  rpc('list_connections', { limit: 50 }),
  rpc('list_sessions', { limit: 50 }),
  rpc('list_next_hops'),
  rpc('list_queues'),
  rpc('get_statistics'),
  rpc('engine'),
  rpc('tls_list'),
  rpc('msrp_trace'),
  rpc('log_level', ['error']),
  { method: 'GET', path: '/metrics', status: 200 },
  { method: 'GET', path: '/api/get_statistics', status: 200 },
  { method: 'GET', path: '/healthz', status: 200 },
  rpc('nothing', [], RPC.NO_METHOD),
  rpc('close_connection', ['1'], RPC.INVALID_PARAMS),
  rpc('close_session', [2 ** 50], RPC.NOT_FOUND),
  rpc('msrp_trace', ['of'], RPC.INVALID_PARAMS),
  { method: 'POST', path: '/rpc', body: '{"jsonrpc":', status: 200, code: RPC.PARSE },
  { method: 'POST', path: '/rpc', body: `[${'{},'.repeat(500)}{}]`, status: 200, code: RPC.INVALID_REQUEST },
  { method: 'POST', path: '/rpc', body: '['.repeat(60_000), status: 200, code: RPC.PARSE },
  { method: 'POST', path: '/rpc', body: 'x'.repeat(70_000), status: 413 },
  { method: 'GET', path: '/api/drain', status: 405 },
  { method: 'GET', path: `/${'a'.repeat(5000)}`, status: 404 },
];

/** Calls that were made, and what was wrong with their answers. */
export interface Outcome {
  readonly calls: number;
  readonly wrong: readonly string[];
}

/** So many callers at once, each with one call after the other, until the signal. */
export async function callers(count: number, url: string, signal: AbortSignal): Promise<Outcome> {
  let calls = 0;
  const wrong: string[] = [];
  const one = async (i: number): Promise<void> => {
    for (let at = i; !signal.aborted; at++) {
      const call = CALLS[at % CALLS.length] as Call;
      try {
        const problem = await judge(call, url);
        if (problem !== undefined) wrong.push(problem);
      } catch (error) {
        wrong.push(`${nameOf(call)}: ${error instanceof Error ? error.message : String(error)}`);
      }
      calls++;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
  return { calls, wrong };
}

async function judge(call: Call, url: string): Promise<string | undefined> {
  const { method, path, body, status, code } = call;
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}${path}`, body === undefined ? { method } : { method, body, headers });
  const text = await response.text();
  if (response.status !== status) return `${nameOf(call)}: status ${response.status}, expected ${status}`;
  if (path !== '/rpc' || status !== 200) return undefined;
  const answer = JSON.parse(text) as { result?: unknown; error?: { code: number } };
  if (answer.error?.code !== code) return `${nameOf(call)}: ${text.slice(0, 200)}`;
  return undefined;
}

function nameOf({ method, path, body = '' }: Call): string {
  return `${method} ${path.slice(0, 40)} ${body.slice(0, 80)}`;
}
