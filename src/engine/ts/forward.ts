import { BIT, METHOD, R } from '../../frame/record.ts';
import { rangeNumber } from '../../syntax/byte-range.ts';
import { REPORT, failureReportOf } from '../../syntax/header-value.ts';
import { closeConnection } from './close.ts';
import type { Connection } from './connection.ts';
import { RESPONSE_KIND } from './counters.ts';
import { holdIfFull, pause, resume } from './flow.ts';
import type { Plane } from './plane.ts';
import { respond, toOther, toSend } from './reply.ts';
import { UP, isCurrent, resolveRoute } from './route.ts';
import type { Route } from './route.ts';
import { readHeaders, readPath } from '../../syntax/frame.ts';
import { FORWARD_TID_LENGTH } from './tid-source.ts';
import { SEGMENT_BYTES } from './outbox.ts';
import type { Transaction } from './transaction.ts';

/**
 * A whole request: checked, routed, and appended to the outbox of its target, all in this call. A SEND whose body is longer than its
 * target takes at once (relay R-086) is left to the caller, with its route.
 */
export function onRequest(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
): Route | undefined {
  const method = records[base + R.METHOD] as number;
  if (records[base + R.ISSUE] !== 0) {
    refuseMalformed(plane, connection, bytes, records, base);
    return undefined;
  }
  const route = routeOf(plane, connection, bytes, records, base);
  if (route.verdict !== 0) refuse(plane, connection, bytes, records, base, route, route.verdict);
  else if (method !== METHOD.SEND) forwardOther(plane, connection, bytes, records, base, route);
  else if (isTooLong(records, base, route)) return route;
  else forwardSend(plane, connection, bytes, records, base, route);
  return undefined;
}

function isTooLong(records: Uint32Array, base: number, route: Route): boolean {
  const octets = (records[base + R.BODY_END] as number) - (records[base + R.BODY_START] as number);
  return octets > (route.target as Connection).chunkOctets;
}

/** The route of a request: that of the one before, when its paths are the same and nothing has changed since. */
export function routeOf(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
): Route {
  const same = ((records[base + R.BITS] as number) & BIT.SAME_PATHS) !== 0;
  let route = same ? connection.lastRoute : undefined;
  if (route !== undefined && isCurrent(route, plane.nowMs)) return route;
  const key = bytes.toString('latin1', records[base + R.TO_START], records[base + R.FROM_END]);
  route = connection.routes.get(key);
  if (route === undefined || !isCurrent(route, plane.nowMs)) {
    route = resolveRoute(
      plane,
      connection,
      records[base + R.METHOD] as number,
      bytes.toString('latin1', records[base + R.WORD_START], records[base + R.WORD_END]),
      readPath(bytes, records[base + R.TO_START] as number, records[base + R.TO_END] as number),
      readPath(bytes, records[base + R.FROM_START] as number, records[base + R.FROM_END] as number),
    );
    connection.routes.delete(key);
    if (route.verdict === 0 && key.length <= CACHED_PATH_BYTES) {
      if (connection.routes.size >= CACHED_ROUTES) connection.routes.clear();
      connection.routes.set(key, route);
    }
  }
  connection.lastRoute = route;
  return route;
}

/** Routes kept for one connection, and the longest paths kept: what a peer can make this relay remember. */
const CACHED_ROUTES = 1024;
const CACHED_PATH_BYTES = 1024;

/**
 * The peer of a session is learned from its SENDs (relay R-094). False when another live connection has the session already,
 * which is answered 506 (core C-081).
 */
export function learnPeer(route: Route, connection: Connection): boolean {
  const session = route.sessions[0];
  if (!route.toClient || route.sessions.length !== 1 || session === undefined) return true;
  if (session.peer === connection && session.peerUri === route.fromPath[0]) return true;
  const other = session.peer;
  if (
    session.exclusivePeer &&
    other !== undefined &&
    other !== connection &&
    other.state === 'open' &&
    connection.relay === undefined
  ) {
    return false;
  }
  session.peer = connection;
  session.peerUri = route.fromPath[0] as string;
  session.version++;
  return true;
}

