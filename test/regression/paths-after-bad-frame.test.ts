import assert from 'node:assert/strict';
import { it } from 'node:test';
import { TsDecoder } from '../../src/syntax/decoder.ts';
import { collect } from '../frame/collect.ts';

// A frame whose paths were not in place spoiled the next one that repeated the paths of the frame before it.
it('a frame without From-Path does not change what is known of the paths of others', () => {
  const good = 'MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n-------abcd$\r\n';
  const bad = 'MSRP abcd SEND\r\nTo-Path: msrp://c:1/x;tcp\r\n-------abcd$\r\n';
  const { frames } = collect(new TsDecoder(), Buffer.from(good + bad + good), []);
  assert.deepEqual(
    frames.map(({ issue }) => issue),
    ['', 'E_PATH_MISSING', ''],
  );
});
