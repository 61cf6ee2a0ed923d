import { hash } from 'node:crypto';

/**
 * HTTP Digest as MSRP uses it (RFC 4976 section 9.1, RFC 2617; relay R-020…R-027): MD5, `qop=auth`, no request-URI.
 */

/** Parameters of a Digest header by lower-case name, unquoted and unescaped. */
export type DigestParams = ReadonlyMap<string, string>;

/**
 * Parses `Digest name=value, …`; undefined when the scheme is another one, the grammar is broken, or a parameter comes twice.
 * Values are tokens or quoted strings, whatever the parameter; white space round commas does not matter (D-34).
 */
export function parseDigest(value: string): DigestParams | undefined {
  const scheme = /^Digest[ \t]+/i.exec(value);
  return scheme === null ? undefined : parseParams(value.slice(scheme[0].length));
}

/** Parses Authentication-Info, which has no scheme in front. */
export function parseAuthenticationInfo(value: string): DigestParams | undefined {
  return parseParams(value);
}

/** A1 of the digest: hash of user, realm and password in hex. */
export function ha1(user: string, realm: string, password: string): string {
  return md5(`${user}:${realm}:${password}`);
}

/** What both sides put into a digest besides the shared secret. */
export interface DigestInput {
  /** 32 hex digits. */
  readonly ha1: string;
  /** Rightmost URI of To-Path, exactly as written (R-023). */
  readonly uri: string;
  readonly nonce: string;
  /** As on the wire: 8 hex digits. */
  readonly nc: string;
  readonly cnonce: string;
}

/** `response` of Authorization (R-024). */
export function digestResponse(input: DigestInput): string {
  return digest(input, `AUTH:${input.uri}`);
}

/** `rspauth` of Authentication-Info: the same without a method (R-025). */
export function digestRspauth(input: DigestInput): string {
  return digest(input, `:${input.uri}`);
}

/** WWW-Authenticate value; qop is quoted here and nowhere else (R-021). */
export function formatChallenge(challenge: { realm: string; nonce: string; stale: boolean }): string {
  const { realm, nonce, stale } = challenge;
  return `Digest realm=${quote(realm)}, nonce=${quote(nonce)}, qop="auth"${stale ? ', stale=true' : ''}, algorithm=MD5`;
}

/** Authorization value; the URI is not part of it (R-023), `opaque` is given back as received. */
export function formatAuthorization(credentials: {
  user: string;
  realm: string;
  nonce: string;
  nc: string;
  cnonce: string;
  response: string;
  opaque?: string;
}): string {
  const { user, realm, nonce, nc, cnonce, response, opaque } = credentials;
  return (
    `Digest username=${quote(user)}, realm=${quote(realm)}, nonce=${quote(nonce)}, qop=auth, nc=${nc}, ` +
    `cnonce=${quote(cnonce)}, response="${response}"${opaque === undefined ? '' : `, opaque=${quote(opaque)}`}`
  );
}

/** Authentication-Info value. */
export function formatAuthenticationInfo(info: { rspauth: string; cnonce: string; nc: string }): string {
  const { rspauth, cnonce, nc } = info;
  return `qop=auth, rspauth="${rspauth}", cnonce=${quote(cnonce)}, nc=${nc}`;
}

const TOKEN = /[!#-'*+\-.0-9A-Z^-~]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
/** `=` ends a base64 nonce that a peer forgot to quote; it is no token character, but nothing else it could be. */
const LOOSE = /[^\s,"]+/y;
const BLANK = /[ \t]*/y;

function parseParams(text: string): DigestParams | undefined {
  const params = new Map<string, string>();
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at += found[0].length;
    return found;
  };
  for (;;) {
    match(BLANK);
    const name = match(TOKEN)?.[0].toLowerCase();
    if (name === undefined || params.has(name) || params.size >= MAX_PARAMS) return undefined;
    match(BLANK);
    if (text[at] !== '=') return undefined;
    at++;
    match(BLANK);
    const quoted = match(QUOTED);
    const value = quoted === null ? match(LOOSE)?.[0] : (quoted[1] as string).replace(/\\(.)/gs, '$1');
    if (value === undefined) return undefined;
    params.set(name, value);
    match(BLANK);
    if (at === text.length) return params;
    if (text[at] !== ',') return undefined;
    at++;
  }
}

/** Parameters of one header; the RFCs know a dozen. */
const MAX_PARAMS = 32;

function digest(input: DigestInput, a2: string): string {
  const { nonce, nc, cnonce } = input;
  return md5(`${input.ha1.toLowerCase()}:${nonce}:${nc}:${cnonce}:auth:${md5(a2)}`);
}

function md5(text: string): string {
  return hash('md5', text);
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
