import type { EndpointEnvironment } from '../endpoint/environment.ts';

/** The clock and the random numbers of a browser. Stands for `src/endpoint/platform.ts` in the bundle. */
export const PLATFORM: EndpointEnvironment = {
  nowMs: () => performance.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
  random: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
};
