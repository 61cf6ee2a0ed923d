/** Octet numbers of a message as ranges that do not touch, in order: what has been received, or confirmed. */
export class OctetRanges {
  readonly #maxPieces: number;
  #ranges: [from: number, to: number][] = [];

  /** `maxPieces`: ranges that may lie apart. */
  constructor(maxPieces: number) {
    this.#maxPieces = maxPieces;
  }

  /** Enters octets `from`…`to` (both included); false when too many pieces would lie apart. */
  add(from: number, to: number): boolean {
    if (to < from) return true;
    const last = this.#ranges.at(-1);
    if (last !== undefined && last[1] + 1 === from) {
      last[1] = to;
      return true;
    }
    const apart: [number, number][] = [];
    const merged: [number, number] = [from, to];
    for (const range of this.#ranges) {
      if (range[1] + 1 < from || range[0] > to + 1) apart.push(range);
      else {
        merged[0] = Math.min(merged[0], range[0]);
        merged[1] = Math.max(merged[1], range[1]);
      }
    }
    if (apart.length >= this.#maxPieces) return false;
    this.#ranges = [...apart, merged].toSorted((a, b) => a[0] - b[0]);
    return true;
  }

  /** True when octets 1…`total` are all there. */
  covers(total: number): boolean {
    const first = this.#ranges[0];
    return total === 0 || (first !== undefined && first[0] === 1 && first[1] >= total);
  }
}
