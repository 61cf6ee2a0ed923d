import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { CliError, EXIT } from './exit.ts';

/** Reads a capture from a file, or from standard input for `-`. */
export async function readCapture(file: string): Promise<Buffer> {
  if (file === '-' && process.stdin.isTTY)
    throw new CliError('name a file, or pipe a capture into standard input', EXIT.USAGE);
  try {
    // As a stream: a pipe that is not blocking fails when it is read at once.
    return file === '-' ? await buffer(process.stdin) : await readFile(file);
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), EXIT.USAGE);
  }
}
