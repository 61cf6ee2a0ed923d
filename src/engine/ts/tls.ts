import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, createServer } from 'node:tls';
import type { ConnectionOptions, SecureContext, SecureContextOptions, Server, TLSSocket } from 'node:tls';
import { MsrpError } from '../../errors.ts';
import { TLS_CIPHERS, TLS_CURVES } from '../engine.ts';
import type { TlsClientSpec, TlsDomain, TlsInfo, TlsServerSpec } from '../engine.ts';

/** A session with a server, and the certificate that it has shown. */
export interface KnownSession {
  readonly session: Buffer;
  readonly peer: TlsInfo['peer'];
}

/** What node:tls makes of the domains that are in use: one of each, kept as long as the domain is. */
export class TlsContexts {
  readonly #servers = new WeakMap<TlsDomain, Server>();
  readonly #clients = new WeakMap<TlsDomain, { context: SecureContext; sessions: Map<string, KnownSession> }>();
  /** One for all domains and for all of their life: a reload takes no session ticket from a client. */
  readonly #ticketKeys: Buffer;
  readonly #made: (server: Server, domain: TlsDomain) => void;

  /** `made` hangs its listeners on a server: it never listens, it is given connections. */
  constructor(random: (into: Uint8Array) => void, made: (server: Server, domain: TlsDomain) => void) {
    this.#ticketKeys = Buffer.alloc(48);
    random(this.#ticketKeys);
    this.#made = made;
  }

  /** Throws `E_TLS_MATERIAL` when a certificate, key or the rest of a domain cannot be used. */
  assertUsable(spec: TlsServerSpec): void {
    for (const domain of [...spec.byName.map((entry) => entry.domain), spec.fallback]) {
      if (domain === undefined) continue;
      try {
        this.server(domain);
      } catch (error) {
        const detail = `domain ${domain.name}: ${error instanceof Error ? error.message : String(error)}`;
        throw new MsrpError('E_TLS_MATERIAL', detail, { cause: error });
      }
    }
  }

  /** A certificate is asked for, and judged after the handshake (relay R-040). */
  server(domain: TlsDomain): Server {
    const known = this.#servers.get(domain);
    if (known !== undefined) return known;
    const server = createServer({
      ...contextOptions(domain),
      requestCert: true,
      rejectUnauthorized: false,
      honorCipherOrder: true,
      ticketKeys: this.#ticketKeys,
      sessionIdContext: sessionScope(domain),
      sessionTimeout: TICKET_LIFETIME_S,
    });
    this.#made(server, domain);
    this.#servers.set(domain, server);
    return server;
  }

  /** For dialling one address: SNI, the certificate checked against the name (core C-130, C-131), and the session of last time. */
  client({ domain, serverName }: TlsClientSpec, session: Buffer | undefined): ConnectionOptions {
    return {
      secureContext: this.#client(domain).context,
      rejectUnauthorized: domain.verifyCert,
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
      // An address is no SNI (RFC 6066).
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ...(session === undefined ? {} : { session }),
    };
  }

  /** The session to take up again, if there is one. A ticket of TLS 1.3 is for one use (RFC 8446 appendix C.4). */
  takeSession({ domain, serverName }: TlsClientSpec, address: string, port: number): KnownSession | undefined {
    const sessions = this.#clients.get(domain)?.sessions;
    const key = `${serverName} ${address} ${port}`;
    const known = sessions?.get(key);
    sessions?.delete(key);
    return known;
  }

  remember({ domain, serverName }: TlsClientSpec, address: string, port: number, session: KnownSession): void {
    const { sessions } = this.#client(domain);
    for (const oldest of sessions.keys()) {
      if (sessions.size < MAX_SESSIONS) break;
      sessions.delete(oldest);
    }
    sessions.set(`${serverName} ${address} ${port}`, session);
  }

  #client(domain: TlsDomain): { context: SecureContext; sessions: Map<string, KnownSession> } {
    let known = this.#clients.get(domain);
    if (known === undefined) {
      known = { context: createSecureContext(contextOptions(domain)), sessions: new Map() };
      this.#clients.set(domain, known);
    }
    return known;
  }
}

/** The domain of a handshake: an exact name before a wildcard, which stands for one label; else the fallback. */
export function domainFor(spec: TlsServerSpec, serverName: string | undefined): TlsDomain | undefined {
  if (serverName !== undefined) {
    const wild = `*${serverName.slice(Math.max(serverName.indexOf('.'), 0))}`;
    const exact = spec.byName.find(({ pattern }) => pattern === serverName);
    const found = exact ?? spec.byName.find(({ pattern }) => pattern === wild && wild.length > 1);
    if (found !== undefined) return found.domain;
  }
  return spec.fallback;
}

/** What is known of a connection after its handshake. */
export function tlsInfo(domain: TlsDomain, socket: TLSSocket, serverName?: string): TlsInfo {
  const certificate = socket.getPeerCertificate();
  const hasCertificate = Object.keys(certificate).length > 0;
  return {
    domain: domain.name,
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    ...(serverName === undefined ? {} : { serverName }),
    resumed: socket.isSessionReused(),
    ...(hasCertificate
      ? {
          peer: {
            verified: socket.authorized,
            altNames: altNames(certificate.subjectaltname ?? ''),
            subject: nameText(certificate.subject),
            issuer: nameText(certificate.issuer),
          },
        }
      : {}),
  };
}

/** `CN=relay.example, O=Example`, in the order of the certificate. */
function nameText(name: object): string {
  return Object.entries(name)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(', ');
}

const TICKET_LIFETIME_S = 7200;
/** Sessions to take up again, of one domain. */
const MAX_SESSIONS = 1000;

function contextOptions(domain: TlsDomain): SecureContextOptions {
  const { identities, ca, crl, minVersion, maxVersion, ciphers = TLS_CIPHERS, curves = TLS_CURVES } = domain;
  return {
    minVersion,
    maxVersion,
    ciphers: ciphers.join(':'),
    ecdhCurve: curves.join(':'),
    ...(identities.length === 0
      ? {}
      : {
          cert: identities.map(({ certificate }) => certificate),
          key: identities.map(({ privateKey }) => privateKey),
        }),
    ...(ca === undefined ? {} : { ca }),
    // Node takes one list out of each text.
    ...(crl === undefined ? {} : { crl: crl.match(CRL) ?? [] }),
  };
}

const CRL = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;

/** A session is taken up again only where the same trust was asked for: tickets of another domain or trust are passed over. */
function sessionScope(domain: TlsDomain): string {
  const { name, ca = '', crl = '', verifyCert, requireCert } = domain;
  return createHash('sha256')
    .update(JSON.stringify([name, ca, crl, verifyCert, requireCert]))
    .digest('hex')
    .slice(0, 32);
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
