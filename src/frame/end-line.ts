/**
 * Search for the end-line of a body: CRLF, seven hyphens, the transaction id of its own frame, a flag, CRLF (core D-08).
 * Anything that only looks like it is body.
 */
export class EndLineSearch {
  /** Offset of the CRLF before the end-line, or -1. */
  found = -1;
  /** When not found: everything before this offset is body for certain; the bytes from here may begin the end-line (D-07). */
  hold = 0;
  /** CRLF and seven hyphens were seen that do not end the frame: some other transaction id could be hidden there. */
  dashes = false;

  /**
   * Searches `bytes[from..to)` for the end-line of the transaction id at `tidFrom..tidTo` of `tidBytes`.
   *
   * Each byte is looked at a bounded number of times, whatever a peer sends.
   */
  search(bytes: Buffer, from: number, to: number, tidBytes: Uint8Array, tidFrom: number, tidTo: number): void {
    this.found = -1;
    this.dashes = false;
    const tidLength = tidTo - tidFrom;
    const size = 2 + 7 + tidLength + 3;
    let at = from;
    let small = to - from < NATIVE_FROM_BYTES ? to : from;
    for (;;) {
      // The next CRLF with seven hyphens: by hand in short stretches, where a call out of JavaScript costs more.
      let mark: number;
      if (at < small) {
        mark = findMark(bytes, at, Math.min(small, to));
        if (mark < 0) {
          if (small >= to) break;
          // Seven hyphens may lie across the border of the stretch.
          at = Math.max(at, small - 8);
          small = at;
          continue;
        }
      } else {
        mark = bytes.indexOf(MARK, at);
        if (mark < 0 || mark + MARK.length > to) break;
      }
      const tidAt = mark + 9;
      const have = Math.min(to - tidAt, tidLength);
      let same = 0;
      while (same < have && bytes[tidAt + same] === tidBytes[tidFrom + same]) same++;
      if (same === have) {
        const rest = tidAt + tidLength;
        if (mark + size <= to) {
          if (isFlag(bytes[rest]) && bytes[rest + 1] === 13 && bytes[rest + 2] === 10) {
            this.found = mark;
            return;
          }
        } else if ((rest >= to || isFlag(bytes[rest])) && (rest + 1 >= to || bytes[rest + 1] === 13)) {
          this.hold = mark;
          return;
        }
      }
      this.dashes = true;
      at = mark + 2;
      // A body full of such marks must not cost a call for each.
      small = Math.min(to, at + NATIVE_FROM_BYTES);
    }
    this.hold = holdBack(bytes, from, to);
  }
}

const MARK = Buffer.from('\r\n-------');

/** Below this many bytes a loop in JavaScript beats the call of `Buffer.indexOf` (measured; docs/BENCHMARKING.md). */
const NATIVE_FROM_BYTES = 512;

const HYPHEN = 0x2d;

function isFlag(byte: number | undefined): boolean {
  return byte === 0x24 || byte === 0x2b || byte === 0x23;
}

/**
 * Offset of the first CRLF followed by seven hyphens in `bytes[from..to)`, or -1. Looks at every seventh byte only: seven
 * hyphens in a row cover one of them.
 */
function findMark(bytes: Uint8Array, from: number, to: number): number {
  let probe = from + 8;
  while (probe < to) {
    if (bytes[probe] !== HYPHEN) {
      probe += 7;
      continue;
    }
    let first = probe;
    while (first > from + 2 && bytes[first - 1] === HYPHEN) first--;
    let end = probe + 1;
    while (end < to && end < first + 7 && bytes[end] === HYPHEN) end++;
    if (end - first >= 7 && first >= from + 2 && bytes[first - 1] === 10 && bytes[first - 2] === 13) return first - 2;
    // Only the first hyphen of a run can follow a CRLF: skip the run.
    while (end < to && bytes[end] === HYPHEN) end++;
    probe = end + 7;
  }
  return -1;
}

/** Start of the longest suffix of `bytes[from..to)` that begins CRLF and seven hyphens; `to` when there is none. */
function holdBack(bytes: Uint8Array, from: number, to: number): number {
  let run = to;
  while (run > from && to - run <= 7 && bytes[run - 1] === HYPHEN) run--;
  const hyphens = to - run;
  if (hyphens > 7) return to;
  if (run - 2 >= from && bytes[run - 2] === 13 && bytes[run - 1] === 10) return run - 2;
  if (hyphens === 0 && to - 1 >= from && bytes[to - 1] === 13) return to - 1;
  return to;
}
