import { randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { EndpointEnvironment } from './environment.ts';

/** The clock and the random numbers of Node. Timers do not keep a process alive. In a browser: `src/browser/platform.ts`. */
export const PLATFORM: EndpointEnvironment = {
  nowMs: () => performance.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  random: (into) => void randomFillSync(into),
};
