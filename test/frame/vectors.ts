import { readFileSync } from 'node:fs';

/** One test vector; fields as in the documentation of the set. */
export interface Vector {
  readonly name: string;
  readonly group: string;
  readonly input?: string;
  readonly inputHex?: string;
  readonly expected: Expected;
  readonly expectedStrict?: Expected;
  readonly splits?: readonly number[];
  /** It parses, but an upper layer has these objections. */
  readonly semantic?: readonly string[];
}

export type Expected = Readonly<Record<string, unknown>> & {
  readonly kind: 'request' | 'response' | 'incomplete' | 'error';
};

/** All vectors. */
export const VECTORS: readonly Vector[] = readFileSync(new URL('../vectors/frames.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);

export function bytesOf(vector: Vector): Buffer {
  return vector.inputHex === undefined ? Buffer.from(vector.input ?? '') : Buffer.from(vector.inputHex, 'hex');
}
