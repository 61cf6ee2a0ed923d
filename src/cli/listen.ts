import { mkdirSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { MsrpClient } from '../endpoint/client.ts';
import type { EndpointSession } from '../endpoint/endpoint-session.ts';
import { FileSink } from '../endpoint/file-sink.ts';
import { MsrpListener } from '../endpoint/listener.ts';
import type { IncomingHead, IncomingMessage, MessageSink, ReceiverOptions } from '../endpoint/receiver.ts';
import { escapeControls, escapePeer, redactUri } from '../log/escape.ts';
import { parseAuthority } from '../config/listener-uri.ts';
import { addEndpointOptions, clientOptions, positive, readPem } from './endpoint-options.ts';
import type { EndpointOptions } from './endpoint-options.ts';
import { CliError, EXIT } from './exit.ts';

interface Options extends EndpointOptions {
  readonly bind?: string;
  readonly output?: string;
  readonly count?: number;
}

/** `msrpd listen`: an endpoint that prints what it receives. */
export function register(program: Command): void {
  const command = program
    .command('listen')
    .description('receive messages, through a relay (--relay) or directly (--bind)');
  command
    .option('-b, --bind <host:port>', 'listen here instead of using a relay', (text) => {
      const problem = parseAuthority(text, 0);
      if (typeof problem === 'string') throw new InvalidArgumentError(problem);
      return text;
    })
    .option('-o, --output <folder>', 'folder for what is not text')
    .option('-n, --count <messages>', 'end after so many messages', positive);
  addEndpointOptions(command).action(async (options: Options) => listen(options));
}

async function listen(options: Options): Promise<void> {
  if ((options.relay === undefined) === (options.bind === undefined)) {
    throw new CliError('listen needs one of --relay and --bind', EXIT.USAGE);
  }
  const { output } = options;
  if (output !== undefined) mkdirSync(output, { recursive: true });
  const files = new Map<string, FileSink>();
  const receive = (head: IncomingHead): MessageSink | undefined => {
    if (output === undefined || isText(head)) return undefined;
    const sink = new FileSink(output, head.headers);
    files.set(head.messageId, sink);
    return sink;
  };
  const receiver: ReceiverOptions = { receive };

  let left = options.count ?? Infinity;
  let finish: (error?: Error) => void = () => undefined;
  const finished = new Promise<void>((resolve, reject) => {
    finish = (error) => (error === undefined ? resolve() : reject(error));
  });
  const attach = (session: EndpointSession): void => {
    session.on('message', (message) => {
      print(options, message, files.get(message.messageId)?.path);
      files.delete(message.messageId);
      if (--left <= 0) finish();
    });
    session.on('aborted', (messageId) => {
      files.delete(messageId);
      process.stderr.write(`a message was aborted: ${escapePeer(messageId)}\n`);
    });
  };
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      abort.abort();
      finish();
    });
  }

  if (options.bind === undefined) {
    const connecting = MsrpClient.connect({ ...clientOptions(options), ...receiver, signal: abort.signal });
    const client = await connecting.catch((error: unknown) => {
      if (abort.signal.aborted) return undefined;
      throw error;
    });
    if (client === undefined) return;
    attach(client);
    client.on('closed', (error) =>
      finish(new CliError(`the connection has gone${error === undefined ? '' : `: ${error.message}`}`)),
    );
    client.on('expired', (error) => finish(new CliError(`the relay has not extended the session: ${error.message}`)));
    printPath(options, client.path);
    await finished;
    client.removeAllListeners('closed');
    await client.release();
    return;
  }
  const where = parseAuthority(options.bind, 0);
  if (typeof where === 'string') throw new CliError(where, EXIT.USAGE);
  const { cert, key } = options;
  if ((cert === undefined) !== (key === undefined)) throw new CliError('--cert and --key belong together', EXIT.USAGE);
  const tls = cert === undefined || key === undefined ? {} : { tls: { cert: readPem(cert), key: readPem(key) } };
  const listener = await MsrpListener.listen({ ...where, ...tls, ...receiver });
  listener.on('session', attach);
  printPath(options, [listener.uri]);
  await finished;
  await listener.close();
}

function isText({ contentType }: IncomingHead): boolean {
  return /^text\/plain\b/i.test(contentType);
}

/** What the peer must be given. It is a secret between the two. */
function printPath(options: Options, path: readonly string[]): void {
  process.stdout.write(options.json === true ? `${JSON.stringify({ path })}\n` : `path: ${path.join(' ')}\n`);
}

function print(options: Options, message: IncomingMessage, file: string | undefined): void {
  const { messageId, contentType, octets, fromPath } = message;
  const text = isText(message) ? message.text() : undefined;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ messageId, contentType, octets, fromPath, text, file })}\n`);
    return;
  }
  const from = redactUri(fromPath.at(-1) ?? '');
  const what =
    text === undefined
      ? `${escapePeer(contentType)}, ${octets} octets${file === undefined ? '' : `, in ${file}`}`
      : escapeControls(text);
  process.stdout.write(`from ${from}: ${what}\n`);
}
