import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NativeFramer, SCAN_ERROR } from '../../src/frame/native-framer.ts';
import type { AddonFramer, AddonScan } from '../../src/frame/native-framer.ts';
import { R, RECORD_WORDS } from '../../src/frame/record.ts';
import { collectGarbage } from '../engine/harness.ts';
import { theAddon } from './native.ts';

const addon = theAddon();
const SETTINGS = {
  strict: false,
  lineBytes: 8192,
  headerLines: 64,
  headerBytes: 65536,
  nonSendBodyBytes: 10240,
  streamAfterBytes: 2048,
  pathUris: 16,
};
const FRAME = Buffer.from(
  'MSRP abcd 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n-------abcd$\r\n',
);
const ONE_WHOLE = FRAME.length + 2 ** 32 * 4;

const make = (): AddonFramer => new addon.Framer(SETTINGS);
const words = (records = 2): Uint32Array => new Uint32Array(records * RECORD_WORDS);
/** Calls with what TypeScript would not let through. */
const call = (scan: AddonScan, ...args: readonly unknown[]): unknown =>
  (scan as (...args: readonly unknown[]) => unknown)(...args);

describe('the addon, whatever it is called with', () => {
  it('frames in what it is given, and only there', () => {
    const scan = make().scanInto(words());
    assert.equal(scan(FRAME, 0, FRAME.length), ONE_WHOLE);
    const inside = Buffer.concat([Buffer.from('xx'), FRAME, Buffer.from('yy')]).subarray(2, -2);
    assert.equal(scan(inside, 0, inside.length), ONE_WHOLE);
    const part = words(4).subarray(RECORD_WORDS, 2 * RECORD_WORDS);
    assert.equal(make().scanInto(part)(FRAME, 0, FRAME.length), ONE_WHOLE);
    assert.equal(part[R.END], FRAME.length);
    const around = new Uint32Array(part.buffer);
    assert.ok(around.every((word, i) => (i >= RECORD_WORDS && i < 2 * RECORD_WORDS) || word === 0));
  });

  it('bounds beyond the bytes, or the wrong way round', () => {
    const scan = make().scanInto(words());
    const { length } = FRAME;
    for (const [from, to] of [
      [1, 0],
      [0, length + 1],
      [length + 1, length + 1],
      [0, 2 ** 32 - 1],
      [2 ** 32 - 1, 2 ** 32 - 1],
      [0, -1],
      [-1, -1],
      [-5, length],
    ] as const) {
      assert.equal(scan(FRAME, from, to), SCAN_ERROR.RANGE, `${from} ${to}`);
    }
    // Numbers are taken as JavaScript takes those of 32 bits: not a number is 0, infinity too, parts are cut off.
    for (const [from, to] of [
      [Number.NaN, Number.NaN],
      [0, Infinity],
      [0.9, 0.9],
      [2 ** 32, 0],
    ] as const) {
      assert.equal(scan(FRAME, from, to), 0, `${from} ${to}`);
    }
    assert.equal(scan(FRAME, 0, length), ONE_WHOLE, 'a scan that was refused has done nothing');
  });

  it('arguments of another kind', () => {
    const scan = make().scanInto(words());
    const { length } = FRAME;
    for (const bytes of [
      undefined,
      null,
      7,
      'MSRP',
      {},
      [],
      FRAME.buffer,
      new Uint16Array(length),
      new Float64Array(length),
      new DataView(new ArrayBuffer(length)),
      new Uint8ClampedArray(length),
      new Proxy(FRAME, {}),
    ]) {
      assert.equal(call(scan, bytes, 0, length), SCAN_ERROR.ARGUMENT);
    }
    for (const number of [undefined, null, '0', {}, { valueOf: () => assert.fail('called back') }, 1n, Symbol('x')]) {
      assert.equal(call(scan, FRAME, number, length), SCAN_ERROR.ARGUMENT);
      assert.equal(call(scan, FRAME, 0, number), SCAN_ERROR.ARGUMENT);
    }
    assert.equal(call(scan), SCAN_ERROR.ARGUMENT);
    assert.equal(call(scan, FRAME, 0, length, 'and', 'more'), ONE_WHOLE);
    assert.equal(call(scan.bind({}), FRAME, 0, length), ONE_WHOLE, 'whatever this is');
  });

  it('memory that other threads may write to', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(FRAME.length));
    shared.set(FRAME);
    assert.equal(make().scanInto(words())(shared, 0, shared.length), SCAN_ERROR.ARGUMENT);
    assert.throws(() => make().scanInto(new Uint32Array(new SharedArrayBuffer(4 * RECORD_WORDS))), /Uint32Array/);
  });

  it('records that are none', () => {
    for (const records of [
      undefined,
      null,
      1,
      'x',
      {},
      [],
      new Int32Array(99),
      new Uint8Array(999),
      new ArrayBuffer(999),
    ]) {
      assert.throws(() => make().scanInto(records as Uint32Array), /Uint32Array/);
    }
  });

  it('records that have no room are left alone', () => {
    for (const length of [0, 1, RECORD_WORDS - 1]) {
      const records = new Uint32Array(length);
      assert.equal(make().scanInto(records)(FRAME, 0, FRAME.length), 0);
      assert.ok(records.every((word) => word === 0));
    }
  });

  it('detached buffers', () => {
    const bytes = new Uint8Array(FRAME);
    const records = words();
    const scan = make().scanInto(records);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.equal(scan(bytes, 0, FRAME.length), SCAN_ERROR.RANGE);
    assert.equal(scan(bytes, 0, 0), 0);
    structuredClone(records.buffer, { transfer: [records.buffer] });
    assert.equal(scan(FRAME, 0, FRAME.length), SCAN_ERROR.RECORDS);
    assert.equal(make().scanInto(records)(FRAME, 0, FRAME.length), 0, 'no room, when it was detached before');
  });

  it('buffers that shrink', () => {
    type Resizable = ArrayBuffer & { resize(length: number): void };
    const Buffers = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => Resizable;
    const buffer = new Buffers(8 * RECORD_WORDS, { maxByteLength: 1 << 20 });
    const scan = make().scanInto(new Uint32Array(buffer, 0, 2 * RECORD_WORDS));
    assert.equal(scan(FRAME, 0, FRAME.length), ONE_WHOLE);
    buffer.resize(8);
    assert.equal(scan(FRAME, 0, FRAME.length), SCAN_ERROR.RECORDS);
    buffer.resize(1 << 20);
    assert.equal(scan(FRAME, 0, FRAME.length), ONE_WHOLE);
    const input = new Buffers(FRAME.length, { maxByteLength: 1 << 20 });
    const bytes = new Uint8Array(input);
    bytes.set(FRAME);
    assert.equal(scan(bytes, 0, FRAME.length), ONE_WHOLE);
    input.resize(5);
    assert.equal(scan(bytes, 0, FRAME.length), SCAN_ERROR.RANGE);
  });

  it('bytes and records in the same memory', () => {
    const buffer = new ArrayBuffer(8192);
    const records = new Uint32Array(buffer, 4096, 2 * RECORD_WORDS);
    const scan = make().scanInto(records);
    const end = 4096 + records.byteLength;
    for (const [at, length] of [
      [0, 8192],
      [4096, 10],
      [4095, 2],
      [end - 1, 2],
      [4200, 1],
    ] as const) {
      assert.equal(scan(new Uint8Array(buffer, at, length), 0, 0), SCAN_ERROR.RECORDS, `${at}`);
    }
    new Uint8Array(buffer).set(FRAME);
    assert.equal(scan(new Uint8Array(buffer, 0, 4096), 0, FRAME.length), ONE_WHOLE);
    assert.equal(scan(new Uint8Array(buffer, end, 10), 0, 0), 0);
  });

  it('settings of another kind throw, wild numbers are bounds', () => {
    const Framer = addon.Framer as unknown as new (settings?: unknown) => AddonFramer;
    for (const settings of [undefined, null, 1, {}, { ...SETTINGS, lineBytes: 'x' }, { ...SETTINGS, strict: 1 }])
      assert.throws(() => new Framer(settings));
    for (const wild of [Number.NaN, -1, -Infinity, Infinity, 2 ** 60, 0.5]) {
      const settings = Object.fromEntries(Object.keys(SETTINGS).map((key) => [key, wild]));
      assert.doesNotThrow(() => new Framer({ ...settings, strict: true }).scanInto(words())(FRAME, 0, FRAME.length));
    }
    assert.throws(() => (addon.Framer as unknown as () => void)());
    assert.throws(() => make().scanInto.call({} as AddonFramer, words()));
  });

  it('two functions of one framer, each with its own records; forgotten paths', () => {
    const framer = make();
    const [one, other] = [words(), words()];
    const [scanOne, scanOther] = [framer.scanInto(one), framer.scanInto(other)];
    scanOne(FRAME, 0, FRAME.length);
    scanOther(FRAME, 0, FRAME.length);
    framer.forget();
    const third = words();
    framer.scanInto(third)(FRAME, 0, FRAME.length);
    assert.notEqual(one[R.BITS], other[R.BITS], 'the paths were known');
    assert.equal(third[R.BITS], one[R.BITS], 'and are not any more');
  });

  it('the wrapper throws what the addon refuses, and binds records anew when they change', () => {
    const framer = new NativeFramer(addon.Framer, { pathUris: 16 });
    assert.throws(() => framer.scan(FRAME, 1, 0, words()), RangeError);
    assert.throws(() => framer.scan('x' as unknown as Buffer, 0, 0, words()), /ARGUMENT/);
    const [one, other] = [words(), words()];
    for (const records of [one, other, one]) assert.equal(framer.scan(FRAME, 0, FRAME.length, records), 1);
    assert.equal(framer.consumed, FRAME.length);
    assert.equal(other[R.END], FRAME.length);
  });

  it('what is no longer used is freed', async () => {
    const held = (): number => process.memoryUsage().arrayBuffers;
    const before = held();
    // 20,000 arrays of 13 KB: 266 MB.
    for (let i = 0; i < 20_000; i++) make().scanInto(words(64));
    // A function is found to be unused, then its framer lets go of the records, then these are found to be unused.
    for (let round = 0; round < 20 && held() - before > 10_000_000; round++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(held() - before <= 10_000_000, `${before} → ${held()}`);
  });
});
