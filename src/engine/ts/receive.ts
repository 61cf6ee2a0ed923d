import { BIT, KIND, METHOD, R, RECORD_WORDS, frameErrorName } from '../../frame/record.ts';
import { closeConnection } from './close.ts';
import type { Connection } from './connection.ts';
import { RESPONSE_KIND } from './counters.ts';
import { isMisdirectedOnce, learnPeer, messageLimit, onRequest, routeOf } from './forward.ts';
import type { Plane } from './plane.ts';
import { onResponse } from './response.ts';
import { refusedRoute } from './route.ts';
import type { Route } from './route.ts';
import { SendStream } from './send-stream.ts';
import { rangeNumber } from '../../syntax/byte-range.ts';
import { readPath } from '../../syntax/frame.ts';

/** Bytes have come in: framed, and every frame dealt with. What is incomplete is kept for the next time. */
export function onBytes(plane: Plane, connection: Connection, chunk: Buffer): void {
  if (connection.state !== 'open') return;
  plane.counters.bytesIn += chunk.length;
  connection.bytesIn += chunk.length;
  connection.lastActiveMs = plane.nowMs;
  if (connection.restLength === 0) {
    const done = scanAll(plane, connection, chunk, chunk.length);
    if (isAlive(connection)) keepRest(connection, chunk, done, chunk.length);
    return;
  }
  const length = connection.restLength + chunk.length;
  if (connection.rest.length < length) {
    // Twice the need, so that a peer that writes byte by byte does not have its bytes copied again each time.
    const larger = Buffer.allocUnsafeSlow(length * 2);
    connection.rest.copy(larger, 0, 0, connection.restLength);
    connection.rest = larger;
  }
  chunk.copy(connection.rest, connection.restLength);
  const { rest } = connection;
  const done = scanAll(plane, connection, rest, length);
  if (!isAlive(connection)) return;
  if (done === length) dropRest(connection);
  else {
    if (done > 0) rest.copyWithin(0, done, length);
    connection.restLength = length - done;
  }
}

/** A function of its own: handling a frame may close the connection, which the compiler does not expect of a field. */
function isAlive(connection: Connection): boolean {
  return connection.state === 'open';
}

/** Frames and handles `bytes[0..length)`; returns up to where they are done with. */
function scanAll(plane: Plane, connection: Connection, bytes: Buffer, length: number): number {
  const { framer } = connection;
  let from = 0;
  for (;;) {
    const count = framer.scan(bytes, from, length, records);
    for (let base = 0; base < count * RECORD_WORDS; base += RECORD_WORDS) {
      onRecord(plane, connection, bytes, base);
      if (!isAlive(connection)) return length;
    }
    const progress = framer.consumed > from;
    from = framer.consumed;
    if (from === length || count === 0 || !progress) break;
  }
  if (framer.pending) {
    const limit = plane.limits.maxMsgChunks;
    connection.reads++;
    if (limit !== 0 && connection.reads >= limit) closeConnection(plane, connection, 'max_msg_chunks');
  } else connection.reads = 0;
  return from;
}

/** Records of one scan; handled before the next one begins. */
const RECORDS_PER_SCAN = 128;
const records = new Uint32Array(RECORDS_PER_SCAN * RECORD_WORDS);

function onRecord(plane: Plane, connection: Connection, bytes: Buffer, base: number): void {
  switch (records[base + R.KIND]) {
    case KIND.WHOLE: {
      connection.reads = 0;
      const issue = records[base + R.ISSUE] as number;
      if (issue !== 0) plane.counters.reject(frameErrorName(issue));
      if (((records[base + R.BITS] as number) & BIT.RESPONSE) !== 0) {
        plane.counters.framesIn[RESPONSE_KIND]!++;
        onResponse(plane, connection, bytes, records, base);
        return;
      }
      plane.counters.framesIn[records[base + R.METHOD] as number]!++;
      const route = onRequest(plane, connection, bytes, records, base);
      if (route !== undefined) {
        // Cut as one that comes in piece by piece.
        beginOn(plane, connection, bytes, base, route, 0).finish(records[base + R.FLAG] as number);
      }
      return;
    }
    case KIND.HEAD:
      connection.reads = 0;
      plane.counters.framesIn[METHOD.SEND]!++;
      beginStream(plane, connection, bytes, base);
      return;
    case KIND.BODY:
    case KIND.END: {
      const stream = connection.incoming;
      if (stream === undefined) return;
      const dashes = ((records[base + R.BITS] as number) & BIT.DASHES) !== 0;
      stream.push(bytes, records[base + R.BODY_START] as number, records[base + R.BODY_END] as number, dashes);
      if (records[base + R.KIND] === KIND.END) stream.finish(records[base + R.FLAG] as number);
      return;
    }
    default: {
      const code = frameErrorName(records[base + R.ISSUE] as number);
      plane.counters.reject(code);
      closeConnection(plane, connection, code === 'E_LIMIT' ? 'header_limit' : 'protocol_error', code);
    }
  }
}

/** The head of a SEND that is passed on while it comes in: refused now, read to its end all the same (relay R-063). */
function beginStream(plane: Plane, connection: Connection, bytes: Buffer, base: number): void {
  const issue = records[base + R.ISSUE] as number;
  if (issue !== 0) {
    plane.counters.reject(frameErrorName(issue));
    connection.lastRoute = undefined;
    const to = readPath(bytes, records[base + R.TO_START] as number, records[base + R.TO_END] as number);
    const from = readPath(bytes, records[base + R.FROM_START] as number, records[base + R.FROM_END] as number);
    beginOn(plane, connection, bytes, base, refusedRoute(to, from, 400), 400);
    return;
  }
  const route = routeOf(plane, connection, bytes, records, base);
  if (route.misdirected && isMisdirectedOnce(plane, connection)) return;
  beginOn(plane, connection, bytes, base, route, route.verdict);
}

/** Begins to pass on a SEND, or to read what is refused with `verdict`. */
function beginOn(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  base: number,
  route: Route,
  verdict: number,
): SendStream {
  let status = verdict;
  if (status === 0 && records[base + R.MESSAGE_ID_END] === 0) status = 400;
  else if (status === 0 && !learnPeer(route, connection)) status = 506;
  else if (status === 0 && route.target?.shedding === true) status = 408;
  else if (status === 0 && rangeNumber(records, base + R.RANGE_TOTAL) > messageLimit(plane)) status = 413;
  const stream = new SendStream(plane, connection, route, bytes, records, base, status);
  connection.incoming = stream;
  const dashes = ((records[base + R.BITS] as number) & BIT.DASHES) !== 0;
  stream.push(bytes, records[base + R.BODY_START] as number, records[base + R.BODY_END] as number, dashes);
  return stream;
}

/** Keeps `bytes[from..to)`, whose buffer is used again by whoever has read them. */
function keepRest(connection: Connection, bytes: Buffer, from: number, to: number): void {
  if (from === to) return;
  if (connection.rest.length < to - from)
    connection.rest = Buffer.allocUnsafeSlow(Math.max(SMALL_REST_BYTES, to - from));
  bytes.copy(connection.rest, 0, from, to);
  connection.restLength = to - from;
}

function dropRest(connection: Connection): void {
  connection.restLength = 0;
  // A quiet connection holds no more than a small buffer.
  if (connection.rest.length > SMALL_REST_BYTES) connection.rest = NOTHING;
}

const SMALL_REST_BYTES = 1024;
const NOTHING = Buffer.alloc(0);
