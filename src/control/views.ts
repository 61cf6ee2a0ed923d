import type { ConnectionInfo, SocketAddress } from '../engine/engine.ts';
import { escapePeer, redactUri } from '../log/escape.ts';
import type { ControlSession, ControlTarget } from './target.ts';

/** What operators are shown: names of the fields are those of docs/control.md; what peers say is made harmless. */

export function connectionView(info: ConnectionInfo, target: ControlTarget): object {
  const { tls } = info;
  return {
    id: info.connection,
    direction: info.direction,
    listener: target.listeners.find(({ listener }) => listener === info.listener)?.uri ?? null,
    transport: tls === undefined ? 'tcp' : 'tls',
    remote: addressText(info.remote),
    local: addressText(info.local),
    state: info.state,
    tls:
      tls === undefined
        ? null
        : {
            protocol: tls.protocol,
            cipher: tls.cipher,
            server_name: tls.serverName === undefined ? null : escapePeer(tls.serverName),
            peer: tls.peer === undefined ? null : escapePeer(tls.peer.subject),
            verified: tls.peer?.verified ?? false,
          },
    age: seconds(target.nowMs() - info.openedAtMs),
    queued_bytes: info.queuedBytes,
    paused: info.paused,
    sessions: info.sessions,
    transactions: info.transactions,
    bytes_in: info.bytesIn,
    bytes_out: info.bytesOut,
  };
}

export function sessionView(session: ControlSession, target: ControlTarget): object {
  return {
    session: session.session,
    id: session.shortId,
    user: escapePeer(session.user),
    realm: escapePeer(session.realm),
    connection: session.connection,
    client: redactUri(session.client),
    peer: session.peer ?? null,
    expires_in: seconds(session.expiresAtMs - target.nowMs()),
    frames: { in: session.framesIn ?? 0, out: session.framesOut ?? 0 },
    bytes: { in: session.bytesIn ?? 0, out: session.bytesOut ?? 0 },
  };
}

/** A next hop: a connection that this relay has made, or is making. */
export function nextHopView(info: ConnectionInfo, target: ControlTarget): object {
  return {
    id: info.connection,
    remote: info.remote.address === '' ? null : addressText(info.remote),
    transport: info.tls === undefined ? 'tcp' : 'tls',
    state: info.state,
    age: seconds(target.nowMs() - info.openedAtMs),
    queued_bytes: info.queuedBytes,
    transactions: info.transactions,
    paused: info.paused,
  };
}

/** A connection that something waits for. */
export function queueView(info: ConnectionInfo): object {
  return {
    id: info.connection,
    remote: addressText(info.remote),
    state: info.state,
    queued_bytes: info.queuedBytes,
    transactions: info.transactions,
    paused: info.paused,
  };
}

/** The same values with the names of this interface: `notAfter` becomes `not_after`. */
export function snakeView(values: object): object {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value as unknown,
    ]),
  );
}

function addressText({ address, port }: SocketAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function seconds(ms: number): number {
  return Math.max(0, Math.round(ms / 1000));
}
