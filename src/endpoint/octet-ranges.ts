/** Octet numbers of a message as ranges that do not touch, in order: what has been received, or confirmed. */
export class OctetRanges {
  readonly #maxPieces: number;
  readonly #ranges: [from: number, to: number][] = [];

  /** `maxPieces`: ranges that may lie apart. */
  constructor(maxPieces: number) {
    this.#maxPieces = maxPieces;
  }

  /** Enters octets `from`…`to` (both included); false when too many pieces would lie apart. */
  add(from: number, to: number): boolean {
    if (to < from) return true;
    const ranges = this.#ranges;
    const first = this.#firstBehind(from);
    let behind = first;
    const merged: [number, number] = [from, to];
    for (let range = ranges[behind]; range !== undefined && range[0] <= to + 1; range = ranges[++behind]) {
      merged[0] = Math.min(merged[0], range[0]);
      merged[1] = Math.max(merged[1], range[1]);
    }
    if (ranges.length - (behind - first) >= this.#maxPieces) return false;
    ranges.splice(first, behind - first, merged);
    return true;
  }

  /** True when octets 1…`total` are all there. */
  covers(total: number): boolean {
    const first = this.#ranges[0];
    return total === 0 || (first !== undefined && first[0] === 1 && first[1] >= total);
  }

  /** Index of the first range that ends at `from − 1` or later, so that it touches or follows. */
  #firstBehind(from: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as [number, number])[1] + 1 < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
