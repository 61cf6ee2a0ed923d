import { encodeResponse } from '../../syntax/encode.ts';
import type { Header } from '../../syntax/frame.ts';
import { statusComment } from '../../syntax/status.ts';
import { RESPONSE_KIND } from './counters.ts';
import type { Connection } from './connection.ts';
import { holdIfFull } from './flow.ts';
import { METHOD } from '../../frame/record.ts';
import type { Plane } from './plane.ts';
import { FORWARD_TID_LENGTH } from './tid-source.ts';

/** Frames that this relay makes itself: responses, and REPORTs of failures. */

/** What a response repeats of its request (core C-073). */
export interface ResponseTo {
  readonly tid: string;
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
}

/** Queues a response on the connection that the request came in on; nothing happens when that has gone. */
export function respond(
  plane: Plane,
  connection: Connection,
  status: number,
  to: ResponseTo,
  headers: readonly Header[] = [],
  comment = statusComment(status),
): void {
  if (connection.state !== 'open') return;
  const { tid, toPath, fromPath } = to;
  // Headers are texts of the control plane: UTF-8 on the wire, and never a second line.
  const whole = headers.filter(([name, value]) => !/[\r\n\0]/.test(name + value));
  const bytes = Buffer.from(encodeResponse({ tid, status, comment, toPath, fromPath, headers: whole }));
  connection.outgoing?.interrupt();
  connection.outbox.append(bytes, 0, bytes.length);
  plane.touch(connection);
  plane.counters.framesOut[RESPONSE_KIND]!++;
  plane.counters.response(status);
  holdIfFull(plane, connection, connection);
}

/** The response to a SEND goes to the previous hop only, in the name of the first own URI (relay R-060). */
export function toSend(tid: string, toPath: readonly string[], fromPath: readonly string[]): ResponseTo {
  return { tid, toPath: fromPath.slice(0, 1), fromPath: toPath.slice(0, 1) };
}

/** Any other response travels the whole path back. */
export function toOther(tid: string, toPath: readonly string[], fromPath: readonly string[]): ResponseTo {
  return { tid, toPath: fromPath, fromPath: toPath.slice(0, 1) };
}

/** A SEND, or a part of one, that has failed after it was accepted. */
export interface Failure {
  /** Paths as received. */
  readonly toPath: readonly string[];
  readonly fromPath: readonly string[];
  readonly messageId: string;
  /** First octet, how many were forwarded, total (−1: unknown). */
  readonly start: number;
  readonly octets: number;
  readonly total: number;
}

/** Queues a failure REPORT for the original sender (relay R-061). Dropped when the previous hop has gone. */
export function report(plane: Plane, source: Connection, failure: Failure, status: number): void {
  if (source.state !== 'open' || failure.messageId === '') {
    plane.counters.dropped++;
    return;
  }
  const { toPath, fromPath, messageId, start, octets, total } = failure;
  const tid = newTid(plane);
  const comment = statusComment(status);
  queueText(
    plane,
    source,
    `MSRP ${tid} REPORT\r\nTo-Path: ${fromPath.join(' ')}\r\nFrom-Path: ${toPath[0]}\r\nMessage-ID: ${messageId}\r\n` +
      `Byte-Range: ${start}-${start + octets - 1}/${total < 0 ? '*' : total}\r\n` +
      `Status: 000 ${String(status).padStart(3, '0')}${comment === '' ? '' : ` ${comment}`}\r\n-------${tid}$\r\n`,
  );
  plane.counters.framesOut[METHOD.REPORT]!++;
  plane.counters.report(status);
  holdIfFull(plane, source, source);
}

/** Queues a whole frame of bytes as latin1 text; a chunk that is on its way out is interrupted for it (core C-053). */
export function queueText(plane: Plane, connection: Connection, text: string): void {
  connection.outgoing?.interrupt();
  connection.outbox.appendLatin1(text);
  plane.touch(connection);
}

/** A transaction id for a frame that nobody answers. */
function newTid(plane: Plane): string {
  plane.tids.write(scratch, 0, 0, 0);
  return scratch.toString('latin1', 0, FORWARD_TID_LENGTH);
}

const scratch = Buffer.alloc(FORWARD_TID_LENGTH);
