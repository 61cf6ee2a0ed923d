import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { NativeFramer } from '../../src/frame/native-framer.ts';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import type { DecoderOptions } from '../../src/syntax/decoder.ts';
import { theAddon } from '../addon/native.ts';
import { tempFolder } from '../listen/fixture.ts';
import { Placed, compare, cutsEverywhere, pieces } from './lockstep.ts';

const addon = theAddon();
const fuzz = fileURLToPath(new URL('../../native/fuzz/', import.meta.url));
const seeds = tempFolder('corpus');
execFileSync(process.execPath, [join(fuzz, 'seed.mjs'), seeds], { env: { ...process.env, NODE_OPTIONS: '' } });
/** What the fuzzer has found on this machine is not committed. */
const found = join(fuzz, 'corpus');

interface Case {
  readonly options: DecoderOptions;
  readonly stream: Buffer;
}

/** Eight bytes of options, then the stream: `Input::parse` of native/fuzz/src/lib.rs. */
function withOptions(input: Buffer): Case | undefined {
  if (input.length < 8) return undefined;
  const [bits = 0, line = 0, lines = 0, header = 0, body = 0, after = 0] = input;
  const limit = (chosen: number, byDefault: number, unit: number): number =>
    chosen === 0 ? byDefault : (chosen - 1) * unit;
  const options = {
    strict: (bits & 1) !== 0,
    pathUris: (bits >> 1) & 31,
    limits: {
      lineBytes: limit(line, 8192, 8),
      headerLines: limit(lines, 64, 1),
      headerBytes: limit(header, 65536, 16),
      nonSendBodyBytes: limit(body, 10240, 4),
    },
    streamAfterBytes: after === 255 ? Infinity : limit(after, 2048, 4),
  };
  return { options, stream: input.subarray(8) };
}

/** A frame with what was found of one value. */
function around(before: string, value: Buffer, behind: string): Case {
  const end = '-------abcd$\r\n';
  return {
    options: { pathUris: 16 },
    stream: Buffer.concat([Buffer.from(`MSRP abcd SEND\r\n${before}`), value, Buffer.from(`\r\n${behind}${end}`)]),
  };
}

const FROM = 'From-Path: msrp://b:1/y;tcp\r\n';
const TARGETS: Readonly<Record<string, (input: Buffer) => Case | undefined>> = {
  frame: withOptions,
  split: withOptions,
  rewrite: (input) => ({ options: { pathUris: 0 }, stream: input.subarray(3) }),
  uri: (input) => around('To-Path: ', input.subarray(0, Math.max(0, input.indexOf(10))), FROM),
  byte_range: (input) => around(`To-Path: msrp://a:1/x;tcp\r\n${FROM}Byte-Range: `, input, ''),
};

describe('what the fuzzer begins with, both decoders take alike', () => compareAll(seeds));

if (existsSync(found)) describe('what the fuzzer has found here, both decoders take alike', () => compareAll(found));

function compareAll(corpus: string): void {
  for (const [target, read] of Object.entries(TARGETS)) {
    it(target, (context) => {
      const names = readdirSync(join(corpus, target));
      for (const name of names) {
        const input = read(readFileSync(join(corpus, target, name)));
        if (input === undefined || input.stream.length === 0) continue;
        const { options, stream } = input;
        const placed = new Placed(stream);
        for (const edges of [[stream.length], cutsEverywhere(stream.length), pieces(stream.length, stream.length)]) {
          try {
            compare(new TsDecoder(options), new NativeFramer(addon.Framer, options), placed, edges);
          } catch (error) {
            throw new Error(`corpus/${target}/${name}`, { cause: error });
          }
        }
      }
      context.diagnostic(`${names.length} inputs`);
      assert.ok(names.length >= 10);
    });
  }
}
