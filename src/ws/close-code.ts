import type { CloseReason } from '../engine/engine.ts';

/** Close codes of WebSocket that are used here (RFC 6455 section 7.4.1; 1013 is in the registry of IANA). */
export const CODE = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  /** Never sent: the connection has gone without a close frame. */
  ABNORMAL: 1006,
  POLICY: 1008,
  TOO_BIG: 1009,
  INTERNAL: 1011,
  TRY_AGAIN_LATER: 1013,
} as const;

/** What a client is told when the engine has closed its connection (docs/websocket.md); undefined: it is cut off. */
export function codeOf(reason: CloseReason): number | undefined {
  switch (reason) {
    case 'peer_closed':
    case 'command':
    case 'idle':
      return CODE.NORMAL;
    case 'shutdown':
      return CODE.GOING_AWAY;
    case 'protocol_error':
    case 'max_msg_chunks':
      return CODE.PROTOCOL_ERROR;
    case 'probation':
    case 'misdirected':
    case 'auth_failures':
    case 'websocket_limit':
      return CODE.POLICY;
    case 'header_limit':
      return CODE.TOO_BIG;
    case 'max_connections':
    case 'max_connections_per_ip':
    case 'max_handshakes':
      return CODE.TRY_AGAIN_LATER;
    case 'peer_reset':
    case 'send_timeout':
      return undefined;
    default:
      return CODE.INTERNAL;
  }
}

/** Why a connection has closed, as the engine has it, when its client has closed the WebSocket with a code. */
export function reasonOf(code: number): CloseReason {
  return code === CODE.ABNORMAL ? 'peer_reset' : 'peer_closed';
}
