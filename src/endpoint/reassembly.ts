/** Memory of one message is bounded by these (core D-15). */
export interface AssemblyLimits {
  /** Size of the whole message in bytes. */
  readonly messageBytes: number;
  /** Pieces that are kept one by one: what a peer can make us keep apart. */
  readonly pieces: number;
}

/** Octets that lie behind each other: `bytes[0..length)` from octet number `start` on. */
interface Piece {
  readonly start: number;
  bytes: Buffer;
  length: number;
}

/**
 * One message being put together from chunks in any order (core C-083…C-086): nothing is allocated for what is only announced,
 * later octets win over earlier ones, and it is complete when the chunk with `$` was seen and every octet up to its end is there.
 *
 * Octets that come again are written in place and others appended, so that a small chunk never costs a copy of the large
 * piece that it touches.
 */
export class MessageAssembly {
  /** Octets kept. */
  bytes = 0;
  readonly #limits: AssemblyLimits;
  /** In order; they may touch, but never overlap. */
  #pieces: Piece[] = [];
  #total: number | undefined;

  constructor(limits: AssemblyLimits) {
    this.#limits = limits;
  }

  /** Size of the message, once its last chunk has ended. */
  get total(): number | undefined {
    return this.#total;
  }

  /** Number of the first octet that is missing. */
  get nextMissing(): number {
    let next = 1;
    for (const { start, length } of this.#pieces) {
      if (start !== next) break;
      next += length;
    }
    return next;
  }

  get complete(): boolean {
    return this.#total !== undefined && this.nextMissing > this.#total;
  }

  /** Enters octets of which the first has number `start`. False: over a limit, and nothing is kept of them. */
  add(start: number, octets: Uint8Array): boolean {
    const end = start + octets.length;
    if (octets.length === 0) return true;
    if (end - 1 > this.#limits.messageBytes) return false;
    let index = this.#lastUpTo(start);
    let at = start;
    const before = this.#pieces[index];
    if (before === undefined || before.start + before.length < start) {
      if (this.#pieces.length >= this.#limits.pieces) {
        if (!this.#join()) return false;
        index = this.#lastUpTo(start);
      }
      index++;
      at = Math.min(end, this.#pieces[index]?.start ?? end);
      this.#pieces.splice(index, 0, { start, bytes: copyOf(octets.subarray(0, at - start)), length: at - start });
      this.bytes += at - start;
    }
    while (at < end) {
      const piece = this.#pieces[index] as Piece;
      const pieceEnd = piece.start + piece.length;
      const next = this.#pieces[index + 1];
      const stop = at < pieceEnd ? Math.min(end, pieceEnd) : Math.min(end, next?.start ?? end);
      const part = octets.subarray(at - start, stop - start);
      if (at < pieceEnd) piece.bytes.set(part, at - piece.start);
      else if (stop > at) {
        append(piece, part, this.#limits.messageBytes);
        this.bytes += part.length;
      }
      at = stop;
      if (at === next?.start) index++;
    }
    return true;
  }

  /** Says that the last chunk, which began at `start`, had `length` octets (core C-085). False: another one said otherwise. */
  endAt(start: number, length: number): boolean {
    const total = start - 1 + length;
    if (this.#total !== undefined && this.#total !== total) return false;
    this.#total = total;
    return true;
  }

  /** The octets of a complete message, in memory of their own. */
  body(): Buffer {
    const body = Buffer.allocUnsafeSlow(this.#total ?? 0);
    for (const { start, bytes, length } of this.#pieces) bytes.copy(body, start - 1, 0, length);
    return body;
  }

  /** Index of the last piece that begins at `start` or before; −1 for none. */
  #lastUpTo(start: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle] as Piece).start <= start) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * Makes one piece of those that touch; false when few do. A message that comes backwards needs this, and it is done only
   * when it pays: the copy is shared by a good part of the pieces.
   */
  #join(): boolean {
    const runs: Piece[][] = [];
    for (const piece of this.#pieces) {
      const last = runs.at(-1)?.at(-1);
      if (last !== undefined && last.start + last.length === piece.start) runs.at(-1)?.push(piece);
      else runs.push([piece]);
    }
    if (this.#pieces.length - runs.length < this.#limits.pieces / 4) return false;
    this.#pieces = runs.map((run) => {
      const [first] = run as [Piece];
      if (run.length === 1) return first;
      const bytes = Buffer.concat(run.map((piece) => piece.bytes.subarray(0, piece.length)));
      return { start: first.start, bytes, length: bytes.length };
    });
    return true;
  }
}

/** Appends in place, with room to spare: pieces that come in order cost one copy. */
function append(piece: Piece, octets: Uint8Array, messageBytes: number): void {
  const length = piece.length + octets.length;
  if (piece.bytes.length < length) {
    const room = Math.min(piece.bytes.length * 2, messageBytes - piece.start + 1);
    const larger = Buffer.allocUnsafeSlow(Math.max(length, room));
    piece.bytes.copy(larger, 0, 0, piece.length);
    piece.bytes = larger;
  }
  piece.bytes.set(octets, piece.length);
  piece.length = length;
}

/** Memory of its own: a view would keep the whole read buffer. */
function copyOf(octets: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(octets.length);
  copy.set(octets);
  return copy;
}
