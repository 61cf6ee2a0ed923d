import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ConnectionOptions, SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls';
import { MsrpError } from '../../errors.ts';
import type { TlsClientSpec, TlsDomain, TlsInfo } from '../engine.ts';

/** node:tls options of a listener. A certificate is asked for and judged after the handshake (relay R-040). */
export function serverOptions(spec: TlsDomain): TlsOptions {
  return { ...contextOptions(spec), requestCert: true, rejectUnauthorized: false };
}

/** node:tls options for dialling: SNI, and the certificate checked against the name (core C-130, C-131). */
export function clientOptions(spec: TlsClientSpec): ConnectionOptions {
  // An address is no SNI (RFC 6066); the certificate is compared with the address dialled instead.
  const name = isIP(spec.serverName) === 0 ? { servername: spec.serverName } : {};
  return { ...contextOptions(spec.domain), ...name, rejectUnauthorized: spec.domain.verifyCert };
}

/** Throws `E_TLS_MATERIAL` when certificate, key and the rest do not fit together. */
export function assertUsable(spec: TlsDomain): void {
  try {
    createSecureContext(contextOptions(spec));
  } catch (error) {
    throw new MsrpError('E_TLS_MATERIAL', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Why a peer that has finished its handshake is turned away all the same; undefined when it is not. */
export function refusal(spec: TlsDomain, socket: TLSSocket): string | undefined {
  const hasCertificate = Object.keys(socket.getPeerCertificate()).length > 0;
  if (!hasCertificate) return spec.requireCert ? 'no client certificate' : undefined;
  if (socket.authorized || !spec.verifyCert) return undefined;
  return `client certificate: ${reasonOf(socket.authorizationError)}`;
}

/** What is known of a connection after its handshake. */
export function tlsInfo(domain: string, socket: TLSSocket): TlsInfo {
  const certificate = socket.getPeerCertificate();
  const hasCertificate = Object.keys(certificate).length > 0;
  const { servername } = socket as { servername?: string | false };
  return {
    domain,
    resumed: socket.isSessionReused(),
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    ...(typeof servername === 'string' ? { serverName: servername } : {}),
    ...(hasCertificate
      ? {
          peer: {
            verified: socket.authorized,
            altNames: altNames(certificate.subjectaltname ?? ''),
            subject: Object.entries(certificate.subject)
              .map(([key, value]) => `${key}=${String(value)}`)
              .join(', '),
          },
        }
      : {}),
  };
}

function contextOptions(spec: TlsDomain): SecureContextOptions {
  return {
    minVersion: spec.minVersion,
    maxVersion: spec.maxVersion,
    cert: spec.identities.map(({ certificate }) => certificate),
    key: spec.identities.map(({ privateKey }) => privateKey),
    ...(spec.ca === undefined ? {} : { ca: spec.ca }),
    ...(spec.crl === undefined ? {} : { crl: spec.crl }),
    ...(spec.ciphers === undefined ? {} : { ciphers: spec.ciphers.join(':') }),
    ...(spec.curves === undefined ? {} : { ecdhCurve: spec.curves.join(':') }),
  };
}

/** Entries of Node's text form `DNS:a.example, IP Address:192.0.2.1`; a quoted entry is one with odd characters. */
function altNames(text: string): string[] {
  const names: string[] = [];
  for (const [, kind, quoted, plain] of text.matchAll(/(DNS|IP Address):(?:"((?:[^"\\]|\\.)*)"|([^,]*))/g)) {
    // A name that needs quoting is no host name.
    if (kind !== undefined && quoted === undefined && plain !== undefined) names.push(plain.trim().toLowerCase());
  }
  return names;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
