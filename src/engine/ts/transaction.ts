import { FORWARD_TID_LENGTH, MAX_SLOTS, slotOfTid } from './tid-source.ts';
import type { TidSource } from './tid-source.ts';
import type { Connection } from './connection.ts';
import type { Route } from './route.ts';

/** A forwarded request that a response may come back for (relay R-053). Objects are reused: a frame allocates none. */
export class Transaction {
  readonly slot: number;
  generation = 0;
  busy = false;
  /** Where the request came from; its connection may have closed since. */
  source!: Connection;
  target!: Connection;
  route!: Route;
  /** SEND ends here with a REPORT; anything else is answered end to end. */
  isSend = true;
  /** Failure-Report of the SEND: only `yes` is timed, `partial` waits for bad news (relay section 6.1). */
  timed = true;
  /** The request was an AUTH, and one with credentials. */
  isAuth = false;
  hasCredentials = false;
  /** Transaction id on the incoming side, of anything but a SEND. */
  sourceTid = '';
  messageId = '';
  /** First octet, number of octets, and total (−1: unknown) of what was sent. */
  start = 1;
  octets = 0;
  total = -1;
  startedMs = 0;
  deadlineMs = 0;
  /** What the target had been given when this request was complete: it is out when the target has sent that much. */
  queuedUpTo = 0;
  /** Neighbours in their list of the target, oldest first. */
  older: Transaction | undefined;
  newer: Transaction | undefined;

  constructor(slot: number) {
    this.slot = slot;
  }
}

/** Transactions of one target, oldest first. */
export class TransactionList {
  oldest: Transaction | undefined;
  newest: Transaction | undefined;
  count = 0;
}

/** All transactions, by slot; each live one is in a list of its target. */
export class TransactionTable {
  /** Those that an answer is owed to. */
  count = 0;
  readonly #slots: Transaction[] = [new Transaction(0)];
  readonly #free: Transaction[] = [];
  #ids = Buffer.alloc(64 * FORWARD_TID_LENGTH);

  /** A free transaction, or undefined when all slots are taken; {@link open} makes it live. */
  take(): Transaction | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#slots.length >= MAX_SLOTS) return undefined;
    const transaction = new Transaction(this.#slots.length);
    this.#slots.push(transaction);
    if (this.#ids.length < this.#slots.length * FORWARD_TID_LENGTH) {
      const larger = Buffer.alloc(this.#ids.length * 2);
      this.#ids.copy(larger);
      this.#ids = larger;
    }
    return transaction;
  }

  /** Writes the transaction's id at `at` and remembers it. */
  writeTid(transaction: Transaction, tids: TidSource, into: Buffer, at: number): void {
    transaction.generation = (transaction.generation + 1) & 0xfff;
    tids.write(into, at, transaction.slot, transaction.generation);
    const ids = this.#ids;
    const own = transaction.slot * FORWARD_TID_LENGTH;
    for (let i = 0; i < FORWARD_TID_LENGTH; i++) ids[own + i] = into[at + i] as number;
  }

  /** Appends the transaction to its list of the target: from now on a response finds it. */
  open(transaction: Transaction): void {
    const list = listOf(transaction);
    transaction.busy = true;
    transaction.newer = undefined;
    transaction.older = list.newest;
    if (list.newest === undefined) list.oldest = transaction;
    else list.newest.newer = transaction;
    list.newest = transaction;
    list.count++;
    if (list === transaction.target.awaited) this.count++;
    else if (list.count > UNANSWERED_PER_TARGET) this.close(list.oldest as Transaction);
  }

  /** The live transaction of an id that came in on `connection`; a response on another one is not believed (relay D-45). */
  find(bytes: Buffer, from: number, to: number, connection: Connection): Transaction | undefined {
    if (to - from !== FORWARD_TID_LENGTH) return undefined;
    const slot = slotOfTid(bytes, from);
    const transaction = slot > 0 ? this.#slots[slot] : undefined;
    if (transaction === undefined || !transaction.busy || transaction.target !== connection) return undefined;
    const ids = this.#ids;
    const own = slot * FORWARD_TID_LENGTH;
    for (let i = 0; i < FORWARD_TID_LENGTH; i++) if (ids[own + i] !== bytes[from + i]) return undefined;
    return transaction;
  }

  /** Ends a transaction; its object is used again. */
  close(transaction: Transaction): void {
    this.#unlink(transaction);
    transaction.busy = false;
    this.#free.push(transaction);
  }

  /** Gives back a transaction that was taken and never opened. */
  release(transaction: Transaction): void {
    this.#free.push(transaction);
  }

  /** Moves a transaction to the list of another target. */
  move(transaction: Transaction, target: Connection): void {
    this.#unlink(transaction);
    transaction.target = target;
    transaction.queuedUpTo = target.queuedTotal;
    this.open(transaction);
  }

  /** Puts a transaction behind all others of its target, to be looked at again at `deadlineMs`. */
  postpone(transaction: Transaction, deadlineMs: number): void {
    this.#unlink(transaction);
    transaction.deadlineMs = deadlineMs;
    this.open(transaction);
  }

  #unlink(transaction: Transaction): void {
    const { target, older, newer } = transaction;
    const list = listOf(transaction);
    if (older === undefined) list.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) list.newest = older;
    else newer.older = older;
    transaction.older = transaction.newer = undefined;
    list.count--;
    if (list === target.awaited) this.count--;
  }
}

/** A SEND that only bad news come back for is owed nothing: its sender goes on, whether or not anything comes. */
function listOf({ target, isSend, timed }: Transaction): TransactionList {
  return isSend && !timed ? target.unanswered : target.awaited;
}

/** SENDs with Failure-Report `partial` of which a late refusal is still told: the latest of each target. */
const UNANSWERED_PER_TARGET = 1024;
