import { readFile } from 'node:fs/promises';
import { MsrpError } from '../errors.ts';
import { ha1 } from '../syntax/digest.ts';

/** What a user is known by: a password, or its HA1 (32 hex digits) so that no password need be stored. */
export type Secret = { readonly password: string } | { readonly ha1: string };

/** Where users come from. In memory here; a database behind the same interface serves several nodes. */
export interface CredentialStore {
  /** The secret of a user in a realm; undefined when there is no such user. May throw: the AUTH is then refused. */
  lookup(user: string, realm: string): Promise<Secret | undefined>;
}

/** HA1 of a secret (RFC 2617). */
export function secretHa1(secret: Secret, user: string, realm: string): string {
  return 'ha1' in secret ? secret.ha1.toLowerCase() : ha1(user, realm, secret.password);
}

/**
 * The secret in what an operator's code has given; undefined when there is none. An empty password is none, nor is a value that
 * is no text: else a user whom a hook does not find would come in with `undefined` for a password.
 */
export function readSecret(value: unknown): Secret | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { ha1: hash, password } = value as { ha1?: unknown; password?: unknown };
  if (hash !== undefined) return typeof hash === 'string' && HA1.test(hash) ? { ha1: hash } : undefined;
  return typeof password === 'string' && password !== '' ? { password } : undefined;
}

/** Users in memory. A user without a realm is one in every realm. */
export class MemoryCredentials implements CredentialStore {
  #users: ReadonlyMap<string, Secret>;

  constructor(users: Iterable<readonly [user: string, realm: string, secret: Secret]>) {
    this.#users = index(users);
  }

  async lookup(user: string, realm: string): Promise<Secret | undefined> {
    return this.#users.get(key(user, realm)) ?? this.#users.get(key(user, ''));
  }

  /** Replaces all users. */
  replace(users: Iterable<readonly [user: string, realm: string, secret: Secret]>): void {
    this.#users = index(users);
  }
}

export type UserRow = readonly [user: string, realm: string, secret: Secret];

/** Reads a users file; rejects with `E_USERS` that lists every bad line. */
export async function loadUsers(path: string): Promise<UserRow[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new MsrpError('E_USERS', `${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const { users, problems } = parseUsers(text);
  if (problems.length > 0) {
    throw new MsrpError('E_USERS', problems.map(({ line, message }) => `${path}:${line}: ${message}`).join('; '));
  }
  return users;
}

/**
 * Parses the lines of a users file: `user:realm:password`, or `user:realm:HA1` with 32 hex digits. An empty realm stands for
 * every realm. A password that itself is 32 hex digits is written `user:realm:plain:password`. Lines that are empty or begin
 * with `#` do not count.
 */
export function parseUsers(text: string): { users: UserRow[]; problems: { line: number; message: string }[] } {
  const users: UserRow[] = [];
  const problems: { line: number; message: string }[] = [];
  const seen = new Map<string, number>();
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const row = raw.replace(/\r$/, '');
    if (row.trim() === '' || row.startsWith('#')) continue;
    const line = i + 1;
    const match = /^([^:]+):([^:]*):(.+)$/.exec(row);
    if (match === null) {
      problems.push({ line, message: 'expected user:realm:password or user:realm:HA1' });
      continue;
    }
    const [, user, realm, secret] = match as unknown as [string, string, string, string];
    const before = seen.get(key(user, realm));
    if (before !== undefined) {
      problems.push({ line, message: `this user and realm are in line ${before} already` });
      continue;
    }
    seen.set(key(user, realm), line);
    if (HA1.test(secret)) {
      if (realm === '') problems.push({ line, message: 'an HA1 belongs to a realm; name it' });
      else users.push([user, realm, { ha1: secret.toLowerCase() }]);
    } else if (secret === PLAIN) problems.push({ line, message: 'the password is empty' });
    else users.push([user, realm, { password: secret.startsWith(PLAIN) ? secret.slice(PLAIN.length) : secret }]);
  }
  return { users, problems };
}

const HA1 = /^[0-9a-f]{32}$/i;
const PLAIN = 'plain:';

function index(users: Iterable<UserRow>): ReadonlyMap<string, Secret> {
  return new Map(Array.from(users, ([user, realm, secret]) => [key(user, realm), secret]));
}

/** A colon can be in neither part of a users file, and NUL in neither part of a header. */
function key(user: string, realm: string): string {
  return `${user}\0${realm}`;
}
