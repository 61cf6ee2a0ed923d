import type { MsrpError } from '../errors.ts';
import { OctetRanges } from './octet-ranges.ts';

/** A message under way: what its sender waits for. */
export class Outgoing {
  /** Why it has failed; the first reason stays. */
  failed: MsrpError | undefined;
  /** A REPORT of success has come, and which octets such REPORTs cover. */
  reported = false;
  readonly confirmed = new OctetRanges(MAX_REPORTED_PIECES);
  /** Chunks whose response must still come. */
  unanswered = 0;
  /** Octets of chunks that were answered with success. */
  accepted = 0;
  /** Octets that were handed to the connection. */
  handedOver = 0;
  /** A chunk was handed over; the last one was. */
  begun = false;
  ended = false;
  /** Its promise is settled: what comes now comes late. */
  settled = false;
  readonly #watchers = new Set<() => void>();

  fail(error: MsrpError): void {
    this.failed ??= error;
    this.wake();
  }

  /** Something has changed. */
  wake(): void {
    for (const watcher of Array.from(this.#watchers)) watcher();
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const watcher = (): void => {
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  /** What `step` comes to; undefined as soon as the message has failed, however long `step` takes. */
  unlessFailed<T>(step: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (this.failed === undefined) return;
        this.#watchers.delete(watcher);
        resolve(undefined);
      };
      this.#watchers.add(watcher);
      step.then(resolve, reject).finally(() => this.#watchers.delete(watcher));
      watcher();
    });
  }
}

const MAX_REPORTED_PIECES = 4096;
