import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './base.ts';

/** A copy of the crates as they are here, whose search for the end-line looks at some bytes once more. */
export interface SlowCore {
  readonly folder: string;
  /** Removes the folder. */
  readonly remove: () => void;
}

/** Makes the copy. Throws when there is nothing left in the source that could be made slow in this way. */
export function slowCore(): SlowCore {
  const folder = mkdtempSync(join(tmpdir(), 'msrpd-slow-'));
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
  for (const file of files) {
    if (!/^Cargo\.|^rust-toolchain|^native\/|^bench\/[^/]+\/(Cargo\.toml|src\/)/.test(file)) continue;
    // What was removed here is still known to git.
    if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file));
  }
  const path = join(folder, 'native', 'core', 'src', 'frame', 'end_line.rs');
  const source = readFileSync(path, 'utf8');
  const slow = source.replace(
    /fn find_end_line\((\w+): &\[u8\][^{]*\{/,
    (start, bytes: string) =>
      `${start} core::hint::black_box(${bytes}.iter().rev().take(64).filter(|byte| **byte == b'-').count());`,
  );
  if (slow === source) throw new Error('there is no find_end_line in the core that could be made slow');
  writeFileSync(path, slow);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
