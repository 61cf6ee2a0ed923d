import type { Framer } from './framer.ts';
import { KIND, R, RECORD_WORDS } from './record.ts';

/**
 * Two framers of one byte stream: small inputs go to one, larger ones to the other, which is made when the first of them comes.
 * They take turns at the boundaries of frames only, so that neither misses a part of one.
 *
 * INVARIANT: whichever takes over forgets the paths that it knows: SAME_PATHS always means those of the last frame with
 * NEW_PATHS of the whole stream.
 */
export class MixedFramer implements Framer {
  readonly #small: Framer;
  readonly #makeLarge: () => Framer;
  readonly #fromBytes: number;
  #large: Framer | undefined;
  #current: Framer;
  /** No frame has begun: the other one may go on. */
  #atBoundary = true;
  /** An ERROR record was given: nothing follows, from neither. */
  #lost = false;

  /** Inputs of `fromBytes` and more go to what `makeLarge` makes, which is not called before there is one. */
  constructor(small: Framer, makeLarge: () => Framer, fromBytes: number) {
    this.#small = this.#current = small;
    this.#makeLarge = makeLarge;
    this.#fromBytes = fromBytes;
  }

  get consumed(): number {
    return this.#current.consumed;
  }

  get pending(): boolean {
    return this.#current.pending;
  }

  get streaming(): boolean {
    return this.#current.streaming;
  }

  scan(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    // Nothing to do: what the framer says of itself then says nothing of the frame that it is in.
    if (from >= to || records.length < RECORD_WORDS) return this.#current.scan(bytes, from, to, records);
    const isLarge = to - from >= this.#fromBytes;
    if (this.#atBoundary) this.#choose(isLarge);
    else if (isLarge && this.#current === this.#small) return this.#finishFrame(bytes, from, to, records);
    return this.#note(this.#current.scan(bytes, from, to, records), records);
  }

  forget(): void {
    this.#current.forget();
  }

  #choose(isLarge: boolean): void {
    const next = isLarge ? (this.#large ??= this.#makeLarge()) : this.#small;
    if (next === this.#current) return;
    next.forget();
    this.#current = next;
  }

  /** One record, which brings the boundary nearer: what follows goes to the other framer in the next call. */
  #finishFrame(bytes: Buffer, from: number, to: number, records: Uint32Array): number {
    const count = this.#note(this.#current.scan(bytes, from, to, one), one);
    if (count > 0) records.set(one);
    return count;
  }

  #note(count: number, records: Uint32Array): number {
    if (count > 0 && records[(count - 1) * RECORD_WORDS + R.KIND] === KIND.ERROR) this.#lost = true;
    this.#atBoundary = !this.#lost && !this.#current.pending && !this.#current.streaming;
    return count;
  }
}

const one = new Uint32Array(RECORD_WORDS);
