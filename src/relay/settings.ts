import type { TlsDomain } from '../engine/engine.ts';
import type { ListenerId } from '../engine/engine.ts';

/** What the control plane needs of the configuration. Times are seconds where the name says so. */
export interface RelaySettings {
  /** Undefined: the host of the AUTH's To-Path URI. */
  readonly authRealm: string | undefined;
  readonly authExpiresS: number;
  readonly authMinExpiresS: number;
  readonly authMaxExpiresS: number;
  readonly nonceExpireS: number;
  readonly cleanupIntervalS: number;
  /** AUTH without TLS (D-30). */
  readonly allowPlainAuth: boolean;
  /** A Use-Path with an IP literal (D-34a). */
  readonly allowIpUsePath: boolean;
  readonly exclusivePeer: boolean;
  readonly nextHops: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  /** 0 is no limit. */
  readonly maxSessionsPerUser: number;
  readonly maxSessionsPerConnection: number;
  readonly authFailures: number;
  readonly connectTimeoutMs: number;
  /** The TLS domain to dial a next hop with; when there is none: {@link SYSTEM_DOMAIN}. */
  readonly dialTls: ((host: string, candidate: { address: string; port: number }) => TlsDomain | undefined) | undefined;
  /** A connection is used again only with the certificate that it was made with (`cert_check_on_conn_reusage`). */
  readonly certCheckOnReuse: boolean;
}

/** Dialling where no TLS domain is configured: the CAs of the system, verified, no certificate of our own. */
export const SYSTEM_DOMAIN: TlsDomain = {
  name: 'system',
  identities: [],
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  verifyCert: true,
  requireCert: false,
};

/** A listener as the control plane sees it: what URIs that lead to it look like. */
export interface ListenerIdentity {
  readonly listener: ListenerId;
  readonly tls: boolean;
  /** Host and port that Use-Path carries. */
  readonly host: string;
  readonly port: number;
}
