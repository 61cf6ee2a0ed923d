import type { Command } from 'commander';
import { formatProblem, loadConfig } from '../config/load.ts';
import type { Config } from '../config/config.ts';
import { CliError, EXIT } from './exit.ts';

/** `msrpd check`: every mistake of a configuration, a line each. */
export function register(program: Command): void {
  program
    .command('check')
    .description('check a configuration without starting')
    .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG)
    .action((options: { config: string }) => {
      readConfig(options.config);
      process.stdout.write(`${options.config}: ok\n`);
    });
}

/** Name of the configuration where none is given. */
export const DEFAULT_CONFIG = 'msrpd.yaml';

/** Loads a configuration. Warnings go to stderr; so do problems, and then the command ends with exit code 2. */
export function readConfig(file: string): Config {
  const result = loadConfig(file);
  for (const warning of result.warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
  if ('config' in result) return result.config;
  for (const problem of result.problems) process.stderr.write(`${formatProblem(problem)}\n`);
  const count = result.problems.length;
  throw new CliError(`${file} has ${count} ${count === 1 ? 'mistake' : 'mistakes'}; nothing was started`, EXIT.USAGE);
}
