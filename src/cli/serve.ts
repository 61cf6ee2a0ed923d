import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { formatProblem, loadConfig, parseConfig } from '../config/load.ts';
import { MsrpError } from '../errors.ts';
import { startServer } from '../listen/server.ts';
import type { Server, ServerOptions } from '../listen/server.ts';
import { createLog } from '../log/log.ts';
import { developmentFiles } from '../tls/development.ts';
import type { DevelopmentFiles } from '../tls/development.ts';
import type { Log } from '../log/log.ts';
import { DEFAULT_CONFIG, readConfig } from './check.ts';
import { CliError, EXIT } from './exit.ts';
import { letYoungHeapGrow } from './young-heap.ts';

/** `msrpd serve`: runs until SIGTERM or SIGINT, which drain; SIGHUP reloads. */
export function register(program: Command): void {
  program
    .command('serve')
    .description('run a relay')
    .option('-c, --config <file>', `configuration file (default: ${DEFAULT_CONFIG})`)
    .option('--demo', 'run on loopback with user alice, password secret, instead of a configuration')
    .option(
      '--port <port>',
      `of the demo; TLS has the next one, the status page the one after (default: ${DEMO_PORTS.msrp}, ${DEMO_PORTS.msrps}, ${DEMO_PORTS.status})`,
      demoPorts,
    )
    .action(async (options: { config?: string; demo?: true; port?: DemoPorts }) => {
      if (options.demo === true && options.config !== undefined) {
        throw new CliError('--demo needs no configuration; leave out one of --demo and --config', EXIT.USAGE);
      }
      if (options.demo === undefined && options.port !== undefined)
        throw new CliError('--port is for --demo; a configuration has its own', EXIT.USAGE);
      await serve(options.demo === true ? (options.port ?? DEMO_PORTS) : (options.config ?? DEFAULT_CONFIG));
    });
}

interface DemoPorts {
  readonly msrp: number;
  readonly msrps: number;
  readonly status: number;
}

const DEMO_PORTS: DemoPorts = { msrp: 2855, msrps: 2856, status: 8055 };

function demoPorts(text: string): DemoPorts {
  const msrp = Number(text);
  if (!/^\d{1,5}$/.test(text) || msrp < 1 || msrp > 65_533)
    throw new InvalidArgumentError('expected a port, 1 to 65533');
  return { msrp, msrps: msrp + 1, status: msrp + 2 };
}

/** Runs a relay with the configuration of a file, or the demo on these ports. Resolves when it has drained. */
async function serve(source: string | DemoPorts): Promise<void> {
  const [file, ports] = typeof source === 'string' ? [source, DEMO_PORTS] : [undefined, source];
  const demoTls = file === undefined ? await demoFiles() : undefined;
  const config = file === undefined ? demoConfig(ports, demoTls) : readConfig(file);
  const log = createLog(config.log);
  const engineOverride = process.env['MSRPD_ENGINE'];
  const options: ServerOptions = {
    config,
    log: log.logger,
    ...(engineOverride === undefined ? {} : { engineOverride }),
    ...(file === undefined ? {} : { source: () => readAgain(file) }),
    ...(file === undefined ? { users: [[DEMO_USER, '', { password: DEMO_PASSWORD }]] } : {}),
  };
  const crash = (error: unknown): void => {
    log.logger.fatal({ err: error }, 'fault');
    log.flush();
    process.exit(EXIT.FAILED);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  // Before anything listens: a signal must not find a process that it would just end.
  let running: Server | undefined;
  process.on('SIGHUP', () => void (running === undefined ? undefined : reload(running, file, log)));
  const signalled = firstSignal(log);
  const server = await startServer(options);
  if (server.engine.kind === 'ts') letYoungHeapGrow();
  running = server;
  if (file === undefined) welcome(server, demoTls);
  const signal = await Promise.race([signalled, server.ended.then(() => 'control')]);
  log.logger.info({ signal, drainMs: config.drainMs }, 'draining');
  await server.drain();
  log.logger.info('stopped');
  log.flush();
  process.exit(EXIT.OK);
}

/** The first signal drains; a second one ends at once. */
function firstSignal(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let first = true;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (first) resolve(signal);
        else {
          log.logger.warn({ signal }, 'ended before all was drained');
          log.flush();
          process.exit(EXIT.FAILED);
        }
        first = false;
      });
    }
  });
}

