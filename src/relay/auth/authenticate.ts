import { timingSafeEqual } from 'node:crypto';
import type { Answer, RequestEvent } from '../../engine/engine.ts';
import {
  digestResponse,
  digestRspauth,
  formatAuthenticationInfo,
  formatChallenge,
  parseDigest,
} from '../../syntax/digest.ts';
import type { DigestParams } from '../../syntax/digest.ts';
import { headerValue } from '../../syntax/frame.ts';
import { isSeconds } from '../../syntax/header-value.ts';
import type { Header } from '../../syntax/frame.ts';
import { statusComment } from '../../syntax/status.ts';
import { parseUri } from '../../syntax/uri.ts';
import { readSecret, secretHa1 } from '../credentials.ts';
import type { CredentialStore } from '../credentials.ts';
import type { RelaySettings } from '../settings.ts';
import { nonceBinding } from './nonce.ts';
import type { NonceSource } from './nonce.ts';

/** What an AUTH comes to. */
export type AuthOutcome =
  | {
      readonly kind: 'refused';
      readonly answer: Answer;
      /** For the log; never a secret. */
      readonly cause:
        'challenge' | 'stale' | 'malformed' | 'wrong credentials' | 'foreign nonce' | 'algorithm' | 'expires';
      /** Counts towards `auth_failures`. */
      readonly failed: boolean;
      readonly user?: string;
    }
  | {
      readonly kind: 'granted';
      readonly user: string;
      readonly realm: string;
      /** 0 releases the session (D-39). */
      readonly expiresS: number;
      /** Authentication-Info. */
      readonly headers: readonly Header[];
    };

/** Judges the credentials of an AUTH for this relay (R-031…R-033, D-36…D-40). Rejects only when the store does. */
export async function authenticate(
  request: Pick<RequestEvent, 'connection' | 'toPath' | 'fromPath' | 'headers'>,
  settings: RelaySettings,
  nonces: NonceSource,
  credentials: CredentialStore,
): Promise<AuthOutcome> {
  const uri = request.toPath.at(-1) as string;
  const realm = settings.authRealm ?? parseUri(uri)?.host ?? '';
  // Behind further relays the same client may come back on another connection of theirs.
  const binding = request.fromPath.length === 1 ? nonceBinding(request.connection) : '';
  const refuse = (
    cause: Extract<AuthOutcome, { kind: 'refused' }>['cause'],
    status: number,
    headers: readonly Header[],
    user?: string,
  ): AuthOutcome => ({
    kind: 'refused',
    answer: { status, comment: statusComment(status), headers },
    cause,
    failed: cause !== 'challenge' && cause !== 'stale' && cause !== 'expires',
    ...(user === undefined ? {} : { user }),
  });
  const challenge = (
    cause: 'challenge' | 'stale' | 'wrong credentials' | 'foreign nonce' | 'algorithm',
    user?: string,
  ) => {
    const value = formatChallenge({ realm, nonce: nonces.make(realm, binding), stale: cause === 'stale' });
    return refuse(cause, 401, [['WWW-Authenticate', value]], user);
  };

  const authorization = headerValue(request.headers, 'Authorization');
  if (authorization === undefined) return challenge('challenge');
  const params = parseDigest(authorization);
  const given = params === undefined ? undefined : readCredentials(params);
  if (given === undefined) return refuse('malformed', 400, []);
  const { user, nonce, nc, cnonce, response } = given;
  if (given.algorithm.toLowerCase() !== 'md5') return challenge('algorithm', user);

  const secret = readSecret(await credentials.lookup(user, realm));
  // An unknown user costs the same work and gets the same answer as a wrong password (D-36).
  const known = secret !== undefined && given.realm === realm;
  const input = { ha1: secretHa1(secret ?? NOBODY, user, realm), uri, nonce, nc, cnonce };
  const right = timingSafeEqual(Buffer.from(digestResponse(input)), Buffer.from(response.toLowerCase()));
  const verdict = nonces.check(nonce, realm, binding);
  if (!right || !known) return challenge(verdict === 'foreign' ? 'foreign nonce' : 'wrong credentials', user);
  // A right digest over a nonce that is no good proves the password: stale, not a failure (RFC 2617 section 3.2.1).
  if (verdict !== 'good' || !nonces.use(nonce, binding, Number.parseInt(nc, 16))) return challenge('stale', user);

  const wanted = headerValue(request.headers, 'Expires');
  if (wanted !== undefined && !isSeconds(wanted)) return refuse('malformed', 400, [], user);
  const expires = chooseExpires(wanted, settings);
  if (typeof expires !== 'number') return refuse('expires', 423, [expires], user);
  // No nextnonce: this nonce goes on with its count, and neither lives as long as a client waits before it comes again.
  const info = formatAuthenticationInfo({ rspauth: digestRspauth(input), cnonce, nc });
  return { kind: 'granted', user, realm, expiresS: expires, headers: [['Authentication-Info', info]] };
}

