import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { CLOSE_REASONS } from '../src/engine/engine.ts';
import { ERRORS } from '../src/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

describe('documentation', () => {
  it('docs/errors.md has a row for each code, with how it ends, and for each close reason', () => {
    const rows = new Map(
      Array.from(read('docs/errors.md').matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm), ([, code, end]) => [
        code,
        end?.trim(),
      ]),
    );
    for (const [code, row] of Object.entries(ERRORS)) {
      const end = row.ends === 'status' ? String(row.status) : row.ends;
      assert.ok(rows.get(code)?.startsWith(end), `${code}: ${rows.get(code)}`);
      rows.delete(code);
    }
    for (const reason of CLOSE_REASONS) assert.ok(rows.delete(reason), reason);
    assert.deepEqual([...rows.keys()], []);
  });

  it('links lead somewhere', () => {
    const pages = [
      'README.md',
      'CONTRIBUTING.md',
      ...(readdirSync(join(root, 'docs'), { recursive: true }) as string[])
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ];
    let links = 0;
    for (const page of pages) {
      for (const [, target] of read(page).matchAll(/\]\(([^)#]+)\)/g)) {
        if (/^https?:/.test(target!)) continue;
        links++;
        assert.ok(existsSync(join(root, dirname(page), target!)), `${page}: ${target}`);
      }
    }
    assert.ok(links >= 5);
  });

  it('files that the architecture page names exist', () => {
    const names = Array.from(
      read('docs/ARCHITECTURE.md').matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g),
      ([, name]) => name!,
    );
    for (const name of names) assert.ok(existsSync(join(root, name)), name);
    assert.ok(names.length >= 5, `${names.length}`);
  });
});
