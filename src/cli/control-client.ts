import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { readToken } from '../control/access.ts';
import { DEFAULT_CONFIG } from './check.ts';
import { CliError, EXIT } from './exit.ts';

export interface ControlClientOptions {
  readonly config?: string;
  readonly url?: string;
  readonly tokenFile?: string;
}

/** Options of commands that talk to a running relay. */
export function withControlOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', `configuration of the relay (default: ${DEFAULT_CONFIG} where it is there)`)
    .option('--url <url>', `control interface (default: that of the configuration, else ${DEFAULT_URL})`)
    .option('--token-file <file>', 'token (default: that of the configuration)');
}

/** Where `npm start` opens it. */
const DEFAULT_URL = 'http://127.0.0.1:8055';

const TIMEOUT_MS = 15_000;

/** Calls a method of a running relay; rejects with a CliError that says why it failed. */
export async function callControl(
  options: ControlClientOptions,
  method: string,
  params: readonly unknown[] | Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const { url, token } = addressOf(options);
  let response: Response;
  try {
    response = await fetch(new URL('/rpc', url), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message;
    throw new CliError(`no relay answers at ${url} (${cause}): is it running, with control.listen?`);
  }
  if (response.status === 401) throw new CliError(`${url} asks for a token: --token-file, or -c FILE`);
  if (!response.ok) throw new CliError(`${url} answers ${response.status}: ${(await response.text()).slice(0, 200)}`);
  const answer = (await response.json()) as {
    result?: unknown;
    error?: { code: number; message: string; data?: unknown };
  };
  if (answer.error === undefined) return answer.result;
  const { code, message, data } = answer.error;
  const why = typeof data === 'string' ? data : message;
  throw new CliError(`${method}: ${why}`, code === -32601 || code === -32602 ? EXIT.USAGE : EXIT.FAILED);
}

function addressOf(options: ControlClientOptions): { url: string; token: string | undefined } {
  const fromFile = options.url === undefined || options.tokenFile === undefined ? ofConfiguration(options) : {};
  const file = options.tokenFile ?? fromFile.tokenFile;
  const read = file === undefined ? undefined : readToken(file);
  if (typeof read === 'string') throw new CliError(read, EXIT.USAGE);
  const url = options.url ?? fromFile.url ?? DEFAULT_URL;
  if (!/^https?:\/\/[^/]+\/?$/.test(url)) throw new CliError(`--url ${url}: expected http://HOST:PORT`, EXIT.USAGE);
  // A token of a configuration is for the relay of that configuration.
  const isItsOwn = options.tokenFile !== undefined || options.url === undefined || options.url === fromFile.url;
  return { url, token: isItsOwn ? read?.token : undefined };
}

function ofConfiguration({ config }: ControlClientOptions): { url?: string; tokenFile?: string } {
  const file = config ?? DEFAULT_CONFIG;
  if (config === undefined && !isThere(file)) return {};
  const result = loadConfig(file);
  if (!('config' in result)) throw new CliError(`${file} has mistakes: msrpd check -c ${file}`, EXIT.USAGE);
  const { control } = result.config;
  if (control === undefined) {
    if (config !== undefined) throw new CliError(`${file} has no control.listen`, EXIT.USAGE);
    return {};
  }
  const { host, port, tokenFile } = control;
  // Whatever address is listened on, this machine reaches it by loopback.
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return { url: `http://${reachable}:${port}`, ...(tokenFile === undefined ? {} : { tokenFile }) };
}

function isThere(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}