function forwardSend(
  plane: Plane,
  source: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  route: Route,
): void {
  const target = route.target as Connection;
  const octets = (records[base + R.BODY_END] as number) - (records[base + R.BODY_START] as number);
  const limit = messageLimit(plane);
  const failureReport = failureReportOf(records, base);
  const start = rangeNumber(records, base + R.RANGE_START);
  const total = rangeNumber(records, base + R.RANGE_TOTAL);
  let refusal = 0;
  if (records[base + R.MESSAGE_ID_END] === 0) refusal = 400;
  else if (!learnPeer(route, source)) refusal = 506;
  else if (target.shedding) refusal = 408;
  else if (total > limit || start - 1 + octets > limit) refusal = 413;
  const transaction = refusal === 0 && failureReport !== REPORT.NO ? plane.transactions.take() : undefined;
  if (refusal === 0 && transaction === undefined && failureReport !== REPORT.NO) refusal = 408;
  if (refusal !== 0) {
    refuse(plane, source, bytes, records, base, route, refusal);
    return;
  }
  appendForwarded(plane, target, bytes, records, base, route.sendHead, transaction);
  if (transaction !== undefined) {
    transaction.source = source;
    transaction.target = target;
    transaction.route = route;
    transaction.isSend = true;
    transaction.isAuth = false;
    transaction.timed = failureReport === REPORT.YES;
    transaction.messageId = bytes.toString(
      'latin1',
      records[base + R.MESSAGE_ID_START],
      records[base + R.MESSAGE_ID_END],
    );
    transaction.start = start;
    transaction.octets = octets;
    transaction.total = total;
    transaction.startedMs = plane.nowMs;
    transaction.deadlineMs = plane.nowMs + plane.limits.transactionMs;
    transaction.queuedUpTo = target.queuedTotal;
    plane.transactions.open(transaction);
  }
  source.probation = false;
  countMessage(route, octets);
  plane.counters.framesOut[METHOD.SEND]!++;
  if (failureReport === REPORT.YES) acknowledge(plane, source, bytes, records, base, route);
  holdIfFull(plane, source, target);
}

/** Octets that a message may have: at most as many as a Byte-Range can count. */
export function messageLimit({ limits }: Plane): number {
  return limits.messageBytes === 0 ? Number.MAX_SAFE_INTEGER : limits.messageBytes;
}

export function countMessage(route: Route, octets: number): void {
  for (const session of route.sessions) {
    if (route.toClient && session === route.sessions.at(-1)) {
      session.framesIn++;
      session.bytesIn += octets;
    } else {
      session.framesOut++;
      session.bytesOut += octets;
    }
  }
}

/** 200 for a SEND that this hop has got whole (relay R-060). */
function acknowledge(
  plane: Plane,
  source: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  route: Route,
): void {
  source.outgoing?.interrupt();
  const { outbox } = source;
  const tidStart = records[base + R.TID_START] as number;
  const tidLength = (records[base + R.TID_END] as number) - tidStart;
  const { okTail } = route;
  const size = 5 + tidLength + okTail.length + tidLength + 3;
  if (size > SEGMENT_BYTES) {
    respond(
      plane,
      source,
      200,
      toSend(bytes.toString('latin1', tidStart, tidStart + tidLength), route.toPath, route.fromPath),
    );
    return;
  }
  outbox.room(size);
  const { tail } = outbox;
  let at = putMsrp(tail, outbox.used);
  at = put(tail, at, bytes, tidStart, tidStart + tidLength);
  at += okTail.copy(tail, at);
  at = put(tail, at, bytes, tidStart, tidStart + tidLength);
  tail[at] = 0x24;
  tail[at + 1] = 13;
  tail[at + 2] = 10;
  outbox.wrote(size);
  plane.counters.framesOut[RESPONSE_KIND]!++;
  plane.counters.okResponses++;
  plane.touch(source);
  holdIfFull(plane, source, source);
}

