import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { MsrpError } from '../errors.ts';
import { escapePeer } from '../log/escape.ts';
import { isRightToken, readToken, strangerProblem } from './access.ts';
import type { ControlAddress } from './address.ts';
import { METHODS, readParams } from './methods.ts';
import { RPC, RpcError, answerRpc } from './rpc.ts';
import type { RpcParams } from './rpc.ts';
import type { ControlTarget } from './target.ts';

export interface ControlOptions {
  readonly address: ControlAddress;
  /** Absent: whoever reaches the socket may use it, which is for loopback only. */
  readonly tokenFile?: string;
  readonly metricsPath: string;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly log: Logger;
  readonly version: string;
}

/** The control interface over HTTP, listening. */
export interface ControlServer {
  /** `http://127.0.0.1:8055`. */
  readonly url: string;
  /** Reads the token file again; a text says why it cannot be used, and the token stays as it was. */
  reloadToken(): string | undefined;
  close(): Promise<void>;
}

/** Starts the control interface. Rejects with `E_CONTROL`. */
export async function startControl(target: ControlTarget, options: ControlOptions): Promise<ControlServer> {
  const { address, tokenFile, log } = options;
  let token: string | undefined;
  const reloadToken = (): string | undefined => {
    if (tokenFile === undefined) return undefined;
    const read = readToken(tokenFile);
    if (typeof read === 'string') return read;
    token = read.token;
    return undefined;
  };
  const problem = reloadToken();
  if (problem !== undefined) throw new MsrpError('E_CONTROL', problem);
  const app = fastify({
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: REQUEST_MS,
    keepAliveTimeout: IDLE_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    http: { maxHeaderSize: HEADER_BYTES },
  });
  app.server.maxConnections = MAX_CLIENTS;
  app.removeAllContentTypeParsers();
  // As text: what is no JSON is answered by the rules of JSON-RPC.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  const isOpen = (path: string): boolean => path in PAGE || path === '/healthz' || path === '/readyz';
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers(SAFE_HEADERS);
    const { headers, method } = request;
    const stranger = strangerProblem(
      {
        method,
        host: headers.host,
        origin: headers.origin,
        fetchSite: headers['sec-fetch-site'],
        authorization: headers.authorization,
      },
      token !== undefined,
    );
    const path = request.url.split('?')[0] as string;
    if (stranger !== undefined && path !== '/healthz' && path !== '/readyz') {
      log.warn({ remote: request.ip, cause: stranger }, 'control request refused');
      await reply.code(403).send({ error: stranger });
    } else if (token !== undefined && !isOpen(path) && !isRightToken(headers.authorization, token)) {
      log.warn({ remote: request.ip, cause: 'token' }, 'control request refused');
      await reply
        .code(401)
        .header('www-authenticate', 'Bearer realm="msrpd"')
        .send({ error: 'token missing or wrong' });
    }
  });
  app.setErrorHandler((error: { statusCode?: number; message: string }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ err: error, method: request.method }, 'control request failed');
    return reply.code(status).send({ error: status >= 500 ? 'Internal error' : error.message });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'there is nothing here' }));
  addRoutes(app, target, options);
  try {
    await app.listen({ host: address.host, port: address.port });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MsrpError('E_CONTROL', `${address.host}:${address.port}: ${why}`, { cause: error });
  }
  const bound = app.server.address() as AddressInfo;
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return { url: `http://${host}:${bound.port}`, reloadToken, close: () => app.close() };
}

function addRoutes(app: FastifyInstance, target: ControlTarget, options: ControlOptions): void {
  const { log } = options;
  const call = async (name: string, params: RpcParams, remote: string): Promise<unknown> => {
    if (name === 'version') return { version: options.version, node: process.version };
    const method = METHODS.get(name);
    if (method === undefined) throw new RpcError(RPC.NO_METHOD, 'Method not found');
    const read = readParams(method, params);
    if (!method.changes(read)) return method.run(target, read);
    const audit = { audit: true, method: name, params: printable(read), remote };
    try {
      const result = await method.run(target, read);
      log.info({ ...audit, outcome: 'done' }, 'control');
      return result;
    } catch (error) {
      const why = error instanceof RpcError ? (error.data ?? error.message) : 'internal error';
      log.info({ ...audit, outcome: 'failed', why }, 'control');
      throw error;
    }
  };
  const onFault = (error: unknown): void => log.error({ err: error }, 'control method failed');

  app.post('/rpc', async (request: FastifyRequest<{ Body: string }>, reply) => {
    const text = await answerRpc(request.body ?? '', (name, params) => call(name, params, request.ip), onFault);
    if (text === undefined) return reply.code(204).send();
    return reply.type('application/json').send(text);
  });
  app.get('/api/:method', async (request: FastifyRequest<{ Params: { method: string } }>, reply) => {
    const { method: name } = request.params;
    const method = METHODS.get(name);
    if (method === undefined && name !== 'version') return reply.callNotFound();
    const params = Object.entries(request.query as Record<string, unknown>).map(([key, value]) => [
      key,
      typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value,
    ]);
    try {
      const read = Object.fromEntries(params) as Record<string, unknown>;
      if (method?.changes(readParams(method, read)) === true)
        return await reply
          .code(405)
          .header('allow', 'POST')
          .send({ error: `${name} changes something: POST /rpc` });
      return await reply.send(await call(name, read, request.ip));
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return reply.code(error.code === RPC.INVALID_PARAMS ? 400 : 500).send({ error: error.data ?? error.message });
    }
  });
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', async (_request, reply) =>
    reply
      .code(target.draining ? 503 : 200)
      .type('text/plain')
      .send(target.draining ? 'draining\n' : 'ready\n'),
  );
  app.get(options.metricsPath, async (_request, reply) => {
    const { contentType, text } = await options.metrics();
    return reply.type(contentType).send(text);
  });
  for (const [path, { file, type }] of Object.entries(PAGE)) {
    app.get(path, async (_request, reply: FastifyReply) =>
      reply
        .header('content-security-policy', PAGE_POLICY)
        .type(type)
        .send(await readFile(new URL(`page/${file}`, import.meta.url))),
    );
  }
}

/** The status page: files that come with the package, drawn in the browser from the methods above. */
const PAGE: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/status.css': { file: 'status.css', type: 'text/css; charset=utf-8' },
  '/status.js': { file: 'status.js', type: 'text/javascript; charset=utf-8' },
};

const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SAFE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/** Largest body of a request. */
const BODY_BYTES = 65_536;
const HEADER_BYTES = 16_384;
/** A request has so long to come in whole, and an idle connection to be used again. */
const REQUEST_MS = 10_000;
const IDLE_MS = 30_000;
const MAX_CLIENTS = 256;

/** Parameters as a log line may have them. */
function printable(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === 'string' ? escapePeer(value, 64) : value]),
  );
}
