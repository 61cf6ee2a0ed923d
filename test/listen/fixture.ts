import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after } from 'node:test';
import { pino } from 'pino';
import { formatProblem, parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/config.ts';
import { startServer } from '../../src/listen/server.ts';
import type { Server, ServerOptions } from '../../src/listen/server.ts';

/** A relay on loopback, its log lines kept. */
export interface Fixture extends AsyncDisposable {
  readonly server: Server;
  readonly uri: string;
  readonly lines: Record<string, unknown>[];
}

/** A new folder, which goes when the tests of the file are done: there may be private keys in it. */
export function tempFolder(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `msrpd-${name}-`));
  after(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}

const folder = tempFolder('server');

/** Writes a file of a test; returns its path. */
export function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

export function config(text: string): Config {
  const result = parseConfig(text, join(folder, 'test.yaml'));
  if ('config' in result) return result.config;
  throw new Error(result.problems.map(formatProblem).join('\n'));
}

export const PLAIN = `
listeners: [msrp:127.0.0.1:0]
msrp: {send_timeout: 30000, max_msg_chunks: 0}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
`;

export async function startRelay(
  text = PLAIN,
  users: ServerOptions['users'] = [['alice', '', { password: 'secret' }]],
  source?: ServerOptions['source'],
): Promise<Fixture> {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
      done();
    },
  });
  const server = await startServer({
    config: config(text),
    log: pino({ level: 'debug', base: null }, sink),
    users,
    ...(source === undefined ? {} : { source }),
  });
  const uri = server.listeners[0]?.uri ?? '';
  return { server, uri, lines, [Symbol.asyncDispose]: () => server.stop() };
}

/** What a control method has answered. */
export interface RpcAnswer {
  readonly jsonrpc: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

export async function rpc(
  fixture: Fixture,
  method: string,
  params?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<RpcAnswer> {
  const response = await post(fixture, JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }), headers);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as RpcAnswer;
}

/** Whatever text to the control interface. */
export function post(
  fixture: Fixture,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`${fixture.server.control}/rpc`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
}
