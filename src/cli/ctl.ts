import type { Command } from 'commander';
import { METHODS } from '../control/methods.ts';
import { escapeControls } from '../log/escape.ts';
import { textTable } from './text-table.ts';
import { callControl, withControlOptions } from './control-client.ts';
import type { ControlClientOptions } from './control-client.ts';
import { CliError, EXIT } from './exit.ts';

/** `msrpd ctl`, and the two of its methods that are wanted most. */
export function register(program: Command): void {
  withControlOptions(program.command('ctl'))
    .description('call a control method of a running relay')
    .argument('[method]', 'method; without one, they are listed')
    .argument('[args...]', 'its parameters, in order or as NAME=VALUE')
    .action(async (method: string | undefined, args: string[], options: ControlClientOptions) => {
      if (method === undefined) {
        process.stdout.write(methodList());
        return;
      }
      print(await callControl(options, method, readArguments(args)));
    });
  withControlOptions(program.command('trace'))
    .description('show or switch tracing over HEP')
    .argument('[mode]', 'on or off')
    .action(async (mode: string | undefined, options: ControlClientOptions) => {
      print(await callControl(options, 'msrp_trace', mode === undefined ? [] : [mode]));
    });
  withControlOptions(program.command('sessions'))
    .description('list the sessions of a running relay')
    .option('--json', 'as JSON')
    .option('--limit <number>', 'how many', '100')
    .action(async (options: ControlClientOptions & { json?: true; limit: string }) => {
      const sessions = (await callControl(options, 'list_sessions', readArguments([options.limit]))) as SessionRow[];
      if (options.json === true) print(sessions);
      else process.stdout.write(sessionTable(sessions));
    });
}

interface SessionRow {
  readonly session: number;
  readonly id: string;
  readonly user: string;
  readonly realm: string;
  readonly client: string;
  readonly expires_in: number;
  readonly frames: { readonly in: number; readonly out: number };
  readonly bytes: { readonly in: number; readonly out: number };
}

function sessionTable(sessions: readonly SessionRow[]): string {
  if (sessions.length === 0) return 'no sessions\n';
  return textTable([
    ['session', 'id', 'user', 'realm', 'client', 'expires', 'frames in/out', 'bytes in/out'],
    ...sessions.map(({ session, id, user, realm, client, expires_in: expires, frames, bytes }) => [
      String(session),
      id,
      user,
      realm,
      client,
      `${expires} s`,
      `${frames.in}/${frames.out}`,
      `${bytes.in}/${bytes.out}`,
    ]),
  ]);
}

/** Numbers are numbers; all of them by name, or all in order. */
function readArguments(args: readonly string[]): unknown[] | Record<string, unknown> {
  const value = (text: string): unknown => (/^\d{1,15}$/.test(text) ? Number(text) : text);
  const named = args.filter((arg) => /^[a-z_]+=/.test(arg));
  if (named.length === 0) return args.map(value);
  if (named.length < args.length) throw new CliError('give all parameters in order, or all as NAME=VALUE', EXIT.USAGE);
  return Object.fromEntries(
    args.map((arg) => [arg.slice(0, arg.indexOf('=')), value(arg.slice(arg.indexOf('=') + 1))]),
  );
}

function methodList(): string {
  const rows = Array.from(METHODS, ([name, { params, description }]) => [
    `${name} ${params.map((param) => (param.optional === true ? `[${param.name}]` : param.name)).join(' ')}`.trimEnd(),
    description,
  ]);
  return textTable([...rows, ['version', 'versions of msrpd and Node.js']]);
}

function print(result: unknown): void {
  const text = typeof result === 'string' ? result : JSON.stringify(result, undefined, 2);
  process.stdout.write(`${text.split('\n').map(escapeControls).join('\n')}\n`);
}
