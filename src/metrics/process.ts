import { readFileSync, readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What the process and its threads cost. */
export interface ProcessFigures {
  /** Lateness of the event loop since the last reading, in seconds, by quantile. */
  readonly lag: Readonly<Record<string, number>>;
  /** CPU time in seconds by thread; empty where the platform does not tell. */
  readonly threadCpu: Readonly<Record<string, number>>;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Unix time. */
  readonly startSeconds: number;
}

/** Begins to watch the event loop. */
export function processFigures(): { read(): ProcessFigures; close(): void } {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const startSeconds = Math.round(Date.now() / 1000 - process.uptime());
  return {
    read() {
      const late = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000) : 0);
      const lag = { '0.5': late(delay.percentile(50)), '0.99': late(delay.percentile(99)), '1': late(delay.max) };
      delay.reset();
      const { user, system } = process.cpuUsage();
      const residentBytes = process.memoryUsage.rss();
      return { lag, threadCpu: threadCpu(), cpuSeconds: (user + system) / 1e6, residentBytes, startSeconds };
    },
    close() {
      delay.disable();
    },
  };
}

/** The monitor sleeps that long, and tells by how much longer it has slept. */
const RESOLUTION_MS = 10;

/** CPU time as the kernel counts it: nothing is asked of the threads. */
function threadCpu(): Record<string, number> {
  const result: Record<string, number> = {};
  let threads: string[];
  try {
    threads = readdirSync('/proc/self/task');
  } catch {
    return result;
  }
  for (const thread of threads) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
    } catch {
      // It has ended since.
      continue;
    }
    // `pid (name) state …`: the name may hold anything, so what counts is behind its last bracket.
    const end = stat.lastIndexOf(')');
    const name = stat.slice(stat.indexOf('(') + 1, end);
    const fields = stat.slice(end + 2).split(' ');
    const seconds = (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
    const worker = /^msrp-(\d+)$/.exec(name)?.[1];
    const label = thread === String(process.pid) ? 'main' : worker === undefined ? 'other' : `worker-${worker}`;
    result[label] = (result[label] ?? 0) + seconds;
  }
  return result;
}

/** Fields of proc(5) stat behind the name, the state being 0. */
const UTIME = 11;
const STIME = 12;
/** USER_HZ, the same on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;