/** What an AUTH of a user comes to whom something else has shown to be there: no challenge, and no proof (RFC 7977, X-011). */
export function grantKnown(
  request: Pick<RequestEvent, 'toPath' | 'headers'>,
  settings: RelaySettings,
  { user, realm }: { readonly user: string; readonly realm: string | undefined },
): AuthOutcome {
  const refused = (cause: 'malformed' | 'expires', status: number, headers: readonly Header[]): AuthOutcome => ({
    kind: 'refused',
    answer: { status, comment: statusComment(status), headers },
    cause,
    failed: cause === 'malformed',
    user,
  });
  const wanted = headerValue(request.headers, 'Expires');
  if (wanted !== undefined && !isSeconds(wanted)) return refused('malformed', 400, []);
  const expiresS = chooseExpires(wanted, settings);
  if (typeof expiresS !== 'number') return refused('expires', 423, [expiresS]);
  const host = parseUri(request.toPath.at(-1) as string)?.host ?? '';
  return { kind: 'granted', user, realm: realm ?? settings.authRealm ?? host, expiresS, headers: [] };
}

/** The lifetime of a session in seconds, or the header of a 423 (R-033, D-39). `wanted` is digits. */
function chooseExpires(wanted: string | undefined, settings: RelaySettings): number | Header {
  if (wanted === undefined) return settings.authExpiresS;
  const seconds = Number(wanted);
  if (seconds === 0) return 0;
  if (seconds < settings.authMinExpiresS) return ['Min-Expires', String(settings.authMinExpiresS)];
  if (seconds > settings.authMaxExpiresS) return ['Max-Expires', String(settings.authMaxExpiresS)];
  return seconds;
}

/** Stands in for the secret of an unknown user; what is computed with it never counts. */
const NOBODY = { password: '' } as const;

/** A cnonce goes back in Authentication-Info, so it may hold nothing that a header could break at. */
const CNONCE = /^[ -~]{1,256}$/;

interface Credentials {
  readonly user: string;
  readonly realm: string;
  readonly nonce: string;
  readonly nc: string;
  readonly cnonce: string;
  readonly response: string;
  readonly algorithm: string;
}

/** The parameters that must be there, each of its form; undefined when one is not. */
function readCredentials(params: DigestParams): Credentials | undefined {
  const [user, realm, nonce] = [params.get('username'), params.get('realm'), params.get('nonce')];
  const [nc, cnonce, response] = [params.get('nc'), params.get('cnonce'), params.get('response')];
  if (user === undefined || realm === undefined || nonce === undefined || cnonce === undefined) return undefined;
  if (params.get('qop')?.toLowerCase() !== 'auth' || !CNONCE.test(cnonce)) return undefined;
  if (nc === undefined || !/^[0-9a-f]{8}$/i.test(nc) || Number.parseInt(nc, 16) === 0) return undefined;
  if (response === undefined || !/^[0-9a-f]{32}$/i.test(response)) return undefined;
  return { user, realm, nonce, nc, cnonce, response, algorithm: params.get('algorithm') ?? 'MD5' };
}