/** REPORT and any method but SEND: whole or not at all (core C-033). */
function forwardOther(
  plane: Plane,
  source: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  route: Route,
): void {
  const target = route.target as Connection;
  const method = records[base + R.METHOD] as number;
  const isReport = method === METHOD.REPORT;
  // A REPORT without Status says nothing, and only a SEND can be continued (core C-060, C-033).
  const bad = records[base + R.FLAG] !== 0x24 || (isReport && records[base + R.STATUS_END] === 0);
  const transaction = bad || isReport || target.shedding ? undefined : plane.transactions.take();
  if (bad || target.shedding || (transaction === undefined && !isReport)) {
    refuse(plane, source, bytes, records, base, route, bad ? 400 : 408);
    return;
  }
  const word = bytes.toString('latin1', records[base + R.WORD_START], records[base + R.WORD_END]);
  appendForwarded(
    plane,
    target,
    bytes,
    records,
    base,
    Buffer.from(` ${word}\r\n${route.paths}`, 'latin1'),
    transaction,
  );
  if (transaction !== undefined) {
    transaction.source = source;
    transaction.target = target;
    transaction.route = route;
    transaction.isSend = false;
    transaction.isAuth = method === METHOD.AUTH;
    transaction.hasCredentials = transaction.isAuth && hasHeader(bytes, records, base, 'authorization');
    transaction.sourceTid = bytes.toString('latin1', records[base + R.TID_START], records[base + R.TID_END]);
    transaction.startedMs = plane.nowMs;
    transaction.deadlineMs = plane.nowMs + plane.limits.transactionMs;
    transaction.queuedUpTo = target.queuedTotal;
    plane.transactions.open(transaction);
  }
  source.probation = false;
  plane.counters.framesOut[method]!++;
  holdIfFull(plane, source, target);
}

function hasHeader(bytes: Buffer, records: Uint32Array, base: number, name: string): boolean {
  const headers = readHeaders(
    bytes,
    records[base + R.HEADERS_START] as number,
    records[base + R.HEADERS_END] as number,
  );
  return headers.some(([key]) => key.toLowerCase() === name);
}

/**
 * Appends the frame with a new transaction id and new paths; everything else is copied byte for byte (relay R-052…R-054).
 *
 * ```
 * MSRP ␣ new-tid  head                 headers, empty line, body, CRLF, seven hyphens   new-tid flag CRLF
 *                 ␣SEND CRLF paths     as received                                      ↑ tidEnd of the received end-line
 * ```
 */
function appendForwarded(
  plane: Plane,
  target: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  head: Buffer,
  transaction: Transaction | undefined,
): void {
  target.outgoing?.interrupt();
  const { outbox } = target;
  const from = records[base + R.HEADERS_START] as number;
  const end = records[base + R.END] as number;
  const tidLength = (records[base + R.TID_END] as number) - (records[base + R.TID_START] as number);
  const to = end - 3 - tidLength;
  const bodyEnd = records[base + R.BODY_END] as number;
  // An empty body whose CRLF is shared goes on in the form that every peer understands (core D-03 f).
  const shared = bodyEnd !== 0 && to - 7 === bodyEnd;
  const size = 5 + FORWARD_TID_LENGTH + head.length;
  outbox.room(Math.min(SEGMENT_BYTES, size + (to - from) + 2 + FORWARD_TID_LENGTH + 3));
  if (outbox.tail.length - outbox.used < size) {
    // Paths of tens of kilobytes: their parts one by one.
    writeTid(plane, transaction, scratch, 0, bytes, records, base);
    outbox.appendLatin1('MSRP ');
    outbox.append(scratch, 0, FORWARD_TID_LENGTH);
    outbox.append(head, 0, head.length);
  } else {
    const { tail } = outbox;
    let at = putMsrp(tail, outbox.used);
    writeTid(plane, transaction, tail, at, bytes, records, base);
    for (let i = 0; i < FORWARD_TID_LENGTH; i++) scratch[i] = tail[at + i] as number;
    at += FORWARD_TID_LENGTH;
    head.copy(tail, at);
    outbox.wrote(size);
  }
  if (shared) {
    outbox.append(bytes, from, to - 7);
    outbox.appendLatin1('\r\n-------');
  } else outbox.append(bytes, from, to);
  scratch[FORWARD_TID_LENGTH] = records[base + R.FLAG] as number;
  outbox.append(scratch, 0, FORWARD_TID_LENGTH + 3);
  plane.touch(target);
}

/** The new transaction id at the start, the flag behind it, and the CRLF that never changes. */
const scratch = Buffer.from(`${' '.repeat(FORWARD_TID_LENGTH)}$\r\n`);

/** Writes a new transaction id that the body does not contain (core C-031, relay R-083). */
function writeTid(
  plane: Plane,
  transaction: Transaction | undefined,
  into: Buffer,
  at: number,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
): void {
  const dashes = ((records[base + R.BITS] as number) & BIT.DASHES) !== 0;
  for (;;) {
    if (transaction === undefined) plane.tids.write(into, at, 0, 0);
    else plane.transactions.writeTid(transaction, plane.tids, into, at);
    if (!dashes) return;
    const tid = into.subarray(at, at + FORWARD_TID_LENGTH);
    const hit = bytes.indexOf(tid, records[base + R.BODY_START]);
    if (hit < 0 || hit >= (records[base + R.BODY_END] as number)) return;
  }
}

