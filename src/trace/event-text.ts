import type { CloseReason } from '../engine/engine.ts';
import { MAX_PAYLOAD } from './hep.ts';

/** What an event of a connection says, in the order of OpenSIPS (H-024). */
export interface EventFields {
  readonly protocol: 'MSRP' | 'MSRPS' | 'MSRP-WS' | 'MSRP-WSS';
  /** Names of certificates; never a key (D-62). */
  readonly tls?: Readonly<Record<string, string>>;
  readonly event: 'ACCEPTED' | 'CONNECT_START' | 'CONNECTED' | 'CLOSED';
  readonly status: 'SUCCESS' | 'FAILURE';
  readonly message: string;
}

/** The payload: JSON, or the values alone joined by `homer5` (H-023, D-61); one that is too long is cut, and says so (D-66). */
export function eventPayload(
  { protocol, tls, event, status, message }: EventFields,
  homer5: string | undefined,
): Buffer {
  const encode = (fields: Readonly<Record<string, string>>): Buffer =>
    Buffer.from(homer5 === undefined ? JSON.stringify(fields) : Object.values(fields).join(homer5));
  const fields = { Protocol: protocol, ...tls, Event: event, Status: status, Message: message };
  const whole = encode(fields);
  if (whole.length <= MAX_PAYLOAD) return whole;
  const cut = Object.entries(fields).map(([name, value]) => [name, value.slice(0, MAX_VALUE)] as const);
  return encode({ ...Object.fromEntries(cut), Truncated: 'true' });
}

/** Characters of a value, so that the few of an event fit however they are escaped. */
const MAX_VALUE = 1024;

/** Texts of events, those of OpenSIPS where it has one (H-026). */
export const TEXT = {
  accepted: 'Connection accepted...',
  acceptFailed: 'Failed to accept connection...',
  connecting: 'Async connect in progress...',
  connected: 'Successfully connected...',
  connectFailed: 'Failed to connect...',
} as const;

/** Why a connection was closed, for people; the reason and its detail follow in brackets. */
export function closedText(reason: CloseReason, detail: string | undefined): string {
  return `${CLOSED[reason]} (${detail === undefined ? reason : `${reason}: ${detail}`})`;
}

const CLOSED: Readonly<Record<CloseReason, string>> = {
  peer_closed: 'Closed by the peer',
  peer_reset: 'Connection broke',
  protocol_error: 'Peer does not speak MSRP',
  header_limit: 'Frame beyond a limit',
  max_msg_chunks: 'Timeout waiting for a complete message',
  probation: 'No successful request in time',
  idle: 'Timeout on no traffic',
  send_timeout: 'Peer takes no data',
  misdirected: 'Requests for another host',
  auth_failures: 'Too many failed AUTHs',
  max_connections: 'Too many connections',
  max_connections_per_ip: 'Too many connections from one address',
  max_handshakes: 'Too many TLS handshakes at once',
  tls_handshake_timeout: 'TLS handshake took too long',
  tls_handshake_failed: 'TLS handshake failed',
  connect_failed: 'Could not connect',
  connect_timeout: 'Connect timed out',
  hop_refused: 'Next hop refused',
  merged: 'Another connection is used',
  websocket_limit: 'WebSocket limit exceeded',
  command: 'Closed by Proto layer',
  shutdown: 'Relay shuts down',
};

/** Reasons for which nobody is to blame. */
export const PEACEFUL: ReadonlySet<CloseReason> = new Set<CloseReason>([
  'peer_closed',
  'idle',
  'merged',
  'command',
  'shutdown',
]);
