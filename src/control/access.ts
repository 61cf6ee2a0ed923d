import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { isLoopback } from './address.ts';

/** Who may use the control interface, by the headers of a request. */
export interface RequestFacts {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  readonly authorization: string | undefined;
}

/** Shortest token: 128 bits as 22 characters of base64, and some shorter ones of whoever makes them by hand. */
const MIN_TOKEN = 16;

/** Reads a token; a text says what is wrong with the file. */
export function readToken(file: string): { readonly token: string } | string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    return `cannot read ${file}: ${(error as { code?: string }).code ?? String(error)}`;
  }
  if (/[^\x21-\x7e]/.test(text)) return `${file}: a token is one line of printable ASCII without spaces`;
  return text.length < MIN_TOKEN ? `${file}: a token has ${MIN_TOKEN} characters at least` : { token: text };
}

/**
 * A browser of the same machine can be made to send requests by any page that it shows: by name (DNS rebinding), or across
 * sites. A text says why such a request is refused.
 */
export function strangerProblem(facts: RequestFacts, hasToken: boolean): string | undefined {
  const { host, origin, fetchSite } = facts;
  // With a token, what name the interface is reached by does not matter: a foreign page does not know the token.
  if (!hasToken && !isLoopbackHost(host)) return 'the Host header names another machine than this one';
  if (origin !== undefined && !isSameOrigin(origin, host)) return 'the request comes from a page of another origin';
  if (fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none')
    return 'the request comes from a page of another site';
  return undefined;
}

/** Compares in constant time, whatever the lengths. */
export function isRightToken(authorization: string | undefined, token: string): boolean {
  const given = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isLoopbackHost(host: string | undefined): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(host ?? '');
  const name = match?.[1] ?? match?.[2];
  if (name === undefined) return false;
  return isIP(name) === 0 ? name.toLowerCase() === 'localhost' : isLoopback(name);
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  try {
    return new URL(origin).host === host?.toLowerCase();
  } catch {
    return false;
  }
}