/** Answers what is malformed but delimited with 400 (core D-05, D-12), where an answer is allowed and has an address. */
function refuseMalformed(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
): void {
  connection.lastRoute = undefined;
  refusePaths(
    plane,
    connection,
    bytes,
    records,
    base,
    readPath(bytes, records[base + R.TO_START] as number, records[base + R.TO_END] as number),
    readPath(bytes, records[base + R.FROM_START] as number, records[base + R.FROM_END] as number),
    400,
  );
}

/** Refuses a request whose paths are good. */
function refuse(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  route: Route,
  status: number,
): void {
  if (status === UP) {
    passUp(plane, connection, bytes, records, base, route);
    return;
  }
  plane.counters.reject(`STATUS_${status}`);
  if (route.misdirected && isMisdirectedOnce(plane, connection)) return;
  refusePaths(plane, connection, bytes, records, base, route.toPath, route.fromPath, status);
}

/** Who may be told what: no response to a REPORT, nor to a SEND that wants none (core C-061, C-070). */
function refusePaths(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  toPath: readonly string[],
  fromPath: readonly string[],
  status: number,
): void {
  const method = records[base + R.METHOD] as number;
  const silent = method === METHOD.REPORT || (method === METHOD.SEND && failureReportOf(records, base) === REPORT.NO);
  if (silent || toPath.length === 0 || fromPath.length === 0) {
    plane.counters.dropped++;
    return;
  }
  const tid = bytes.toString('latin1', records[base + R.TID_START], records[base + R.TID_END]);
  const to = method === METHOD.SEND ? toSend(tid, toPath, fromPath) : toOther(tid, toPath, fromPath);
  respond(plane, connection, status, to);
}

/**
 * A request for another host (relay D-42): closes a connection on probation, and one that does it again and again; never one
 * that a relay shares among many. True when the connection was closed.
 */
export function isMisdirectedOnce(plane: Plane, connection: Connection): boolean {
  if (connection.probation) {
    closeConnection(plane, connection, 'misdirected');
    return true;
  }
  if (connection.relay !== undefined || connection.direction === 'out') return false;
  if (plane.nowMs - connection.misdirectedSinceMs > MISDIRECTED_WINDOW_MS) {
    connection.misdirected = 0;
    connection.misdirectedSinceMs = plane.nowMs;
  }
  if (++connection.misdirected < MISDIRECTED_LIMIT) return false;
  closeConnection(plane, connection, 'misdirected');
  return true;
}

const MISDIRECTED_LIMIT = 3;
const MISDIRECTED_WINDOW_MS = 60_000;

/** Hands a request for this relay to the control plane. */
function passUp(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
  route: Route,
): void {
  const request = plane.nextId();
  const { toPath, fromPath } = route;
  const tid = bytes.toString('latin1', records[base + R.TID_START], records[base + R.TID_END]);
  plane.requests.set(request, { connection, tid, toPath, fromPath });
  // A peer that asks faster than it is answered is not read from meanwhile.
  if (++connection.requests === OPEN_REQUESTS) pause(plane, connection);
  plane.emit({
    type: 'request',
    request,
    connection: connection.id,
    ...(connection.listener === undefined ? {} : { listener: connection.listener }),
    remote: connection.remote,
    method: bytes.toString('latin1', records[base + R.WORD_START], records[base + R.WORD_END]),
    toPath,
    fromPath,
    headers: readHeaders(bytes, records[base + R.HEADERS_START] as number, records[base + R.HEADERS_END] as number),
  });
}

/** A request of the control plane has been answered, or its connection has gone. */
export function requestDone(connection: Connection): void {
  if (connection.requests-- === OPEN_REQUESTS) resume(connection);
}

/** Requests with the control plane, of one connection. A relay may carry many clients; one client has one. */
const OPEN_REQUESTS = 16;

function putMsrp(into: Buffer, at: number): number {
  into[at] = 0x4d;
  into[at + 1] = 0x53;
  into[at + 2] = 0x52;
  into[at + 3] = 0x50;
  into[at + 4] = 0x20;
  return at + 5;
}

/** Copies a few bytes; for so few a loop is faster than a call. */
function put(into: Buffer, at: number, bytes: Buffer, from: number, to: number): number {
  for (let i = from; i < to; i++) into[at++] = bytes[i] as number;
  return at;
}
