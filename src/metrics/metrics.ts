import { Registry } from 'prom-client';
import type { ConnectionCount, MetricsSource } from './source.ts';
import { LATENCY_BOUNDS_MS } from '../engine/engine.ts';
import type { EngineStats } from '../engine/engine.ts';
import { processFigures } from './process.ts';
import type { ProcessFigures } from './process.ts';
import { SnapshotCounter, SnapshotGauge, SnapshotHistogram } from './snapshot.ts';
import type { Sample } from './snapshot.ts';

/** Everything that one scrape shows, taken at one moment. */
interface Snapshot {
  readonly source: MetricsSource;
  readonly stats: EngineStats;
  readonly connections: readonly ConnectionCount[];
  readonly process: ProcessFigures;
}

/**
 * The metrics of one relay (docs/metrics.md). The engine is asked once for each scrape, and scrapes that come meanwhile share
 * the answer: its threads answer between two turns and go on.
 */
export class Metrics {
  readonly #source: MetricsSource;
  readonly #registry = new Registry();
  readonly #process = processFigures();
  #snapshot: Snapshot | undefined;
  #scrape: Promise<{ contentType: string; text: string }> | undefined;

  constructor(source: MetricsSource) {
    this.#source = source;
    const from = (read: (snapshot: Snapshot) => Sample[]) => (): Sample[] =>
      this.#snapshot === undefined ? [] : read(this.#snapshot);
    const registers = [this.#registry];
    for (const { name, help, type, read } of METRICS) {
      const make = type === 'gauge' ? SnapshotGauge : SnapshotCounter;
      void new make({ name: `msrpd_${name}`, help, registers }, from(read));
    }
    void new SnapshotHistogram(
      {
        name: 'msrpd_transaction_seconds',
        help: 'Time from the last octet of a forwarded request to its response.',
        buckets: LATENCY_BOUNDS_MS.map((ms) => ms / 1000),
        registers,
      },
      () => {
        const { counts, sumMs } = this.#snapshot?.stats.latency ?? { counts: [], sumMs: 0 };
        return { counts, sum: sumMs / 1000 };
      },
    );
  }

  /** The text that Prometheus reads. */
  scrape(): Promise<{ contentType: string; text: string }> {
    this.#scrape ??= this.#read().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  close(): void {
    this.#process.close();
  }

  async #read(): Promise<{ contentType: string; text: string }> {
    const source = this.#source;
    this.#snapshot = {
      source,
      stats: source.stats(),
      connections: source.connectionCounts(),
      process: this.#process.read(),
    };
    const text = await this.#registry.metrics();
    return { contentType: this.#registry.contentType, text };
  }
}

interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly read: (snapshot: Snapshot) => Sample[];
}

const one = (value: number): Sample[] => [{ labels: {}, value }];

const by = (label: string, counts: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));

/** In and out of the same counters. */
const bothWays = (
  label: string,
  into: Readonly<Record<string, number>>,
  out: Readonly<Record<string, number>>,
): Sample[] => [
  ...by(label, into).map(({ labels, value }) => ({ labels: { ...labels, direction: 'in' }, value })),
  ...by(label, out).map(({ labels, value }) => ({ labels: { ...labels, direction: 'out' }, value })),
];

