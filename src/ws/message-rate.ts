/** Admits so many messages a second, and as many at once after a pause. */
export class MessageRate {
  readonly #perS: number;
  readonly #nowMs: () => number;
  #left: number;
  #atMs: number;

  /** `perS` 0: any number. */
  constructor(perS: number, nowMs: () => number) {
    this.#perS = perS;
    this.#nowMs = nowMs;
    this.#left = perS;
    this.#atMs = perS === 0 ? 0 : nowMs();
  }

  admits(): boolean {
    if (this.#perS === 0) return true;
    const nowMs = this.#nowMs();
    this.#left = Math.min(this.#perS, this.#left + ((nowMs - this.#atMs) * this.#perS) / 1000);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
