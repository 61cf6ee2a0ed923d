import { MsrpError } from '../errors.ts';
import { formatProblem, parseConfig } from '../config/load.ts';
import { createLog } from '../log/log.ts';
import { startServer } from './server.ts';
import type { Server, ServerOptions } from './server.ts';

export interface CreateServerOptions {
  /** The configuration as in a file: keys of docs/configuration.md. Relative paths are relative to the working directory. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Users in memory, besides those of the configuration. An empty realm is every realm. */
  readonly users?: ServerOptions['users'];
}

/**
 * Starts a relay in this process. Rejects with `E_CONFIG` that lists every mistake, or with whatever else refuses the start.
 *
 * ```ts
 * await using server = await createServer({ config: { listeners: ['msrp:127.0.0.1:2855'] }, users: [['alice', '', { password }]] });
 * ```
 */
export async function createServer(options: CreateServerOptions): Promise<Server> {
  const result = parseConfig(JSON.stringify(options.config), 'config');
  if (!('config' in result)) throw new MsrpError('E_CONFIG', result.problems.map(formatProblem).join('; '));
  const { config } = result;
  const log = createLog(config.log);
  return startServer({ config, log: log.logger, ...(options.users === undefined ? {} : { users: options.users }) });
}
