import { CLOSE_REASONS, HANDSHAKE_FAILURES, LATENCY_BOUNDS_MS } from '../engine.ts';
import type { CloseReason, EngineStats, FrameKind, HandshakeFailure } from '../engine.ts';

/** Index of a frame kind in the counters: a method number of the frame record, or response. */
export const RESPONSE_KIND = 5;

const KINDS: readonly FrameKind[] = ['other', 'SEND', 'REPORT', 'AUTH', 'other', 'response'];

/** The numbers behind {@link EngineStats}. Plain fields: the hot path adds to them. */
export class Counters {
  accepted = 0;
  dialled = 0;
  bytesIn = 0;
  bytesOut = 0;
  dropped = 0;
  interruptions = 0;
  pauses = 0;
  timeouts = 0;
  /** Responses 200 to SENDs, apart from the others because there are so many. */
  okResponses = 0;
  readonly framesIn = new Float64Array(KINDS.length);
  readonly framesOut = new Float64Array(KINDS.length);
  /** Answered transactions by how long they took: one more than {@link LATENCY_BOUNDS_MS}. */
  readonly #latency = new Float64Array(LATENCY_BOUNDS_MS.length + 1);
  #latencySumMs = 0;
  readonly #rejects = new Map<string, number>();
  readonly #closes = new Map<CloseReason, number>();
  readonly #handshakes = new Map<HandshakeFailure, number>();
  readonly #reports = new Map<number, number>();
  readonly #responses = new Map<number, number>();

  reject(code: string): void {
    add(this.#rejects, code);
  }

  close(reason: CloseReason): void {
    add(this.#closes, reason);
  }

  handshake(failure: HandshakeFailure): void {
    add(this.#handshakes, failure);
  }

  report(status: number): void {
    add(this.#reports, status);
  }

  response(status: number): void {
    add(this.#responses, status);
  }

  /** A transaction was answered after that time. */
  answered(ms: number): void {
    let bucket = 0;
    while (ms > (LATENCY_BOUNDS_MS[bucket] ?? Infinity)) bucket++;
    this.#latency[bucket]!++;
    this.#latencySumMs += ms;
  }

  snapshot(
    gauges: Pick<EngineStats, 'connections' | 'sessions' | 'transactions' | 'handshakes' | 'queuedBytes'>,
  ): EngineStats {
    const { accepted, dialled, bytesIn, bytesOut, dropped, interruptions, pauses, timeouts } = this;
    return {
      ...gauges,
      accepted,
      dialled,
      bytesIn,
      bytesOut,
      dropped,
      interruptions,
      pauses,
      timeouts,
      // Frames are told as they go by.
      traceFramesLost: 0,
      latency: { counts: [...this.#latency], sumMs: this.#latencySumMs },
      framesIn: byKind(this.framesIn),
      framesOut: byKind(this.framesOut),
      rejects: Object.fromEntries(this.#rejects),
      closes: byName(CLOSE_REASONS, this.#closes),
      handshakeFailures: byName(HANDSHAKE_FAILURES, this.#handshakes),
      reports: Object.fromEntries(this.#reports),
      responses: { ...Object.fromEntries(this.#responses), 200: this.okResponses + (this.#responses.get(200) ?? 0) },
    };
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function byName<K extends string>(names: readonly K[], counts: ReadonlyMap<K, number>): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, counts.get(name) ?? 0])) as Record<K, number>;
}

function byKind(counts: Float64Array): Record<FrameKind, number> {
  const result: Record<FrameKind, number> = { SEND: 0, REPORT: 0, AUTH: 0, other: 0, response: 0 };
  for (const [index, kind] of KINDS.entries()) result[kind] += counts[index] as number;
  return result;
}
