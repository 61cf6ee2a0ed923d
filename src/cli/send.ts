import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { MsrpClient } from '../endpoint/client.ts';
import type { SendBody } from '../endpoint/sender.ts';
import { parsePath } from '../syntax/path.ts';
import { addEndpointOptions, clientOptions, positive } from './endpoint-options.ts';
import type { EndpointOptions } from './endpoint-options.ts';
import { CliError, EXIT } from './exit.ts';

interface Options extends EndpointOptions {
  readonly to: string;
  readonly text?: string;
  readonly file?: string;
  readonly type?: string;
  readonly successReport?: true;
  readonly chunk?: number;
}

/** `msrpd send`: one message. */
export function register(program: Command): void {
  const command = program.command('send').description('send a message: --text, --file, or standard input');
  command
    .requiredOption('-t, --to <path>', 'path of the peer: one or more URIs in quotes')
    .option('--text <text>', 'text to send')
    .option('--file <file>', 'file to send')
    .option('--type <type>', 'Content-Type (default: text/plain for text, application/octet-stream else)')
    .option('--success-report', 'wait until the peer confirms')
    .option('--chunk <bytes>', 'octets of a chunk, 2048 to 1048576', positive);
  addEndpointOptions(command).action(async (options: Options) => send(options));
}

async function send(options: Options): Promise<void> {
  const path = parsePath(options.to.trim(), 16, false);
  if (path === undefined) throw new CliError('--to takes MSRP URIs separated by spaces, in quotes', EXIT.USAGE);
  if (options.text !== undefined && options.file !== undefined) {
    throw new CliError('either --text or --file, not both', EXIT.USAGE);
  }
  if (options.chunk !== undefined && options.chunk < 2048)
    throw new CliError('--chunk must be 2048 or more', EXIT.USAGE);
  if (options.chunk !== undefined && options.chunk > 1_048_576)
    throw new CliError('--chunk must be 1048576 or less', EXIT.USAGE);
  const { body, total } = bodyOf(options);
  const connect = clientOptions(options);
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  const client = await MsrpClient.connect({
    ...connect,
    ...(connect.relay === undefined ? { peer: path[0] as string } : {}),
    signal: abort.signal,
  });
  const bar = progressBar(options, total);
  try {
    const result = await client.send({
      to: path,
      body,
      contentType: options.type ?? (options.file === undefined ? 'text/plain' : 'application/octet-stream'),
      successReport: options.successReport === true,
      ...(options.file === undefined ? {} : { headers: [['Content-Disposition', disposition(options.file)]] as const }),
      ...(options.chunk === undefined ? {} : { chunkBytes: Math.floor(options.chunk) }),
      reportTimeoutMs: options.timeout * 1000,
      signal: abort.signal,
      onProgress: (octets) => bar?.update(octets),
    });
    bar?.stop();
    const { messageId, octets, confirmed } = result;
    const line =
      options.json === true
        ? JSON.stringify(result)
        : `sent ${octets} octets${confirmed ? ', confirmed by the peer' : ''}, Message-ID ${messageId}`;
    process.stdout.write(`${line}\n`);
  } finally {
    bar?.stop();
    await client.close();
  }
}

function bodyOf(options: Options): { body: SendBody; total: number | undefined } {
  if (options.text !== undefined) return { body: options.text, total: undefined };
  if (options.file === undefined) return { body: process.stdin, total: undefined };
  const stat = statSync(options.file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) throw new CliError(`${options.file} is no file`, EXIT.USAGE);
  return { body: { file: options.file }, total: stat.size };
}

/** A bar for files, where somebody looks. */
function progressBar(options: Options, total: number | undefined): SingleBar | undefined {
  if (total === undefined || options.json === true || !process.stderr.isTTY) return undefined;
  const bar = new SingleBar({
    format: '{bar} {percentage}% {value}/{total} octets, {eta_formatted} left',
    stream: process.stderr,
  });
  bar.start(total, 0);
  return bar;
}

function disposition(file: string): string {
  // The name is a quoted-string; what it cannot hold is left out.
  const name = basename(file).replace(/[^\x20-\x7e]|["\\]/g, '_');
  return `attachment; filename="${name}"`;
}
