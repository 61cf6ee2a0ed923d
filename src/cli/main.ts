#!/usr/bin/env node
// First: it is about what the other modules do while they are loaded.
import { letYoungHeapGrow } from './young-heap.ts';
import { Command, CommanderError } from 'commander';
import { ERRORS, MsrpError } from '../errors.ts';
import { version } from '../listen/version.ts';
import { register as registerBench } from './bench.ts';
import { register as registerCheck } from './check.ts';
import { register as registerCtl } from './ctl.ts';
import { CliError, EXIT } from './exit.ts';
import { register as registerInit } from './init.ts';
import { register as registerListen } from './listen.ts';
import { register as registerParse } from './parse.ts';
import { register as registerSend } from './send.ts';
import { register as registerServe } from './serve.ts';

const COMMANDS = [
  registerServe,
  registerInit,
  registerCheck,
  registerSend,
  registerListen,
  registerParse,
  registerBench,
  registerCtl,
];

// The reader of a pipe may have seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.OK);
  throw error;
});

const program = new Command('msrpd')
  .description('MSRP relay (RFC 4975, RFC 4976) and tools')
  .version(version())
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({
    // Commander's own words become the one line that main() writes.
    writeErr: () => undefined,
  });
for (const register of COMMANDS) register(program);
program.hook('preAction', (_program, command) => {
  // A relay decides when it knows its engine.
  if (command.name() !== 'serve') letYoungHeapGrow();
});

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

/** One line on stderr, and the exit code. */
function fail(error: unknown): never {
  if (error instanceof CommanderError) {
    // --help and --version come here, too, and have written what they had to.
    if (error.exitCode === 0) process.exit(EXIT.OK);
    if (error.code === 'commander.help') {
      process.stderr.write(program.helpInformation());
      process.exit(EXIT.USAGE);
    }
    const line = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    process.stderr.write(`msrpd: ${line} (msrpd --help lists commands and options)\n`);
    process.exit(EXIT.USAGE);
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`msrpd: ${message.replaceAll('\n', ' ')}\n`);
  if (error instanceof CliError) process.exit(error.exitCode);
  if (error instanceof MsrpError) process.exit(isUsage(error) ? EXIT.USAGE : EXIT.FAILED);
  process.exit(EXIT.FAILED);
}

/** What refuses to start is a matter of configuration, but for what the machine does not have: a socket, an addon. */
function isUsage(error: MsrpError): boolean {
  if (error.code === 'E_LISTEN' || error.code === 'E_CONTROL' || error.code === 'E_ADDON') return false;
  return ERRORS[error.code].ends === 'refuse' || error.code === 'E_ARGUMENT';
}
