import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
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

const folder = mkdtempSync(join(tmpdir(), 'msrpd-server-'));

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
