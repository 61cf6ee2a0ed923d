// Writes the first inputs of every fuzz target to corpus/, or to another folder, from the vectors:
// `node native/fuzz/seed.mjs [FOLDER]`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const corpus = process.argv[2] ?? fileURLToPath(new URL('corpus', import.meta.url));

const vectors = readFileSync(new URL('../../test/vectors/frames.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .map(({ input, inputHex }) => (inputHex === undefined ? Buffer.from(input) : Buffer.from(inputHex, 'hex')));

/** Options of native/fuzz/src/lib.rs: as they are by default, strict, and with everything small. */
const options = [
  [0x20, 0, 0, 0, 0, 0, 1, 7],
  [0x21, 0, 0, 0, 0, 0, 0, 99],
  [0x04, 20, 6, 30, 9, 2, 3, 200],
].map((bytes) => Buffer.from(bytes));

const seeds = { frame: [], split: [], uri: [], byte_range: [], rewrite: [] };
for (const [i, vector] of vectors.entries()) {
  for (const option of options) {
    const next = vectors[(i * 7 + 3) % vectors.length];
    seeds.frame.push(Buffer.concat([option, vector, next, vector]));
    if (vector.length <= 4096) seeds.split.push(Buffer.concat([option, vector]), Buffer.concat([option, vector, next]));
  }
  for (const hops of [0, 1]) seeds.rewrite.push(Buffer.concat([Buffer.from([hops, i, i]), vector]));
  const text = vector.toString('latin1');
  const paths = [...text.matchAll(/-Path: ([^\r\n]*)/g)].map(([, path]) => path);
  for (const path of paths) seeds.uri.push(Buffer.from(`${path}\n${paths[0].toUpperCase()}`, 'latin1'));
  for (const [, range] of text.matchAll(/Byte-Range: ([^\r\n]*)/g)) seeds.byte_range.push(Buffer.from(range, 'latin1'));
}

for (const [target, inputs] of Object.entries(seeds)) {
  const folder = join(corpus, target);
  mkdirSync(folder, { recursive: true });
  for (const input of inputs) writeFileSync(join(folder, createHash('sha1').update(input).digest('hex')), input);
}