const METRICS: readonly MetricSpec[] = [
  {
    name: 'connections',
    help: 'Open connections by listener (`out`: made by this relay) and transport.',
    type: 'gauge',
    read: ({ connections }) =>
      connections.map(({ listener, transport, count }) => ({ labels: { listener, transport }, value: count })),
  },
  {
    name: 'connections_all',
    help: 'Connections of the engine, those being made included.',
    type: 'gauge',
    read: ({ stats }) => one(stats.connections),
  },
  {
    name: 'connections_accepted_total',
    help: 'Connections accepted.',
    type: 'counter',
    read: ({ stats }) => one(stats.accepted),
  },
  {
    name: 'connections_dialled_total',
    help: 'Connections made to next hops.',
    type: 'counter',
    read: ({ stats }) => one(stats.dialled),
  },
  {
    name: 'handshakes',
    help: 'TLS handshakes in progress on accepted connections.',
    type: 'gauge',
    read: ({ stats }) => one(stats.handshakes),
  },
  {
    name: 'handshake_failures_total',
    help: 'TLS handshakes that failed, by reason.',
    type: 'counter',
    read: ({ stats }) => by('reason', stats.handshakeFailures),
  },
  {
    name: 'closes_total',
    help: 'Connections closed, by reason (docs/errors.md).',
    type: 'counter',
    read: ({ stats }) => by('reason', stats.closes),
  },
  { name: 'sessions', help: 'Open sessions.', type: 'gauge', read: ({ stats }) => one(stats.sessions) },
  {
    name: 'sessions_opened_total',
    help: 'Sessions opened.',
    type: 'counter',
    read: ({ source }) => one(source.relay.sessionsOpened),
  },
  {
    name: 'sessions_closed_total',
    help: 'Sessions ended, by reason.',
    type: 'counter',
    read: ({ source }) => by('reason', Object.fromEntries(source.relay.sessionsClosed)),
  },
  {
    name: 'auth_total',
    help: 'AUTH requests answered, by status.',
    type: 'counter',
    read: ({ source }) => by('status', Object.fromEntries(source.relay.auth)),
  },
  {
    name: 'frames_total',
    help: 'Frames by method (`response`: responses) and direction.',
    type: 'counter',
    read: ({ stats }) => bothWays('method', stats.framesIn, stats.framesOut),
  },
  {
    name: 'bytes_total',
    help: 'Bytes read and written, by direction.',
    type: 'counter',
    read: ({ stats }) => by('direction', { in: stats.bytesIn, out: stats.bytesOut }),
  },
  {
    name: 'responses_total',
    help: 'Responses made by this relay, by status.',
    type: 'counter',
    read: ({ stats }) => by('status', stats.responses),
  },
  {
    name: 'reports_total',
    help: 'REPORTs made by this relay, by status.',
    type: 'counter',
    read: ({ stats }) => by('status', stats.reports),
  },
  {
    name: 'transactions',
    help: 'Requests that wait for a response.',
    type: 'gauge',
    read: ({ stats }) => one(stats.transactions),
  },
  {
    name: 'transaction_timeouts_total',
    help: 'Requests that no response came for in time.',
    type: 'counter',
    read: ({ stats }) => one(stats.timeouts),
  },
  {
    name: 'queue_bytes',
    help: 'Bytes queued for all connections.',
    type: 'gauge',
    read: ({ stats }) => one(stats.queuedBytes),
  },
  {
    name: 'backpressure_pauses_total',
    help: 'Times that reading of a connection stopped because what it feeds was full.',
    type: 'counter',
    read: ({ stats }) => one(stats.pauses),
  },
  {
    name: 'interruptions_total',
    help: 'Long chunks interrupted for another frame.',
    type: 'counter',
    read: ({ stats }) => one(stats.interruptions),
  },
  {
    name: 'rejects_total',
    help: 'Frames answered with an error or dropped, by category (docs/errors.md).',
    type: 'counter',
    read: ({ stats }) => by('category', stats.rejects),
  },
  {
    name: 'dropped_total',
    help: 'Requests and responses dropped without an answer.',
    type: 'counter',
    read: ({ stats }) => one(stats.dropped),
  },
  {
    name: 'trace_packets_total',
    help: 'HEP packets by outcome: sent, or dropped because the collector was slow or away.',
    type: 'counter',
    read: ({ source: { trace } }) => by('outcome', { sent: trace?.sent ?? 0, dropped: trace?.dropped ?? 0 }),
  },
  {
    name: 'trace_frames_lost_total',
    help: 'Frames of traced connections that were not told, because too many waited to be.',
    type: 'counter',
    read: ({ stats }) => one(stats.traceFramesLost),
  },
  {
    name: 'trace_queue_bytes',
    help: 'Bytes of HEP packets that wait for the collector.',
    type: 'gauge',
    read: ({ source: { trace } }) => one(trace?.queuedBytes ?? 0),
  },
  {
    name: 'trace_on',
    help: '1 while connections are traced.',
    type: 'gauge',
    read: ({ source: { trace } }) => one(trace?.on === true ? 1 : 0),
  },
  {
    name: 'engine_info',
    help: 'Which engine and framer run, and why: always 1.',
    type: 'gauge',
    read: ({ source: { engine } }) => [
      {
        labels: { kind: engine.kind, framer: engine.framer, version: engine.version ?? '', reason: engine.reason },
        value: 1,
      },
    ],
  },
  {
    name: 'tls_certificate_expiry_seconds',
    help: 'End of the certificates of TLS domains, as Unix time.',
    type: 'gauge',
    read: ({ source }) =>
      source
        .certificates()
        .map(({ domain, serial, notAfterMs }) => ({ labels: { domain, serial }, value: notAfterMs / 1000 })),
  },
  {
    name: 'tls_certificate_days_left',
    help: 'Whole days until the certificates of TLS domains end; negative when they have.',
    type: 'gauge',
    read: ({ source }) =>
      source.certificates().map(({ domain, serial, daysLeft }) => ({ labels: { domain, serial }, value: daysLeft })),
  },
  {
    name: 'event_loop_lag_seconds',
    help: 'How late the event loop of Node.js was since the last scrape.',
    type: 'gauge',
    read: ({ process: { lag } }) => by('quantile', lag),
  },
  {
    name: 'thread_cpu_seconds_total',
    help: 'CPU time by thread (Linux): the event loop (`main`), each worker of the native engine (`worker-N`), all others.',
    type: 'counter',
    read: ({ process: { threadCpu } }) => by('thread', threadCpu),
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process.',
    type: 'counter',
    read: ({ process: { cpuSeconds } }) => one(cpuSeconds),
  },
  {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    type: 'gauge',
    read: ({ process: { residentBytes } }) => one(residentBytes),
  },
  {
    name: 'process_start_time_seconds',
    help: 'Start of the process, as Unix time.',
    type: 'gauge',
    read: ({ process: { startSeconds } }) => one(startSeconds),
  },
];
