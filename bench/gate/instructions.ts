import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './base.ts';
import type { Counts } from './verdict.ts';

/** The program that is counted: native/core/examples/instructions.rs. */
const PROGRAM = 'instructions';
const SOURCE = join('native', 'core', 'examples', `${PROGRAM}.rs`);

/** Frames of one round of the program. */
const FRAMES = 64;
/** Rounds of the two runs of a case. */
const ROUNDS = [50, 150] as const;

/**
 * Builds the program of this checkout against the crate in `folder`; returns where it lies. Throws when it cannot be compiled,
 * with the first error.
 */
export function buildProgram(folder: string, name: string): string {
  const source = join(folder, SOURCE);
  if (folder !== root) {
    mkdirSync(dirname(source), { recursive: true });
    copyFileSync(join(root, SOURCE), source);
  }
  const target = join(targetFolder(), `instructions-${name}`);
  const args = ['build', '--release', '--package', 'msrp-core', '--example', PROGRAM, '--target-dir', target];
  const { status, stderr, error } = spawnSync('cargo', args, { cwd: folder, encoding: 'utf8' });
  if (error !== undefined) throw new Error(`cargo: ${error.message}`);
  if (status !== 0) throw new Error(/^error.*$/m.exec(stderr)?.[0] ?? `cargo has ended with ${status}`);
  return join(target, 'release', 'examples', PROGRAM);
}

/** Throws where nothing can be counted. */
export function needValgrind(): void {
  run('valgrind', ['--version']);
}

/** Instructions of one frame in each case of the program. */
export function count(program: string): Counts {
  const names = run(program, []).stdout.trim().split('\n');
  return new Map(
    names.map((name) => {
      const [few, many] = ROUNDS.map((rounds) => instructions(program, [name, String(rounds)]));
      return [name, ((many as number) - (few as number)) / ((ROUNDS[1] - ROUNDS[0]) * FRAMES)];
    }),
  );
}

/** Instructions of a whole run. */
function instructions(program: string, args: readonly string[]): number {
  const { stderr } = run('valgrind', ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, ...args]);
  const counted = Number(/Collected *: *(\d+)/.exec(stderr)?.[1]);
  if (!(counted > 0)) throw new Error(`callgrind has counted nothing: ${stderr}`);
  return counted;
}

function run(command: string, args: readonly string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`cannot run ${command} (is it installed?): ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return { stdout, stderr };
}

function targetFolder(): string {
  const { stdout } = run('cargo', [
    'metadata',
    '--no-deps',
    '--format-version',
    '1',
    '--manifest-path',
    join(root, 'Cargo.toml'),
  ]);
  return (JSON.parse(stdout) as { target_directory: string }).target_directory;
}
