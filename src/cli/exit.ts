/** Exit codes (docs/errors.md): 2 for usage and configuration, 1 for what goes wrong while running. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 2 } as const;

/** Ends the command with one line on stderr. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.FAILED) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}
