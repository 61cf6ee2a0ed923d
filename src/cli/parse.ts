import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { EngineWish } from '../addon/choose.ts';
import type { Frame } from '../syntax/frame.ts';
import { parse } from '../parse/parse.ts';
import type { ParseResult } from '../parse/parse.ts';
import { escapePeer } from '../log/escape.ts';
import { readCapture } from './capture.ts';
import { EXIT } from './exit.ts';

interface Options {
  readonly json?: true;
  readonly strict?: true;
  readonly engine: EngineWish;
}

/** `msrpd parse`: the frames of a capture. */
export function register(program: Command): void {
  program
    .command('parse')
    .description('print the frames of a capture')
    .argument('[file]', 'bytes as they were on the wire; standard input without it', '-')
    .option('--json', 'one JSON object a line, with the fields of the test vectors')
    .option('--strict', 'strict grammar instead of the tolerant profile')
    .addOption(new Option('--engine <engine>', 'framer').choices(['auto', 'native', 'ts']).default('auto'))
    .action(async (file: string, options: Options) => {
      let fatal = false;
      for (const result of parse(await readCapture(file), {
        strict: options.strict === true,
        engine: options.engine,
      })) {
        fatal ||= result.type === 'error' && result.fatal;
        process.stdout.write(options.json === true ? `${JSON.stringify(toJson(result))}\n` : toText(result));
      }
      if (fatal) process.exitCode = EXIT.FAILED;
    });
}

/** A result as the test vectors have it. */
function toJson(result: ParseResult): Record<string, unknown> {
  if (result.type === 'incomplete') return { kind: 'incomplete', consumedBytes: 0 };
  const consumedBytes = result.end - result.start;
  if (result.type === 'error') {
    return { kind: 'error', category: result.code, fatal: result.fatal, ...(result.fatal ? {} : { consumedBytes }) };
  }
  const { frame } = result;
  return {
    kind: frame.kind,
    tid: frame.tid,
    ...(frame.kind === 'request' ? { method: frame.method } : { status: frame.status, comment: frame.comment ?? null }),
    toPath: frame.toPath,
    fromPath: frame.fromPath,
    headers: headersOf(frame),
    hasBody: frame.body !== undefined,
    bodyLength: frame.body?.length ?? 0,
    flag: frame.flag,
    consumedBytes,
    ...(frame.body === undefined ? {} : { bodySha256: createHash('sha256').update(frame.body).digest('hex') }),
  };
}

/** Header values by name; a list where one came several times. */
function headersOf(frame: Frame): Record<string, string | string[]> {
  const headers = new Map<string, string | string[]>();
  for (const [name, value] of frame.headers) {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(headers);
}

function toText(result: ParseResult): string {
  const place = `${result.start}…${result.end}`;
  if (result.type === 'incomplete') return `${place}  incomplete\n`;
  if (result.type === 'error')
    return `${place}  ${result.code}${result.fatal ? ', nothing can be found behind it' : ''}\n`;
  const { frame } = result;
  const what = frame.kind === 'request' ? frame.method : `${frame.status} ${escapePeer(frame.comment ?? '')}`;
  const lines = [
    `${place}  ${what}  ${frame.tid}${frame.flag}`,
    `  To-Path: ${frame.toPath.join(' ')}`,
    `  From-Path: ${frame.fromPath.join(' ')}`,
    ...frame.headers.map(([name, value]) => `  ${name}: ${escapePeer(value, 1024)}`),
    ...(frame.body === undefined
      ? []
      : [`  body of ${frame.body.length} octets: ${escapePeer(frame.body.toString('latin1'), 64)}`]),
  ];
  return `${lines.join('\n')}\n`;
}
