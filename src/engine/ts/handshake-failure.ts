import type { CloseReason, HandshakeFailure } from '../engine.ts';

/** What an error of node:tls during a handshake comes to (docs/tls.md, "Why handshakes fail"). */
export function handshakeFailure(code: string): HandshakeFailure {
  return BY_CODE[code] ?? (/_ALERT_/.test(code) ? 'peer_alert' : 'protocol');
}

/** What is wrong with a certificate that does not verify, by the code that node:tls gives. */
export function certificateFailure(code: string): HandshakeFailure {
  return BY_CODE[code] ?? 'bad_certificate';
}

/** The reason that a connection closes for when its handshake has failed so. */
export function handshakeCloseReason(failure: HandshakeFailure): CloseReason {
  if (failure === 'max_handshakes') return 'max_handshakes';
  return failure === 'timeout' ? 'tls_handshake_timeout' : 'tls_handshake_failed';
}

const BY_CODE: Readonly<Record<string, HandshakeFailure>> = {
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'version',
  ERR_SSL_VERSION_TOO_LOW: 'version',
  ERR_SSL_VERSION_TOO_HIGH: 'version',
  ERR_SSL_WRONG_SSL_VERSION: 'version',
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: 'version',
  ERR_SSL_NO_SHARED_CIPHER: 'no_shared_cipher',
  ERR_SSL_NO_SHARED_GROUPS: 'no_shared_cipher',
  ERR_SSL_NO_SUITABLE_GROUPS: 'no_shared_cipher',
  ERR_SSL_NO_SUITABLE_KEY_SHARE: 'no_shared_cipher',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'no_shared_cipher',
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: 'no_shared_cipher',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no_certificate',
  CERT_HAS_EXPIRED: 'certificate_expired',
  CERT_NOT_YET_VALID: 'certificate_expired',
  CERT_REVOKED: 'certificate_revoked',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown_ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown_ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown_ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown_ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown_ca',
  CERT_UNTRUSTED: 'unknown_ca',
  ERR_TLS_CERT_ALTNAME_INVALID: 'name_mismatch',
  HOSTNAME_MISMATCH: 'name_mismatch',
  UNABLE_TO_GET_CRL: 'bad_certificate',
  CRL_HAS_EXPIRED: 'bad_certificate',
  INVALID_PURPOSE: 'bad_certificate',
};
