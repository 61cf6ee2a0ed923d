/** How long is measured. */
export interface Effort {
  /** Each round times every run once. */
  readonly rounds: number;
  /** For how long one run is repeated in a round. */
  readonly sliceMs: number;
}

/**
 * Times several runs in turn, so that what happens to the machine happens to all of them. For each run, its ns per call, one value
 * a round: values of the same round belong together.
 */
export function interleave(runs: readonly (() => void)[], effort: Effort): number[][] {
  const calls = runs.map((run) => callsOf(run, effort.sliceMs));
  const times: number[][] = runs.map(() => []);
  const order = runs.map((_, index) => index);
  for (let round = 0; round < effort.rounds; round++) {
    for (const index of order) {
      times[index]?.push(nsPerCall(runs[index] as () => void, calls[index] as number));
    }
    // There and back: whoever comes first has no advantage of it.
    order.reverse();
  }
  return times;
}

/** Calls that take so long; warms the run up on the way. */
function callsOf(run: () => void, ms: number): number {
  let calls = 1;
  for (let warm = 0; warm < WARM_UP_SLICES;) {
    const took = (nsPerCall(run, calls) * calls) / 1e6;
    if (took >= ms / 2) warm++;
    calls = Math.max(1, Math.round(calls * Math.min(10, ms / Math.max(took, 0.001))));
  }
  return calls;
}

/** V8 compiles a function several times before it leaves it alone. */
const WARM_UP_SLICES = 8;

function nsPerCall(run: () => void, calls: number): number {
  const start = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) run();
  return Number(process.hrtime.bigint() - start) / calls;
}
