import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { within } from '../engine/harness.ts';

/** The compiled program. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** The exit code; its deadline counts from when one asks. */
  readonly exit: Promise<number | null>;
  /** Waits for a pattern on stdout. */
  readonly says: (pattern: RegExp) => Promise<RegExpExecArray>;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  /** Another program than that of this checkout. */
  readonly program?: string;
}

/** Runs msrpd in a folder, as a user does. */
export class Shell {
  readonly folder: string;
  readonly #children = new Set<ChildProcess>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Ends what is still running. */
  end(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    // The compiled program, as it is installed: no loader of the tests.
    const env = { ...process.env, NODE_OPTIONS: '', ...options.env };
    const child = spawn(process.execPath, [options.program ?? main, ...args], { cwd: this.folder, env });
    this.#children.add(child);
    let out = '';
    let err = '';
    let wake: () => void = () => undefined;
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      wake();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
      wake();
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const closed = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    void closed.then(() => this.#children.delete(child));
    const what = `the end of ${args.join(' ')}`;
    const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
      const wait = async (): Promise<RegExpExecArray> => {
        for (;;) {
          const found = pattern.exec(`${out}\n${err}`);
          if (found !== null) return found;
          if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${out}${err}`);
          await new Promise<void>((resolve) => {
            wake = resolve;
            child.once('close', () => resolve());
          });
        }
      };
      return within(String(pattern), wait());
    };
    return {
      child,
      out: () => out,
      err: () => err,
      get exit() {
        return within(what, closed);
      },
      says,
    };
  }

  async run(
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<{ code: number | null; out: string; err: string }> {
    const running = this.start(args, options);
    const code = await running.exit;
    return { code, out: running.out(), err: running.err() };
  }
}
