import type { EngineNotice } from '../../addon/engine-handle.ts';
import type { CloseReason, EngineEvent, HandshakeFailure, SessionCloseReason, SocketAddress } from '../engine.ts';

/** An event of the contract. INVARIANT: the addon gives every member that an event of its type has. */
export function eventOf(notice: EngineNotice): EngineEvent {
  const connection = notice.connection as number;
  switch (notice.type) {
    case 'opened':
      return {
        type: 'opened',
        connection,
        direction: directionOf(notice),
        ...listenerOf(notice),
        remote: remoteOf(notice),
        local: { address: notice.localAddress ?? '', port: notice.localPort ?? 0 },
        ...(notice.tls === undefined ? {} : { tls: notice.tls }),
      };
    case 'dialling':
      return {
        type: 'dialling',
        connection,
        remote: remoteOf(notice),
        ...(notice.dialsTls === true ? { tls: true } : {}),
      };
    case 'closed':
      return {
        type: 'closed',
        connection,
        direction: directionOf(notice),
        ...listenerOf(notice),
        ...localOf(notice),
        remote: remoteOf(notice),
        reason: notice.reason as CloseReason,
        ...(notice.detail === undefined ? {} : { detail: notice.detail }),
        ...(notice.handshake === undefined ? {} : { handshake: notice.handshake as HandshakeFailure }),
        ...(notice.tlsDomain === undefined ? {} : { tlsDomain: notice.tlsDomain }),
        bytesIn: notice.bytesIn as number,
        bytesOut: notice.bytesOut as number,
      };
    case 'frame':
      return {
        type: 'frame',
        connection,
        direction: directionOf(notice),
        bytes: Buffer.from(notice.bytes as string, 'base64'),
        bodyOctets: notice.bodyOctets as number,
        bodyKept: notice.bodyKept as number,
      };
    case 'request':
      return {
        type: 'request',
        request: notice.request as number,
        connection,
        ...listenerOf(notice),
        remote: remoteOf(notice),
        method: notice.method as string,
        toPath: notice.toPath as string[],
        fromPath: notice.fromPath as string[],
        headers: pairs(notice.headers as string[]),
      };
    case 'hop':
      return {
        type: 'hop',
        hop: notice.hop as number,
        session: notice.session as number,
        connection,
        method: notice.method as string,
        uri: notice.uri as string,
        pathLength: notice.pathLength as number,
      };
    case 'sessionClosed':
      return {
        type: 'sessionClosed',
        session: notice.session as number,
        reason: notice.reason as SessionCloseReason,
      };
    case 'authRejected':
      return { type: 'authRejected', connection };
    default:
      throw new TypeError(`an event of unknown type ${notice.type}`);
  }
}

function directionOf({ incoming }: EngineNotice): 'in' | 'out' {
  return incoming === true ? 'in' : 'out';
}

function listenerOf({ listener }: EngineNotice): { listener?: number } {
  return listener === undefined ? {} : { listener };
}

function localOf({ localAddress, localPort }: EngineNotice): { local?: SocketAddress } {
  return localAddress === undefined ? {} : { local: { address: localAddress, port: localPort ?? 0 } };
}

/** A connection that was never made has none. */
function remoteOf({ remoteAddress = '', remotePort = 0 }: EngineNotice): SocketAddress {
  return { address: remoteAddress, port: remotePort };
}

/** Names and values in turn become pairs. */
function pairs(texts: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) result.push([texts[i] as string, texts[i + 1] as string]);
  return result;
}