/** SIGHUP: a configuration with mistakes changes nothing. */
async function reload(server: Server, file: string | undefined, log: Log): Promise<void> {
  log.reopen();
  if (file === undefined) {
    // The demo has no file to read again.
    try {
      server.reloadTls();
    } catch {
      // It has been told.
    }
    return;
  }
  try {
    const result = loadConfig(file);
    if ('config' in result) await server.reload(result.config);
    else {
      const problems = result.problems.map(formatProblem);
      log.logger.error({ problems }, 'configuration not reloaded');
    }
  } catch (error) {
    log.logger.error({ err: error }, 'configuration not reloaded');
  }
}

/** For the control interface; throws with every mistake. */
function readAgain(file: string): Config {
  const result = loadConfig(file);
  if ('config' in result) return result.config;
  throw new MsrpError('E_CONFIG', result.problems.map(formatProblem).join('; '));
}

const DEMO_USER = 'alice';
const DEMO_PASSWORD = 'secret';

/** Where the demo keeps its CA and certificate, in the working directory: clients read the CA there. */
const DEMO_FOLDER = '.msrpd';

/** The demo: loopback only. */
const DEMO_CONFIG = `
msrp: {send_timeout: 30000, max_msg_chunks: 0}
relay:
  allow_plain_auth: true
  allow_ip_use_path: true
  next_hops: {allow: [127.0.0.0/8]}
log: {destination: stderr}
`;

/** Undefined where nothing can be written: then there is no TLS. */
async function demoFiles(): Promise<DevelopmentFiles | undefined> {
  try {
    return await developmentFiles(DEMO_FOLDER, ['localhost', '127.0.0.1', '::1'], Date.now());
  } catch (error) {
    process.stderr.write(`msrpd: no TLS, since ${DEMO_FOLDER} cannot be used: ${String(error)}\n`);
    return undefined;
  }
}

function demoConfig(ports: DemoPorts, tls: DevelopmentFiles | undefined): Config {
  const more =
    tls === undefined
      ? ''
      : `tls: {domains: {default: ${JSON.stringify({ certificate: tls.certificate, private_key: tls.privateKey, ca_list: tls.ca })}}}`;
  const listeners = [
    `msrp:127.0.0.1:${ports.msrp}`,
    { uri: `msrps:127.0.0.1:${ports.msrps}`, advertise: `localhost:${ports.msrps}` },
  ];
  const control = `control: {listen: "http:127.0.0.1:${ports.status}"}\n`;
  const text = `listeners: ${JSON.stringify(tls === undefined ? listeners.slice(0, 1) : listeners)}${DEMO_CONFIG}${control}${more}`;
  const result = parseConfig(text, 'demo');
  if ('config' in result) return result.config;
  throw new CliError(result.problems.map(formatProblem).join('; '), EXIT.USAGE);
}

function welcome(server: Server, tls: DevelopmentFiles | undefined): void {
  const relay = server.listeners[0]?.uri ?? '';
  const { kind, framer, reason } = server.engine;
  process.stdout.write(`msrpd is up: a relay for tests, on loopback only.

  listening on   ${server.listeners.map(({ uri }) => uri).join(', ')}
  engine         ${kind}, framer ${framer} (${reason})
  status page    ${server.control}
  demo user      ${DEMO_USER}, password ${DEMO_PASSWORD}

What next, in two more terminals:

  npx msrpd listen --relay '${relay}' --user ${DEMO_USER} --password ${DEMO_PASSWORD}
  npx msrpd send --to 'the path that listen has printed' --text 'Hello'

${
  tls === undefined
    ? ''
    : `With TLS, trusting the CA of this demo (${join(process.cwd(), tls.ca)}):

  npx msrpd listen --relay '${server.listeners[1]?.uri}' --ca ${tls.ca} --user ${DEMO_USER} --password ${DEMO_PASSWORD}
  npx msrpd send --ca ${tls.ca} --to 'the path that listen has printed' --text 'Hello'

`
}Stop it with Ctrl-C. Your own configuration: npx msrpd init

`);
}
