import { BIT, R } from '../../frame/record.ts';
import { headerValue, readHeaders, readPath } from '../../syntax/frame.ts';
import { sameUriText } from '../../syntax/uri.ts';
import type { Connection } from './connection.ts';
import { RESPONSE_KIND } from './counters.ts';
import { failTransaction } from './fail.ts';
import { holdIfFull, releaseIfDrained } from './flow.ts';
import type { Plane } from './plane.ts';
import { queueText } from './reply.ts';
import type { Route } from './route.ts';
import type { Transaction } from './transaction.ts';

/** A response: matched by transaction id and connection (relay R-071, D-45), then used up or sent on. */
export function onResponse(
  plane: Plane,
  connection: Connection,
  bytes: Buffer,
  records: Uint32Array,
  base: number,
): void {
  const { transactions, counters } = plane;
  if (((records[base + R.BITS] as number) & BIT.SAME_PATHS) === 0) connection.lastResponseTo = '';
  const tidStart = records[base + R.TID_START] as number;
  const tidEnd = records[base + R.TID_END] as number;
  const transaction =
    records[base + R.ISSUE] === 0 ? transactions.find(bytes, tidStart, tidEnd, connection) : undefined;
  const status = records[base + R.METHOD] as number;
  const isThat = (route: Route): boolean => isOurs(route, connection, bytes, records, base);
  if (transaction === undefined || !isThat(transaction.route)) {
    const isGood = records[base + R.ISSUE] === 0;
    if (!isGood || connection.outgoing?.answered(bytes, tidStart, tidEnd, status, isThat) !== true) counters.dropped++;
    return;
  }
  counters.answered(plane.nowMs - transaction.startedMs);
  if (!transaction.isSend) {
    passBack(plane, transaction, bytes, records, base);
    transactions.close(transaction);
  } else if (status >= 200 && status <= 299) {
    // A 200 has done its duty here: it goes from hop to hop (relay R-064).
    transactions.close(transaction);
  } else {
    failTransaction(plane, transaction, status);
    return;
  }
  releaseIfDrained(plane, connection);
}

/** The first URI of To-Path must be the one that the request went out under (relay R-070). */
function isOurs(route: Route, connection: Connection, bytes: Buffer, records: Uint32Array, base: number): boolean {
  if (connection.lastResponseTo === '') {
    const value = bytes.toString('latin1', records[base + R.TO_START], records[base + R.TO_END]);
    const space = value.indexOf(' ');
    connection.lastResponseTo = space < 0 ? value : value.slice(0, space);
  }
  const own = route.toPath[route.sessions.length - 1] as string;
  return connection.lastResponseTo === own || sameUriText(connection.lastResponseTo, own);
}

/**
 * The response to anything but a SEND travels the whole path back (relay R-072): own URIs move from To-Path to From-Path, the
 * transaction id becomes the incoming one again. Nobody is told when the way back is gone.
 */
function passBack(plane: Plane, transaction: Transaction, bytes: Buffer, records: Uint32Array, base: number): void {
  const { source, route, sourceTid } = transaction;
  const toPath = readPath(bytes, records[base + R.TO_START] as number, records[base + R.TO_END] as number);
  const own = route.sessions.length;
  if (source.state !== 'open' || toPath.length <= own) {
    plane.counters.dropped++;
    return;
  }
  const fromPath = bytes.toString('latin1', records[base + R.FROM_START], records[base + R.FROM_END]);
  const headersStart = records[base + R.HEADERS_START] as number;
  const headersEnd = records[base + R.HEADERS_END] as number;
  const firstLine = bytes.toString('latin1', records[base + R.WORD_START], records[base + R.LINE_END]);
  queueText(
    plane,
    source,
    `MSRP ${sourceTid} ${firstLine}\r\nTo-Path: ${toPath.slice(own).join(' ')}\r\n` +
      `From-Path: ${toPath.slice(0, own).toReversed().join(' ')} ${fromPath}\r\n` +
      `${bytes.toString('latin1', headersStart, headersEnd)}-------${sourceTid}$\r\n`,
  );
  plane.counters.framesOut[RESPONSE_KIND]!++;
  holdIfFull(plane, source, source);
  if (transaction.hasCredentials && records[base + R.METHOD] === 401 && !isStale(bytes, headersStart, headersEnd)) {
    plane.emit({ type: 'authRejected', connection: source.id });
  }
}

/** `stale=true` says that the credentials were right and only the nonce too old (relay R-037). */
function isStale(bytes: Buffer, from: number, to: number): boolean {
  const challenge = headerValue(readHeaders(bytes, from, to), 'WWW-Authenticate') ?? '';
  return /\bstale\s*=\s*"?true\b/i.test(challenge);
}
