import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { ClientOptions } from '../endpoint/client.ts';
import { parseUri } from '../syntax/uri.ts';
import { CliError, EXIT } from './exit.ts';

/** Options that `send` and `listen` share. */
export interface EndpointOptions {
  readonly relay?: string[];
  readonly user?: string;
  readonly password?: string;
  readonly passwordFile?: string;
  readonly expires?: number;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: true;
  readonly timeout: number;
  readonly json?: true;
}

/** Adds them to a command. */
export function addEndpointOptions(command: Command): Command {
  return command
    .option(
      '-r, --relay <uri...>',
      'own relay, such as msrps://relay.example.com:2855;tcp; several: the nearest first',
      collectUri,
    )
    .option('-u, --user <name>', 'user at the relay')
    .option('-p, --password <password>', 'its password; better MSRPD_PASSWORD or --password-file')
    .option('--password-file <file>', 'file with the password')
    .option('--expires <seconds>', 'lifetime of the session to ask for', positive)
    .option('--ca <file>', 'PEM file: CAs that are trusted')
    .option('--cert <file>', 'PEM file: own certificate')
    .option('--key <file>', 'PEM file: own key')
    .option('--insecure', 'accept any certificate')
    .option('--timeout <seconds>', 'time to connect and for answers', positive, 10)
    .option('--json', 'print JSON, one object a line');
}

/** What a client connects with; exit code 2 when the options do not fit together. */
export function clientOptions(options: EndpointOptions): ClientOptions {
  const { relay, user, expires, ca, cert, key, insecure, timeout } = options;
  const password = passwordOf(options);
  if (relay !== undefined && (user === undefined || password === undefined)) {
    throw new CliError(
      '--relay needs --user and a password (--password, --password-file or MSRPD_PASSWORD)',
      EXIT.USAGE,
    );
  }
  return {
    ...(relay === undefined ? {} : { relay }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(expires === undefined ? {} : { expiresS: expires }),
    tls: {
      ...(ca === undefined ? {} : { ca: readPem(ca) }),
      ...(cert === undefined ? {} : { cert: readPem(cert) }),
      ...(key === undefined ? {} : { key: readPem(key) }),
      verify: insecure !== true,
    },
    timeoutMs: timeout * 1000,
  };
}

/** Reads a file named by an option; exit code 2 when that cannot be done. */
export function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), EXIT.USAGE);
  }
}

/** For commander: a number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

function collectUri(text: string, before: string[] | undefined): string[] {
  if (parseUri(text) === undefined)
    throw new InvalidArgumentError('expected an MSRP URI such as msrps://relay.example.com:2855;tcp');
  return [...(before ?? []), text];
}

function passwordOf(options: EndpointOptions): string | undefined {
  if (options.password !== undefined) return options.password;
  if (options.passwordFile !== undefined) return readPem(options.passwordFile).replace(/\r?\n$/, '');
  return process.env['MSRPD_PASSWORD'];
}
