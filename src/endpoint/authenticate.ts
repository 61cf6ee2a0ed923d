import { MsrpError } from '../errors.ts';
import { escapePeer } from '../log/escape.ts';
import {
  digestResponse,
  digestRspauth,
  formatAuthorization,
  ha1,
  parseAuthenticationInfo,
  parseDigest,
} from '../syntax/digest.ts';
import { encodeRequest } from '../syntax/encode.ts';
import { headerValue } from '../syntax/frame.ts';
import { isSeconds } from '../syntax/header-value.ts';
import type { Header, ResponseFrame } from '../syntax/frame.ts';
import { parsePath } from '../syntax/path.ts';
import { makeIdent } from './environment.ts';
import type { EndpointEnvironment } from './environment.ts';
import type { PeerConnection } from './peer-connection.ts';

export interface AuthRequest {
  /** To-Path: the relays already passed, then the one that is asked. */
  readonly toPath: readonly string[];
  /** Own URI. */
  readonly uri: string;
  readonly user: string;
  /** Undefined: something else shows who is there, so that none is asked for. */
  readonly password: string | undefined;
  /** The only realm to give credentials to; undefined is any. */
  readonly realm: string | undefined;
  /** Lifetime asked for in seconds. */
  readonly expiresS: number | undefined;
  /** Refuse a relay that does not prove that it knows the password, too (D-33). */
  readonly requireRspauth: boolean;
  readonly timeoutMs: number;
}

export interface AuthGrant {
  /** In To-Path order (relay R-014). Empty when a session was released. */
  readonly usePath: readonly string[];
  readonly expiresS: number;
}

/** Obtains or refreshes a session by AUTH (relay R-010…R-016, D-31). Rejects with `E_AUTH`, its status that of the relay. */
export async function authenticate(
  connection: PeerConnection,
  environment: EndpointEnvironment,
  request: AuthRequest,
): Promise<AuthGrant> {
  let expiresS = request.expiresS;
  let authorization: string | undefined;
  let proof: string | undefined;
  let boundTried = false;
  // A challenge, a stale nonce and a lifetime out of bounds each get one more try.
  for (let tries = 0; tries < 5; tries++) {
    const response = await sendAuth(connection, environment, request, expiresS, authorization);
    if (response.status === 200) return readGrant(response, request, proof);
    // A session that is given back is not asked for again.
    if (response.status === 423 && !boundTried && request.expiresS !== 0) {
      boundTried = true;
      const bound = headerValue(response.headers, 'Min-Expires') ?? headerValue(response.headers, 'Max-Expires');
      if (bound !== undefined && /^\d{1,9}$/.test(bound)) {
        expiresS = Number(bound);
        // The nonce is used up; without credentials a new one comes back.
        authorization = undefined;
        continue;
      }
    }
    if (response.status !== 401) throw refused(response);
    const { password } = request;
    if (password === undefined) throw refused(response, 'the relay asks for a password');
    const challenge = parseDigest(headerValue(response.headers, 'WWW-Authenticate') ?? '');
    const nonce = challenge?.get('nonce');
    const realm = challenge?.get('realm');
    if (challenge === undefined || nonce === undefined || realm === undefined)
      throw refused(response, 'no usable challenge');
    if (request.realm !== undefined && realm !== request.realm) throw refused(response, 'another realm');
    // there must be a qop, and RFC 2617 lets it be a list; without any, `auth` is tried.
    const qop = (challenge.get('qop') ?? 'auth').toLowerCase().split(',');
    if (!qop.some((value) => value.trim() === 'auth')) throw refused(response, 'no usable qop');
    if ((challenge.get('algorithm') ?? 'MD5').toUpperCase() !== 'MD5') throw refused(response, 'unknown algorithm');
    if (authorization !== undefined && challenge.get('stale')?.toLowerCase() !== 'true') throw refused(response);
    const input = {
      ha1: ha1(request.user, realm, password),
      uri: request.toPath.at(-1) as string,
      nonce,
      nc: '00000001',
      cnonce: makeIdent(environment),
    };
    const opaque = challenge.get('opaque');
    authorization = formatAuthorization({
      user: request.user,
      realm,
      nonce,
      nc: input.nc,
      cnonce: input.cnonce,
      response: digestResponse(input),
      ...(opaque === undefined ? {} : { opaque }),
    });
    proof = digestRspauth(input);
  }
  throw new MsrpError('E_AUTH', 'the relay keeps asking', { status: 401 });
}

async function sendAuth(
  connection: PeerConnection,
  environment: EndpointEnvironment,
  request: AuthRequest,
  expiresS: number | undefined,
  authorization: string | undefined,
): Promise<ResponseFrame> {
  const tid = makeIdent(environment);
  const headers: Header[] = [];
  if (authorization !== undefined) headers.push(['Authorization', authorization]);
  if (expiresS !== undefined) headers.push(['Expires', String(expiresS)]);
  const { answer, written } = connection.expect(tid, request.timeoutMs);
  const frame = { tid, method: 'AUTH', toPath: request.toPath, fromPath: [request.uri], headers };
  connection.post(encodeRequest(frame, undefined, '$'));
  written();
  return answer;
}

function readGrant(response: ResponseFrame, request: AuthRequest, proof: string | undefined): AuthGrant {
  const info = parseAuthenticationInfo(headerValue(response.headers, 'Authentication-Info') ?? '');
  const isProofDue = request.requireRspauth && request.password !== undefined;
  if (isProofDue && (proof === undefined || info?.get('rspauth')?.toLowerCase() !== proof)) {
    throw new MsrpError('E_AUTH', 'the relay has not proven that it knows the password');
  }
  const expires = headerValue(response.headers, 'Expires') ?? '0';
  if (!isSeconds(expires)) throw new MsrpError('E_AUTH', 'the relay has sent no usable Expires');
  const expiresS = Number(expires);
  const value = headerValue(response.headers, 'Use-Path');
  if (value === undefined && request.expiresS === 0) return { usePath: [], expiresS: 0 };
  const usePath = value === undefined ? undefined : parsePath(value, 16, false);
  if (usePath === undefined) throw new MsrpError('E_AUTH', 'the relay has sent no usable Use-Path');
  return { usePath, expiresS };
}

function refused({ status, comment = '' }: ResponseFrame, why?: string): MsrpError {
  const meaning = status === 401 || status === 403 ? 'wrong credentials or not allowed' : escapePeer(comment);
  return new MsrpError('E_AUTH', `${status} ${why ?? meaning}`.trim(), { status });
}
