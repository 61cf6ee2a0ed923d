import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, it } from 'node:test';
import { chooseFramer } from '../../src/addon/choose.ts';
import { ABI_VERSION } from '../../src/addon/contract.ts';
import type { Addon } from '../../src/addon/contract.ts';
import { explain, loadAddon } from '../../src/addon/load.ts';
import { fileName, platformName } from '../../src/addon/platform.ts';
import { chooseEngine } from '../../src/engine/choose.ts';
import { MsrpError } from '../../src/errors.ts';
import { parse } from '../../src/parse/parse.ts';
import type * as generated from '../../native/addon/index.js';
import { theAddon } from './native.ts';

const built = fileURLToPath(new URL(`../../native/addon/${fileName(platformName())}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'msrpd-addon-'));
after(() => {
  delete process.env['MSRPD_ADDON'];
  rmSync(folder, { recursive: true });
});

/** What the loader says of a file. */
function failureOf(file: string): string {
  process.env['MSRPD_ADDON'] = file;
  const result = loadAddon();
  assert.ok('failures' in result, 'it has loaded');
  return explain(result.failures);
}

function file(name: string, content?: string | Buffer, sum?: string): string {
  const path = join(folder, name);
  if (content === undefined) copyFileSync(built, path);
  else writeFileSync(path, content);
  if (sum !== undefined) writeFileSync(`${path}.sha256`, sum);
  return path;
}

/** The addon that was built, but for one thing. */
function wrapped(name: string, change: string): string {
  return file(name, `module.exports = { ...require(${JSON.stringify(built)}) };\n${change}`);
}

const PLAIN = { workers: 1 };

const goodSum = readFileSync(`${built}.sha256`, 'utf8');

describe('loading the addon', () => {
  it('the one that was built: ABI, version of the package', () => {
    const addon: Addon = theAddon();
    assert.equal(addon.abiVersion(), ABI_VERSION);
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.equal(addon.version(), version);
    // What is generated from the source of the addon fits what is loaded: a matter of the compiler.
    const fits = (exported: typeof generated): Addon => exported;
    assert.equal(fits.length, 1);
  });

  const cases: readonly [what: string, make: () => string, says: RegExp][] = [
    ['no file', () => join(folder, 'none.node'), /none\.node: no such file$/],
    ['no module', () => join(folder, 'none.cjs'), /none\.cjs: is not installed: Cannot find module/],
    ['no checksum', () => file('bare.node'), /cannot be checked: ENOENT/],
    ['cut short', cutShort, /cut\.node: is damaged: its checksum is [0-9a-f]{64}, expected [0-9a-f]{64}$/],
    ['one bit is wrong', flipped, /flipped\.node: is damaged/],
    ['garbage', () => file('garbage.node', 'garbage', goodSum), /garbage\.node: is damaged/],
    [
      'garbage with its own checksum',
      garbage,
      /rubbish\.node: cannot be loaded: .*(invalid ELF header|file too short|slice)/,
    ],
    ['another module', () => file('other.cjs', 'module.exports = {}'), /is not the addon of msrpd$/],
    ['a module that throws', () => file('throws.cjs', 'throw new Error("no\\nluck")'), /cannot be loaded: no$/],
    [
      'another ABI',
      () => wrapped('abi.cjs', 'module.exports.abiVersion = () => 99;'),
      /has ABI version 99, and this version of msrpd needs \d+$/,
    ],
    [
      'no framer',
      () => wrapped('less.cjs', 'delete module.exports.Framer;'),
      /has failed its self-test: .*not a constructor$/,
    ],
    [
      'no engine',
      () => wrapped('bare.cjs', 'delete module.exports.EngineHandle;'),
      /has failed its self-test: .*not a constructor$/,
    ],
    ['a framer that errs', () => wrapped('errs.cjs', ERRS), /has failed its self-test: word 19 is 5 instead of 0$/],
    ['a framer that finds nothing', () => wrapped('blind.cjs', BLIND), /self-test: 0 records instead of 2$/],
  ];
  for (const [what, make, says] of cases) {
    it(`${what}: auto runs on TypeScript and says why, native throws the whole chain`, () => {
      assert.match(failureOf(make()), says);
      const { kind, framer, reason } = chooseEngine('auto', undefined, PLAIN);
      assert.deepEqual([kind, framer], ['ts', 'ts']);
      assert.match(reason, /^the configuration says auto; no addon: /);
      assert.ok(reason.includes(process.env['MSRPD_ADDON']!));
      for (const choose of [
        () => chooseFramer('native'),
        () => chooseEngine('native', undefined, PLAIN),
        () => chooseEngine('ts', 'native', PLAIN),
        () => parse(Buffer.alloc(0), { engine: 'native' }),
      ]) {
        assert.throws(choose, (error) => {
          assert.ok(error instanceof MsrpError && error.code === 'E_ADDON' && error.cause instanceof Error);
          assert.match(error.message, says);
          return true;
        });
      }
      assert.equal([...parse(Buffer.from('MSRP'))].length, 1);
    });
  }

  it('whatever happens is not tried again', () => {
    const path = file('late.cjs', 'module.exports = {}');
    const first = failureOf(path);
    wrapped('late.cjs', '');
    assert.equal(failureOf(path), first);
  });

  it('what was asked for, and what it became, is told', () => {
    process.env['MSRPD_ADDON'] = '';
    for (const [configured, override, kind, framer, reason] of [
      ['auto', undefined, 'native', 'native', /^the configuration says auto; addon \d.* from /],
      ['auto', '', 'native', 'native', /^the configuration says auto/],
      ['ts', undefined, 'ts', 'ts', /^the configuration says ts; /],
      ['ts', 'native', 'native', 'native', /^MSRPD_ENGINE says native; addon/],
      ['native', 'ts', 'ts', 'ts', /^MSRPD_ENGINE says ts; /],
    ] as const) {
      const choice = chooseEngine(configured, override, PLAIN);
      assert.equal(choice.kind, kind);
      assert.equal(choice.framer, framer);
      assert.equal(choice.version === undefined, framer === 'ts');
      assert.match(choice.reason, reason);
    }
    assert.throws(
      () => chooseEngine('auto', 'fast', PLAIN),
      /MSRPD_ENGINE asks for "fast": expected auto, native or ts/,
    );
  });
});

function cutShort(): string {
  const path = file('cut.node', undefined, goodSum);
  truncateSync(path, 100_000);
  return path;
}

function flipped(): string {
  const bytes = readFileSync(built);
  bytes[bytes.length >> 1]! ^= 1;
  return file('flipped.node', bytes, goodSum);
}

function garbage(): string {
  const sum = createHash('sha256').update('garbage').digest('hex');
  return file('rubbish.node', 'garbage', `${sum}\n`);
}

const ERRS = `
const { Framer } = module.exports;
module.exports.Framer = class {
  constructor(settings) { this.framer = new Framer(settings); }
  scanInto(records) {
    const scan = this.framer.scanInto(records);
    return (...args) => { const result = scan(...args); records[19] = 5; return result; };
  }
};`;

const BLIND = `
module.exports.Framer = class {
  scanInto() { return () => 0; }
};`;
