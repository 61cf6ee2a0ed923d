import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MsrpError } from '../errors.ts';
import { checkMeaning } from './check-meaning.ts';
import { domainFiles } from './check-tls.ts';
import type { Config, ConfigProblem } from './config.ts';
import { parseAuthority, parseListenerUri, parseOwnName } from './listener-uri.ts';
import { readOperation } from './operation.ts';
import type { RawConfig } from './raw.ts';
import { ConfigSource } from './source.ts';
import { validate } from './validate.ts';

/** A configuration, or all that is wrong with it. Warnings never stop a start. */
export type LoadResult =
  | { readonly config: Config; readonly warnings: readonly ConfigProblem[] }
  | { readonly problems: readonly ConfigProblem[]; readonly warnings: readonly ConfigProblem[] };

/** Reads a configuration file; throws `E_CONFIG_READ` when it cannot be read. */
export function loadConfig(path: string): LoadResult {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new MsrpError('E_CONFIG_READ', error instanceof Error ? error.message : String(error), { cause: error });
  }
  return parseConfig(text, path);
}

/** Parses YAML or JSON. Relative paths in it are relative to the folder of `file`. */
export function parseConfig(text: string, file: string): LoadResult {
  const source = new ConfigSource(text, file);
  if (source.problems.length > 0) return { problems: source.problems, warnings: [] };
  const problems = validate(source, source.value);
  const folder = dirname(resolve(file));
  const meaning = checkMeaning(source, source.value, folder, new Set(problems.map(({ key }) => key)));
  problems.push(...meaning.problems);
  if (problems.length > 0) return { problems: problems.toSorted(byPlace), warnings: meaning.warnings };
  return { config: normalise(source.value as RawConfig, folder), warnings: meaning.warnings };
}

/** One line for each problem: `file:line:column: key: message`. */
export function formatProblem({ file, line, column, key, message }: ConfigProblem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return key === '' ? `${place}: ${message}` : `${place}: ${key}: ${message}`;
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return a.line - b.line || a.column - b.column || a.key.localeCompare(b.key);
}

function normalise(raw: RawConfig, folder: string): Config {
  const { msrp, relay, limits, websocket } = raw;
  const path = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : resolve(folder, name);
  const file = path(relay.users.file);
  const hook = path(relay.users.hook);
  return {
    engine: raw.engine,
    workers: raw.workers,
    listeners: raw.listeners.map((entry) => {
      const {
        uri,
        advertise,
        tls_domain: tlsDomain,
        path: wsPath = '/',
        origins = [],
      } = typeof entry === 'string' ? { uri: entry } : entry;
      const parsed = parseListenerUri(uri);
      if (typeof parsed === 'string') throw new MsrpError('E_CONFIG', parsed);
      const authority = advertise === undefined ? undefined : parseAuthority(advertise, parsed.port);
      return {
        ...parsed,
        uri,
        advertise: typeof authority === 'string' ? undefined : authority,
        tlsDomain,
        path: wsPath,
        origins: origins.map((origin) => origin.toLowerCase()),
      };
    }),
    limits: {
      sendTimeoutMs: msrp.send_timeout,
      maxMsgChunks: msrp.max_msg_chunks,
      tlsHandshakeTimeoutMs: msrp.tls_handshake_timeout,
      maxHandshakes: limits.max_handshakes,
      maxConnections: limits.max_connections,
      maxConnectionsPerIp: limits.max_connections_per_ip,
      lineBytes: limits.line_bytes,
      headerBytes: limits.header_bytes,
      headerLines: limits.header_lines,
      pathUris: limits.path_uris,
      nonSendBodyBytes: limits.non_send_body_bytes,
      messageBytes: limits.message_bytes,
      outboxBytes: limits.outbox_bytes,
      transactionsPerConnection: limits.transactions_per_connection,
      probationMs: limits.probation_s * 1000,
      idleMs: limits.idle_s * 1000,
      transactionMs: msrp.transaction_timeout * 1000,
    },
    relay: {
      authRealm: relay.auth_realm,
      authExpiresS: relay.auth_expires,
      authMinExpiresS: relay.auth_min_expires,
      authMaxExpiresS: relay.auth_max_expires,
      nonceExpireS: relay.nonce_expire,
      cleanupIntervalS: relay.cleanup_interval,
      allowPlainAuth: relay.allow_plain_auth,
      allowIpUsePath: relay.allow_ip_use_path,
      exclusivePeer: relay.exclusive_peer,
      nextHops: relay.next_hops,
      maxSessionsPerUser: limits.max_sessions_per_user,
      maxSessionsPerConnection: limits.max_sessions_per_connection,
      authFailures: limits.auth_failures,
      connectTimeoutMs: msrp.connect_timeout,
      certCheckOnReuse: msrp.cert_check_on_conn_reusage,
    },
    myUris: relay.my_uri.map((name) => parseOwnName(name) as { host: string; port: number }),
    users: { ...(file === undefined ? {} : { file }), ...(hook === undefined ? {} : { hook }) },
    hooks: path(raw.hooks),
    drainMs: limits.drain_s * 1000,
    websocket: {
      implementation: websocket.implementation,
      maxMessageBytes: websocket.max_message_bytes,
      messagesPerS: websocket.messages_per_s,
      backlogBytes: websocket.backlog_bytes,
      chunkOctets: websocket.chunk_bytes,
      pingIntervalMs: websocket.ping_interval * 1000,
      trustedProxies: websocket.trusted_proxies,
    },
    tlsDomains: Object.fromEntries(
      Object.entries(raw.tls.domains).map(([name, domain]) => [
        name,
        domainFiles(domain, (part) => resolve(folder, part)),
      ]),
    ),
    ...readOperation(raw, path),
    log: {
      ...raw.log,
      destination: STREAMS.has(raw.log.destination) ? raw.log.destination : resolve(folder, raw.log.destination),
    },
  };
}

/** Log destinations that are no files. */
const STREAMS: ReadonlySet<string> = new Set(['stdout', 'stderr']);
