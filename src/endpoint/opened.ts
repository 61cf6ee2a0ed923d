import { MsrpError } from '../errors.ts';
import type { EndpointEnvironment } from './environment.ts';
import type { OpenOptions } from './transport.ts';

/** A connection that is being made. */
interface Opening {
  onOpen(done: () => void): void;
  onError(failed: (error: Error) => void): void;
  destroy(): void;
}

/** Waits until it is open. Rejects with `E_CONNECT` when it fails or takes too long, with `E_ABORTED` when the signal says so. */
export function opened(
  where: string,
  environment: EndpointEnvironment,
  { signal, timeoutMs }: OpenOptions,
  opening: Opening,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const over = (): boolean => {
      if (isOver) return false;
      isOver = true;
      cancel();
      signal?.removeEventListener('abort', aborted);
      return true;
    };
    const giveUp = (error: MsrpError): void => {
      if (!over()) return;
      opening.destroy();
      reject(error);
    };
    const failed = (error: Error): void =>
      giveUp(new MsrpError('E_CONNECT', `${where}: ${error.message}`, { cause: error }));
    const aborted = (): void => giveUp(new MsrpError('E_ABORTED'));
    const cancel = environment.setTimer(timeoutMs, () => failed(new Error(`no answer within ${timeoutMs} ms`)));
    signal?.addEventListener('abort', aborted, { once: true });
    opening.onError(failed);
    opening.onOpen(() => {
      if (over()) resolve();
    });
  });
}
