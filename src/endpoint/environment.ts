import { TID_LENGTH, identOf } from '../syntax/tid.ts';

/** Time and randomness of an endpoint; tests pass their own. */
export interface EndpointEnvironment {
  nowMs(): number;
  /** Calls once after `delayMs` (at most {@link MAX_TIMER_MS}), unless the returned function is called before. */
  setTimer(delayMs: number, fire: () => void): () => void;
  random(into: Uint8Array): void;
}

/** A longer timer of the platform fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A new transaction id, Message-ID or session-id: 95 random bits (core C-030, C-040, C-116). */
export function makeIdent(environment: EndpointEnvironment): string {
  const bytes = new Uint8Array(TID_LENGTH);
  environment.random(bytes);
  return identOf(bytes);
}
