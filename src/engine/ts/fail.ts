import type { Connection } from './connection.ts';
import { releaseIfDrained } from './flow.ts';
import type { Plane } from './plane.ts';
import { report, respond, toOther } from './reply.ts';
import type { Transaction, TransactionList } from './transaction.ts';

/**
 * A forwarded request has failed: the next hop refused it, was silent, or has gone (relay ). A SEND gets a failure
 * REPORT; another request the response that will not come.
 */
export function failTransaction(plane: Plane, transaction: Transaction, status: number): void {
  const { source, route, isSend, sourceTid, target } = transaction;
  if (isSend) {
    const { messageId, start, octets, total } = transaction;
    report(plane, source, { toPath: route.toPath, fromPath: route.fromPath, messageId, start, octets, total }, status);
  } else respond(plane, source, status, toOther(sourceTid, route.toPath, route.fromPath));
  plane.transactions.close(transaction);
  releaseIfDrained(plane, target);
}

/** Everything that a connection owes an answer to fails: it has closed, or never opened. */
export function failAll(plane: Plane, target: Connection, status: number): void {
  for (const list of [target.awaited, target.unanswered])
    while (list.oldest !== undefined) failTransaction(plane, list.oldest, status);
}

/**
 * Looks at the transactions of one connection, oldest first: a SEND without an answer in time is reported 408; of the others
 * an AUTH is answered 408 and the rest forgotten (relay section 6.1, D-44).
 */
export function expireTransactions(plane: Plane, target: Connection): void {
  expireList(plane, target, target.awaited);
  expireList(plane, target, target.unanswered);
}

function expireList(plane: Plane, target: Connection, list: TransactionList): void {
  let transaction: Transaction | undefined;
  while ((transaction = list.oldest) !== undefined && transaction.deadlineMs <= plane.nowMs) {
    if (target.state === 'open' && transaction.queuedUpTo > target.bytesOut) {
      // The time runs from the last octet that went out (core C-071), and this one still waits.
      plane.transactions.postpone(transaction, plane.nowMs + plane.limits.transactionMs);
      continue;
    }
    if (transaction.isSend ? transaction.timed : transaction.isAuth) {
      plane.counters.timeouts++;
      failTransaction(plane, transaction, 408);
    } else {
      plane.transactions.close(transaction);
      releaseIfDrained(plane, target);
    }
  }
}
