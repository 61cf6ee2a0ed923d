/** Memory of one message is bounded by these (core D-15). */
export interface AssemblyLimits {
  /** Size of the whole message in bytes. */
  readonly messageBytes: number;
  /** Pieces that do not touch each other: what a peer can make us keep apart. */
  readonly pieces: number;
}

/** Octets that lie behind each other: `bytes[0..length)` from octet number `start` on. */
interface Piece {
  start: number;
  bytes: Buffer;
  length: number;
}

/**
 * One message being put together from chunks in any order (core C-083…C-086): nothing is allocated for what is only announced,
 * later octets win over earlier ones, and it is complete when the chunk with `$` was seen and every octet up to its end is there.
 */
export class MessageAssembly {
  /** Octets kept. */
  bytes = 0;
  readonly #limits: AssemblyLimits;
  /** In order, never overlapping, never touching. */
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
    const first = this.#pieces[0];
    return first === undefined || first.start > 1 ? 1 : first.start + first.length;
  }

  get complete(): boolean {
    if (this.#total === undefined) return false;
    return this.#total === 0 || this.nextMissing > this.#total;
  }

  /** Adds octets from number `start` (1…) on; false when a limit is exceeded, and then nothing is kept of them. */
  add(start: number, octets: Uint8Array): boolean {
    const end = start + octets.length;
    if (octets.length === 0) return true;
    if (end - 1 > this.#limits.messageBytes) return false;
    const last = this.#pieces.at(-1);
    if (last !== undefined && start === last.start + last.length) {
      append(last, octets);
      this.bytes += octets.length;
      return true;
    }
    const before = this.#pieces;
    const pieces = before.filter((piece) => piece.start + piece.length < start || piece.start > end);
    const touched = before.filter((piece) => piece.start + piece.length >= start && piece.start <= end);
    if (pieces.length + 1 > this.#limits.pieces) return false;
    pieces.push(join(touched, start, octets));
    this.#pieces = pieces.toSorted((a, b) => a.start - b.start);
    this.bytes = this.#pieces.reduce((sum, { length }) => sum + length, 0);
    return true;
  }

  /** Says that the last chunk, which began at `start`, had `length` octets (core C-085). False: another one said otherwise. */
  endAt(start: number, length: number): boolean {
    const total = start - 1 + length;
    if (this.#total !== undefined && this.#total !== total) return false;
    this.#total = total;
    return true;
  }

  /** The octets of a complete message. */
  body(): Buffer {
    const first = this.#pieces[0];
    if (first === undefined || this.#total === undefined) return Buffer.alloc(0);
    return first.bytes.subarray(0, Math.min(first.length, this.#total));
  }
}

/** Appends in place, with room to spare: pieces that come in order cost one copy. */
function append(piece: Piece, octets: Uint8Array): void {
  const length = piece.length + octets.length;
  if (piece.bytes.length < length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(length, piece.bytes.length * 2));
    piece.bytes.copy(larger, 0, 0, piece.length);
    piece.bytes = larger;
  }
  piece.bytes.set(octets, piece.length);
  piece.length = length;
}

/** One piece of all that touch new octets; the new ones win. */
function join(touched: readonly Piece[], start: number, octets: Uint8Array): Piece {
  let from = start;
  let to = start + octets.length;
  for (const piece of touched) {
    from = Math.min(from, piece.start);
    to = Math.max(to, piece.start + piece.length);
  }
  const bytes = Buffer.allocUnsafeSlow(to - from);
  for (const piece of touched) piece.bytes.copy(bytes, piece.start - from, 0, piece.length);
  bytes.set(octets, start - from);
  return { start: from, bytes, length: to - from };
}
