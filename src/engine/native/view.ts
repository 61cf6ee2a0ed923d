import type { ConnectionView, NamedCount, StatsView } from '../../addon/engine-handle.ts';
import { METHOD } from '../../frame/record.ts';
import type { CloseReason, ConnectionInfo, EngineStats, FrameKind, HandshakeFailure } from '../engine.ts';

/** A connection as the contract shows it. */
export function connectionInfo(view: ConnectionView): ConnectionInfo {
  return {
    connection: view.connection,
    direction: view.incoming ? 'in' : 'out',
    ...(view.listener === undefined ? {} : { listener: view.listener }),
    state: view.state as ConnectionInfo['state'],
    remote: { address: view.remoteAddress ?? '', port: view.remotePort ?? 0 },
    local: { address: view.localAddress ?? '', port: view.localPort ?? 0 },
    ...(view.tls === undefined ? {} : { tls: view.tls }),
    openedAtMs: view.openedAtMs,
    queuedBytes: view.queuedBytes,
    sessions: view.sessions,
    transactions: view.transactions,
    paused: view.paused,
    bytesIn: view.bytesIn,
    bytesOut: view.bytesOut,
  };
}

/** Counters as the contract shows them. */
export function statsOf(view: StatsView): EngineStats {
  const {
    busy: _busy,
    framesIn,
    framesOut,
    rejects,
    closes,
    reports,
    responses,
    handshakeFailures,
    latency,
    latencySumMs,
    ...rest
  } = view;
  return {
    ...rest,
    latency: { counts: latency, sumMs: latencySumMs },
    framesIn: byKind(framesIn),
    framesOut: byKind(framesOut),
    rejects: byName(rejects),
    handshakeFailures: byName(handshakeFailures) as Record<HandshakeFailure, number>,
    closes: byName(closes) as Record<CloseReason, number>,
    reports: byName(reports),
    responses: byName(responses),
  };
}

function byName(counts: readonly NamedCount[]): Record<string, number> {
  return Object.fromEntries(counts.map(({ name, count }) => [name, count]));
}

/** Methods without a name of their own are counted together. */
function byKind(counts: readonly number[]): Record<FrameKind, number> {
  const of = (index: number): number => counts[index] ?? 0;
  return {
    SEND: of(METHOD.SEND),
    REPORT: of(METHOD.REPORT),
    AUTH: of(METHOD.AUTH),
    other: of(METHOD.OTHER) + of(METHOD.NICKNAME),
    response: of(RESPONSES),
  };
}

/** Index of responses, behind the numbers of the methods. */
const RESPONSES = 5;
