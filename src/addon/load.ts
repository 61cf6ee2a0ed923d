import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { RECORD_WORDS } from '../frame/record.ts';
import { NativeFramer } from '../frame/native-framer.ts';
import { PATH_URIS, TsDecoder } from '../syntax/decoder.ts';
import { ABI_VERSION } from './contract.ts';
import type { Addon } from './contract.ts';
import { fileName, packageName, platformName } from './platform.ts';

/** The addon, or why there is none. */
export type LoadResult =
  /** `from`: package or file that it came from. */
  { readonly addon: Addon; readonly from: string } | { readonly failures: readonly LoadFailure[] };

/** A place where the addon was looked for in vain; what made it fail is the `cause` of the error, and so on. */
export interface LoadFailure {
  readonly place: string;
  readonly error: Error;
}

/**
 * Loads the addon from the first place where it is whole, of our ABI version, and frames as the framer in TypeScript does:
 * the file that MSRPD_ADDON names, and then no other; the package of this platform; the file that was built in the checkout.
 * Never throws.
 */
export function loadAddon(): LoadResult {
  const override = process.env['MSRPD_ADDON'] ?? '';
  let result = loaded.get(override);
  if (result === undefined) loaded.set(override, (result = search(override)));
  return result;
}

/** The whole chain of causes in one line. */
export function explain(failures: readonly LoadFailure[]): string {
  return failures.map(({ place, error }) => `${place}: ${chain(error)}`).join('; ');
}

/** By MSRPD_ADDON. What has failed once is not tried again, as Node does with modules. */
const loaded = new Map<string, LoadResult>();

const require = createRequire(import.meta.url);

function search(override: string): LoadResult {
  const failures: LoadFailure[] = [];
  const platform = platformName();
  const places =
    override === ''
      ? [packageName(platform), fileURLToPath(new URL(`../../native/addon/${fileName(platform)}`, import.meta.url))]
      : [override];
  for (const place of places) {
    try {
      return { addon: loadFrom(place), from: place };
    } catch (error) {
      failures.push({ place, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
  return { failures };
}

function loadFrom(place: string): Addon {
  const file = resolve(place);
  if (file.endsWith('.node')) checkWhole(file);
  let exported: unknown;
  try {
    exported = require(file);
  } catch (error) {
    throw new Error('cannot be loaded', { cause: error });
  }
  const addon = exported as Addon;
  if (typeof addon.abiVersion !== 'function') throw new Error('is not the addon of msrpd');
  const abi = addon.abiVersion();
  if (abi !== ABI_VERSION) throw new Error(`has ABI version ${abi}, and this version of msrpd needs ${ABI_VERSION}`);
  try {
    selfTest(addon);
  } catch (error) {
    throw new Error('has failed its self-test', { cause: error });
  }
  return addon;
}

function resolve(place: string): string {
  if (place.endsWith('.node') && !existsSync(place)) throw new Error('no such file');
  try {
    return require.resolve(place);
  } catch (error) {
    throw new Error('is not installed', { cause: error });
  }
}

/** A file that was cut short would end the process when it is loaded (SIGBUS), so its checksum lies beside it. */
function checkWhole(file: string): void {
  let expected: string;
  try {
    expected = readFileSync(`${file}.sha256`, 'utf8').trim();
  } catch (error) {
    throw new Error('cannot be checked', { cause: error });
  }
  const actual = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (actual !== expected) throw new Error(`is damaged: its checksum is ${actual}, expected ${expected}`);
}

/** What it is for must work before anybody relies on it. */
function selfTest(addon: Addon): void {
  testFramer(addon);
  testEngine(addon);
}

/** A thread starts, answers, and ends. */
function testEngine({ EngineHandle: Handle }: Addon): void {
  const limits = {
    sendTimeoutMs: 0,
    maxMsgChunks: 0,
    tlsHandshakeTimeoutMs: 0,
    maxHandshakes: 0,
    maxConnections: 0,
    maxConnectionsPerIp: 0,
    lineBytes: 0,
    headerBytes: 0,
    headerLines: 0,
    pathUris: 0,
    nonSendBodyBytes: 0,
    messageBytes: 0,
    outboxBytes: 0,
    transactionsPerConnection: 0,
    probationMs: 0,
    idleMs: 0,
    transactionMs: 0,
  };
  const settings = { workers: 1, nowMs: 0, ownClock: false, seed: new Uint8Array(32), ringEvents: 1, limits };
  const handle = new Handle(settings, () => undefined);
  const { connections } = JSON.parse(handle.stats()) as { connections: number };
  handle.stop();
  if (connections !== 0) throw new Error(`${connections} connections instead of none`);
}

/** Frames two requests and the beginning of a third; every word must be as it is in TypeScript. */
function testFramer(addon: Addon): void {
  const expected = new Uint32Array(4 * RECORD_WORDS);
  const actual = new Uint32Array(4 * RECORD_WORDS);
  const ours = new TsDecoder();
  const theirs = new NativeFramer(addon.Framer, { pathUris: PATH_URIS });
  const counts = [ours.scan(SAMPLE, 0, SAMPLE.length, expected), theirs.scan(SAMPLE, 0, SAMPLE.length, actual)];
  if (counts[0] !== counts[1]) throw new Error(`${counts[1]} records instead of ${counts[0]}`);
  const wrong = expected.findIndex((word, i) => actual[i] !== word);
  if (wrong >= 0) throw new Error(`word ${wrong} is ${actual[wrong]} instead of ${expected[wrong]}`);
  if (theirs.consumed !== ours.consumed) throw new Error(`${theirs.consumed} bytes instead of ${ours.consumed}`);
}

const SAMPLE = Buffer.from(
  ['abcd1', 'abcd2']
    .map(
      (tid) =>
        `MSRP ${tid} SEND\r\nTo-Path: msrp://a.example:2855/s1;tcp\r\nFrom-Path: msrps://b.example:2855/s2;tcp\r\n` +
        `Message-ID: m1234\r\nByte-Range: 1-5/5\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------${tid}$\r\n`,
    )
    .join('') + 'MSRP abcd3 SE',
);

/** An error with its causes, one line each on its own. */
function chain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What Node says of a module that is not found goes on with who has asked for it.
  const [line = ''] = error.message.split('\n');
  return error.cause === undefined ? line : `${line}: ${chain(error.cause)}`;
}
