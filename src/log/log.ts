import { destination as openDestination, pino, stdTimeFunctions } from 'pino';
import type { Logger } from 'pino';

/** A log that can follow a rotated file. */
export interface Log {
  readonly logger: Logger;
  /** Opens a file again, after it was moved away. */
  reopen(): void;
  /** Writes what is buffered, before the process ends. */
  flush(): void;
}

/** Makes the log: pino, one JSON object a line, to `stdout`, `stderr` or a file. Throws when the file cannot be opened. */
export function createLog(options: { readonly level: string; readonly destination: string }): Log {
  const { level, destination } = options;
  const isFile = destination !== 'stdout' && destination !== 'stderr';
  const target = openDestination({
    dest: isFile ? destination : destination === 'stdout' ? 1 : 2,
    sync: true,
    mkdir: isFile,
  });
  const logger = pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime, redact: { paths: SECRETS, censor: '…' } },
    target,
  );
  return {
    logger,
    reopen() {
      if (isFile) target.reopen();
    },
    flush() {
      target.flushSync();
    },
  };
}

/** Fields that no line has, should one ever be handed over by mistake. */
const SECRETS = [
  'password',
  'ha1',
  'nonce',
  'response',
  'authorization',
  'body',
  '*.password',
  '*.ha1',
  '*.nonce',
  '*.authorization',
];
