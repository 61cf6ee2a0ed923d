// The addon: built with cargo into native/addon/, and its types.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { has, newest, root } from './prepare.mjs';

const folder = join(root, 'native', 'addon');

/**
 * Builds the addon unless nothing has changed since the last time; needs dist/. Returns undefined, or why there is none: a
 * relay runs without it. Gives up after `limitMs`; 0: never.
 */
export async function buildAddon(limitMs = 0) {
  const { fileName, platformName } = await import(pathToFileURL(join(root, 'dist', 'addon', 'platform.js')).href);
  const file = join(folder, fileName(platformName()));
  const sources = [
    'Cargo.toml',
    'Cargo.lock',
    'rust-toolchain.toml',
    'native/core/Cargo.toml',
    'native/core/src',
    'native/engine/Cargo.toml',
    'native/engine/src',
  ];
  const own = ['native/addon/Cargo.toml', 'native/addon/build.rs', 'native/addon/src'];
  const changed = newest([...sources, ...own].map((name) => join(root, name)));
  if (newest([`${file}.sha256`, file]) > changed) return undefined;
  if (!has('cargo')) return 'the addon is not built, since there is no cargo here';
  console.error('building the addon (once; takes a minute or so) …');
  const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], timeout: limitMs };
  const { status, error } = spawnSync('cargo', ['build', '--release', '--package', 'msrp-addon'], options);
  if (status !== 0) return `the addon could not be built: ${error?.message ?? `cargo has ended with ${status}`}`;
  install(join(targetFolder(), 'release', libraryName()), file);
  return undefined;
}

/** What `index.d.ts` is to be: the types that the macros of napi-rs write down while they expand. */
export function addonTypes() {
  const notes = mkdtempSync(join(tmpdir(), 'msrpd-types-'));
  try {
    // Macros expand only when the crate is compiled, so what cargo has of it goes first.
    cargo(['clean', '--quiet', '--package', 'msrp-addon', '--profile', 'dev']);
    cargo(['check', '--quiet', '--package', 'msrp-addon'], { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: notes });
    const lines = readdirSync(notes).flatMap((name) => readFileSync(join(notes, name), 'utf8').trim().split('\n'));
    return format(lines.map((line) => JSON.parse(line)));
  } finally {
    rmSync(notes, { recursive: true, force: true });
  }
}

/** Where the types are committed. */
export const typesFile = join(folder, 'index.d.ts');

function format(definitions) {
  // A class may have several blocks of methods.
  const members = new Map();
  for (const { kind, name, def } of definitions) {
    if (kind === 'impl') members.set(name, members.has(name) ? `${members.get(name)}\n${def}` : def);
  }
  let text = '/* Made from native/addon/src by `npm run addon:types`. */\n';
  for (const { kind, name, js_doc: doc, def } of definitions) {
    if (kind === 'impl') continue;
    text += `\n${doc}`;
    if (kind === 'fn') text += `export declare ${def}\n`;
    else if (kind === 'interface') text += `export interface ${name} {\n${indent(def)}}\n`;
    else if (kind === 'struct') text += `export declare class ${name} {\n${indent(members.get(name) ?? def)}}\n`;
    else throw new Error(`no rule for the types of a ${kind}`);
  }
  return text;
}

function indent(members) {
  return members
    .replaceAll(' | undefined | null', '')
    .split('\n')
    .map((line) => `  ${line.startsWith(' *') ? line.trimEnd() : line.trim()}\n`)
    .join('');
}

function cargo(args, env = process.env) {
  const { status, stderr } = spawnSync('cargo', args, { cwd: root, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cargo ${args.join(' ')}: ${stderr}`);
}

function targetFolder() {
  const args = ['metadata', '--no-deps', '--format-version', '1', '--offline'];
  const { stdout } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8' });
  return JSON.parse(stdout).target_directory;
}

function libraryName() {
  if (process.platform === 'win32') return 'msrp_addon.dll';
  return process.platform === 'darwin' ? 'libmsrp_addon.dylib' : 'libmsrp_addon.so';
}

/** With its checksum, which the loader asks for. A file that is in use stays whole: the new one takes its name. */
function install(library, file) {
  const fresh = `${file}.new`;
  copyFileSync(library, fresh);
  const sum = createHash('sha256').update(readFileSync(fresh)).digest('hex');
  renameSync(fresh, file);
  writeFileSync(`${file}.sha256`, `${sum}\n`);
}
