import type { Command } from 'commander';
import { measureCapture } from '../measure/capture.ts';
import type { CaptureFigures } from '../measure/capture.ts';
import { figure, table } from '../measure/table.ts';
import { readCapture } from './capture.ts';
import { CliError, EXIT } from './exit.ts';

interface Options {
  readonly json?: true;
  readonly strict?: true;
}

/** `msrpd bench`: how fast this machine is at something. */
export function register(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure on this machine')
    .action(() => {
      throw new CliError('name what to measure: msrpd bench parse', EXIT.USAGE);
    });
  bench
    .command('parse')
    .description('how fast a capture is framed and decoded, by each implementation')
    .argument('[file]', 'bytes as they were on the wire; standard input without it', '-')
    .option('--json', 'figures as one JSON object')
    .option('--strict', 'strict grammar instead of the tolerant profile')
    .action(async (file: string, options: Options) => {
      const bytes = await readCapture(file);
      const figures = measureCapture(bytes, { strict: options.strict === true }, EFFORT);
      if (figures.content.frames === 0) throw new CliError(`${file}: ${nothing(figures)}`);
      process.stdout.write(options.json === true ? `${JSON.stringify(figures)}\n` : toText(figures, bytes.length));
    });
}

/** About two seconds for a small capture. */
const EFFORT = { rounds: 15, sliceMs: 20 };

function nothing({ content: { failure } }: CaptureFigures): string {
  return failure === undefined ? 'no whole frame in it' : `no frame in it: ${failure}`;
}

function toText({ content, rows, absent }: CaptureFigures, bytes: number): string {
  const { frames, bad, end, failure } = content;
  const notes = [`${frames.toLocaleString('en')} frames, ${end.toLocaleString('en')} bytes`];
  if (bad > 0) notes.push(`${bad.toLocaleString('en')} of them not as they should be`);
  if (failure !== undefined) notes.push(`${failure} behind them: nothing can be found in the rest`);
  else if (end < bytes) notes.push('and the beginning of another');
  const head = ['', 'ns/frame', 'MB/s', 'ratio', '95 % of'];
  const lines = rows.map(({ work, implementation, nsPerFrame, mbPerSecond, ratio }) => [
    `${work}, ${implementation}`,
    figure(nsPerFrame),
    figure(mbPerSecond),
    ...(ratio === undefined ? [] : [figure(ratio.median), `${figure(ratio.low)}–${figure(ratio.high)}`]),
  ]);
  const missing = absent === undefined ? '' : `native: cannot run: ${absent}\n`;
  return `${notes.join('; ')}\n\n${table([head, ...lines])}${missing}`;
}
