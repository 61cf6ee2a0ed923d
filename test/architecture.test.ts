import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { ERRORS } from '../src/errors.ts';

const src = fileURLToPath(new URL('../src', import.meta.url));
const files = (readdirSync(src, { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'));

/** Which folders a folder may import from: only down. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  log: [],
  frame: ['errors'],
  syntax: ['frame', 'errors'],
  addon: ['syntax', 'frame', 'errors'],
  parse: ['addon', 'syntax', 'frame', 'errors'],
  measure: ['addon', 'syntax', 'frame', 'errors'],
  engine: ['addon', 'syntax', 'frame', 'errors'],
  tls: ['engine', 'errors'],
  relay: ['engine', 'syntax', 'log', 'errors'],
  endpoint: ['syntax', 'frame', 'log', 'errors'],
  ws: ['relay', 'engine', 'frame', 'log', 'errors'],
  trace: ['engine', 'errors'],
  metrics: ['engine'],
  control: ['engine', 'log', 'errors'],
  config: ['ws', 'relay', 'control', 'trace', 'tls', 'engine', 'syntax', 'errors'],
  listen: ['config', 'ws', 'control', 'metrics', 'trace', 'relay', 'tls', 'engine', 'syntax', 'log', 'errors'],
  cli: ['listen', 'config', 'control', 'tls', 'endpoint', 'measure', 'parse', 'addon', 'syntax', 'log', 'errors'],
  browser: ['endpoint', 'syntax', 'errors'],
  index: ['listen', 'config', 'relay', 'endpoint', 'parse', 'syntax', 'errors'],
};

/** What the folders without I/O may take from the platform. */
const PURE: Readonly<Record<string, readonly string[]>> = { frame: [], syntax: ['node:net', 'node:crypto'] };

/** What is loaded where it is needed first, by code that cannot wait for an import. */
const LAZY: Readonly<Record<string, string>> = { 'tls/asn1.ts': "require('node-forge/lib/asn1')" };

function folderOf(file: string): string {
  const [first] = file.split('/') as [string];
  return first.replace(/\.ts$/, '');
}

function importsOf(file: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(join(src, file), 'utf8');
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?[^'";]*?from\s+'([^']+)'|import\s+'([^']+)'|import\(\s*'([^']+)'/g;
  return Array.from(text.matchAll(pattern), ([, , type, from, bare, dynamic]) => ({
    specifier: (from ?? bare ?? dynamic) as string,
    typeOnly: type !== undefined,
  }));
}

describe('the house', () => {
  it('has been seen', () => {
    assert.ok(files.length >= 60, `${files.length} files`);
    let imports = 0;
    for (const file of files) imports += importsOf(file).length;
    assert.ok(imports > 200, `${imports} imports`);
  });

  it('imports go down only', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const from = folderOf(file);
      assert.ok(from in ALLOWED, `${file}: an unknown folder`);
      for (const { specifier } of importsOf(file)) {
        if (!specifier.startsWith('.')) continue;
        assert.ok(specifier.endsWith('.ts') || specifier.endsWith('.json'), `${file}: ${specifier}`);
        const to = folderOf(relative(src, normalize(join(src, dirname(file), specifier))));
        if (to !== from && !(ALLOWED[from] as readonly string[]).includes(to)) wrong.push(`${file} imports ${to}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('frame and syntax see no socket, no clock and no environment', () => {
    for (const file of files) {
      const pure = PURE[folderOf(file)];
      if (pure === undefined) continue;
      for (const { specifier } of importsOf(file)) {
        if (!specifier.startsWith('.')) assert.ok(pure.includes(specifier), `${file} imports ${specifier}`);
      }
      const text = readFileSync(join(src, file), 'utf8');
      assert.doesNotMatch(text, /\b(Date|performance|process|setTimeout|setInterval|Math\.random)\b/, file);
      assert.doesNotMatch(text, /\bimport \{[^}]*(createServer|connect|Socket)\b[^}]*\} from 'node:net'/, file);
    }
  });

  it('sockets are known to three files of the engine only', () => {
    for (const file of files.filter((name) => name.startsWith('engine/'))) {
      const sockets = importsOf(file).some(
        ({ specifier, typeOnly }) => /^node:(net|tls)$/.test(specifier) && !typeOnly,
      );
      if (sockets)
        assert.ok(
          ['listener', 'dial', 'tls'].some((name) => file === `engine/ts/${name}.ts`),
          file,
        );
    }
    const contract = readFileSync(join(src, 'engine/engine.ts'), 'utf8');
    assert.deepEqual(importsOf('engine/engine.ts'), []);
    assert.doesNotMatch(contract, /\bBuffer\b|\bReadable\b|\bDuplex\b/);
  });

  it('the process ends in cli/ only; one file loads a .node file', () => {
    for (const file of files) {
      const text = readFileSync(join(src, file), 'utf8');
      if (folderOf(file) !== 'cli') assert.doesNotMatch(text, /process\.exit\b/, file);
      const lazy = LAZY[file];
      assert.equal(/\bcreateRequire\b|\bdlopen\b/.test(text), file === 'addon/load.ts' || lazy !== undefined, file);
      if (folderOf(file) === 'addon') continue;
      // It is there: an exception that nobody needs any more is none.
      if (lazy !== undefined) assert.ok(text.includes(lazy), `${file}: ${lazy}`);
      assert.doesNotMatch(lazy === undefined ? text : text.replace(lazy, ''), /require\(|\.node['"`]/, file);
    }
  });

  it('no file is longer than 600 lines, and none has a name that says nothing', () => {
    for (const file of files) {
      assert.ok(readFileSync(join(src, file), 'utf8').split('\n').length <= 600, file);
      assert.doesNotMatch(file, /util|helper|manager|common|misc/i);
    }
  });

  it('the table of errors: one text each, a status where it ends in one', () => {
    const texts = Object.values(ERRORS).map(({ text }) => text);
    assert.equal(new Set(texts).size, texts.length);
    for (const [code, row] of Object.entries(ERRORS))
      assert.equal(row.ends === 'status', row.status !== undefined, code);
  });
});
