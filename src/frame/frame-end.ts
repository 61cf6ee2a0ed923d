/**
 * Offset behind the frame that begins at `bytes[from]`; −1 when it does not end in `bytes[..to)`, or is none. It looks for the end-line
 * alone (core D-08): for whoever has whole frames and wants to tell one from the next.
 */
export function frameEnd(bytes: Buffer, from: number, to: number): number {
  const tidAt = from + START.length;
  if (to < tidAt || bytes.compare(START, 0, START.length, from, tidAt) !== 0) return -1;
  let tidEnd = tidAt;
  while (tidEnd < to && tidEnd - tidAt <= LONGEST_TID && bytes[tidEnd] !== SPACE) tidEnd++;
  if (tidEnd === tidAt || bytes[tidEnd] !== SPACE) return -1;
  const mark = Buffer.concat([MARK, bytes.subarray(tidAt, tidEnd)]);
  for (let at = tidEnd; ;) {
    const found = bytes.indexOf(mark, at);
    const end = found + mark.length + 3;
    if (found < 0 || end > to) return -1;
    const flag = bytes[end - 3];
    const isFlag = flag === 0x24 || flag === 0x2b || flag === 0x23;
    if (isFlag && bytes[end - 2] === 13 && bytes[end - 1] === 10) return end;
    at = found + MARK.length;
  }
}

const START = Buffer.from('MSRP ');
const MARK = Buffer.from('\r\n-------');
const SPACE = 0x20;
/** Longest transaction id (core C-005). */
const LONGEST_TID = 32;
