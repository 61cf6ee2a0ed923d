import { stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { MsrpError } from '../errors.ts';
import type { Secret } from './credentials.ts';

/** Decisions that an operator's own code takes. Each may be asynchronous; a failure refuses what was asked for. */
export interface Hooks {
  /** The secret of a user: a password or an HA1; null when there is no such user. Replaces the users file. */
  authenticate?(request: { user: string; realm: string; remote: string }): MaybePromise<Secret | null | undefined>;
  /** Whether a user with right credentials may open a session, and for how long. */
  authorize?(request: {
    user: string;
    realm: string;
    remote: string;
    fromPath: readonly string[];
  }): MaybePromise<boolean | { allow: boolean; status?: number; expiresS?: number }>;
  /** Where a session's request goes next, instead of where its URI leads; undefined leaves it as it is. */
  nextHop?(request: {
    user: string;
    realm: string;
    uri: string;
    method: string;
    pathLength: number;
  }): MaybePromise<undefined | null | { refuse: number } | { host: string; port: number; tls?: boolean }>;
  /**
   * Who a WebSocket handshake shows to be there, by its cookie or `Authorization`; header values are as received, empty without
   * one. Nothing: AUTH asks for a digest, as everywhere. A user: AUTH is granted without one (RFC 7977 section 5.3.1).
   */
  websocket?(request: {
    remote: string;
    path: string;
    query: string;
    host: string;
    origin: string;
    cookie: string;
    authorization: string;
  }): MaybePromise<undefined | null | { user: string; realm?: string } | { refuse: number }>;
  /** Whether a connection is traced; asked while tracing is on only. Replaces `msrp.trace_filter_route`. */
  traceFilter?(connection: {
    direction: 'in' | 'out';
    remote: { address: string; port: number };
    local: { address: string; port: number };
    listener: string | undefined;
    /** Of the sessions that were opened on it. */
    users: readonly string[];
    /** The first of them. */
    user: string | undefined;
    tlsName: string | undefined;
  }): MaybePromise<boolean | 'trace' | 'drop'>;
  /** Local address to dial a next hop from. */
  selectSocket?(request: {
    user: string;
    realm: string;
    uri: string;
    address: string;
  }): MaybePromise<string | null | undefined>;
}

type MaybePromise<T> = T | Promise<T>;

const HOOK_NAMES = [
  'authenticate',
  'authorize',
  'nextHop',
  'selectSocket',
  'websocket',
  'traceFilter',
] as const satisfies readonly (keyof Hooks)[];

/** Loads a hooks module; rejects with `E_HOOKS` when it cannot be loaded or exports what is no hook. */
export async function loadHooks(path: string): Promise<Hooks> {
  let module: Record<string, unknown>;
  try {
    // Modules are kept by URL: a changed file is another module.
    const { mtimeMs } = await stat(path);
    module = (await import(`${pathToFileURL(path).href}?changed=${mtimeMs}`)) as Record<string, unknown>;
  } catch (error) {
    throw new MsrpError('E_HOOKS', `${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const problems: string[] = [];
  const hooks: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(module)) {
    if (name === 'default') continue;
    if (!(HOOK_NAMES as readonly string[]).includes(name))
      problems.push(`no hook is called ${name} (${HOOK_NAMES.join(', ')})`);
    else if (typeof value === 'function') hooks[name] = value;
    else problems.push(`${name} must be a function`);
  }
  if (Object.keys(hooks).length === 0 && problems.length === 0)
    problems.push(`exports none of ${HOOK_NAMES.join(', ')}`);
  if (problems.length > 0) throw new MsrpError('E_HOOKS', `${path}: ${problems.join('; ')}`);
  return hooks;
}

/** True for a status that a hook may refuse with: it is no success, and has three digits on the wire (core C-005). */
export function isFailure(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 699;
}

/** Runs a hook with a time limit; rejects when it throws or is late. */
export async function runHook<T>(name: string, run: () => MaybePromise<T>, timeoutMs = HOOK_TIMEOUT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`hook ${name} took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([Promise.resolve().then(run), late]);
  } finally {
    clearTimeout(timer);
  }
}

const HOOK_TIMEOUT_MS = 5000;
