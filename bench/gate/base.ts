import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** What HEAD is compared with, in a folder of its own. */
export interface Base {
  readonly commit: string;
  readonly folder: string;
  /** Removes the folder. */
  readonly remove: () => void;
}

/** Checks the base out. Throws when there is none: nothing could be compared. */
export function checkOutBase(): Base {
  const commit = baseOf();
  const parent = mkdtempSync(join(tmpdir(), 'msrpd-base-'));
  const folder = join(parent, 'base');
  git('worktree', 'add', '--quiet', '--detach', folder, commit);
  const remove = (): void => {
    spawnSync('git', ['worktree', 'remove', '--force', folder], { cwd: root });
    rmSync(parent, { recursive: true, force: true });
  };
  return { commit, folder, remove };
}

/**
 * Where HEAD left main, or what MSRPD_BENCH_BASE names. On main itself: the commit before it, or HEAD when there are changes that
 * are not committed.
 */
function baseOf(): string {
  const named = process.env['MSRPD_BENCH_BASE'];
  if (named !== undefined) return git('rev-parse', '--verify', `${named}^{commit}`);
  const head = git('rev-parse', 'HEAD');
  const main = ['main', 'origin/main'].find((name) => knows(name));
  if (main === undefined) throw new Error('there is no base: no branch main here; name one with MSRPD_BENCH_BASE');
  const base = git('merge-base', head, main);
  if (base !== head) return base;
  if (git('status', '--porcelain', '--untracked-files=no') !== '') return head;
  if (!knows('HEAD^')) throw new Error('there is no base: the commit before HEAD is not here (git fetch --unshallow)');
  return git('rev-parse', 'HEAD^');
}

function knows(name: string): boolean {
  return spawnSync('git', ['rev-parse', '--quiet', '--verify', `${name}^{commit}`], { cwd: root }).status === 0;
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

/** Compiles the sources in TypeScript of the base, without its types being checked; returns the folder of the modules. */
export function compileBase({ folder }: Base): string {
  if (!existsSync(join(folder, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', folder, '--noCheck'], { stdio: ['ignore', 'inherit', 'inherit'] });
  return join(folder, 'dist');
}
