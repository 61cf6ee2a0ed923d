// node bench/framer-call.mjs (after npm run build): when the call of the native framer pays, on this machine.
// Best of nine series each, in ns; a scan that does not give what it should ends the run.
import { loadAddon } from '../dist/addon/load.js';
import { NativeFramer } from '../dist/frame/native-framer.js';
import { RECORD_WORDS } from '../dist/frame/record.js';
import { TsFramer } from '../dist/frame/ts-framer.js';
import { PATH_URIS, TsDecoder } from '../dist/syntax/decoder.js';

const result = loadAddon();
if (!('addon' in result)) throw new Error('no addon: npm run build');
const { Framer } = result.addon;
const records = new Uint32Array(128 * RECORD_WORDS);

const decoders = () => [new TsDecoder(), new NativeFramer(Framer, { pathUris: PATH_URIS })];
const framers = () => [new TsFramer(), new NativeFramer(Framer)];

const TO = 'msrp://relay.example.com:2855/abcdefghijklmnop;tcp msrp://bob.example.com:7654/jshA7weztas;tcp';
const FROM = 'msrp://alice.example.com:7777/iau39soe2843z;tcp';
const send = (tid, octets) =>
  `MSRP ${tid} SEND\r\nTo-Path: ${TO}\r\nFrom-Path: ${FROM}\r\nMessage-ID: 87652491\r\nByte-Range: 1-${octets}/${octets}\r\n` +
  `Content-Type: text/plain\r\n\r\n${'x'.repeat(octets)}\r\n-------${tid}$\r\n`;
const ok = (tid) =>
  `MSRP ${tid} 200 OK\r\nTo-Path: msrp://a.b:1/x;tcp\r\nFrom-Path: msrp://c.d:2/y;tcp\r\n-------${tid}$\r\n`;

console.log('whole frames                 bytes  framing: ts  native  ratio  decoding: ts  native  ratio');
for (const [name, make, count] of [
  ['1 short response', ok, 1],
  ['1 SEND of 25 octets', (tid) => send(tid, 25), 1],
  ['8 of them', (tid) => send(tid, 25), 8],
  ['32 of them', (tid) => send(tid, 25), 32],
  ['1 SEND of 1,900 octets', (tid) => send(tid, 1900), 1],
]) {
  const bytes = Buffer.from(Array.from({ length: count }, (_, i) => make(`tid${1000 + i}`)).join(''));
  const times = [...framers(), ...decoders()].map((framer) => {
    const scan = () => expect(framer.scan(bytes, 0, bytes.length, records), count);
    return best(scan) / count;
  });
  console.log(row(name, bytes.length, ...withRatio(times[0], times[1]), ...withRatio(times[2], times[3])));
}

console.log('\na body that is streamed, in pieces of … octets: a scan');
for (const size of [1, 8, 16, 32, 64, 128, 256]) {
  const bytes = Buffer.from(send('abcd1234', 20_000));
  const times = decoders().map((framer) => {
    framer.scan(bytes, 0, 4000, records);
    const [from, to] = [framer.consumed, framer.consumed + size];
    return best(() => expect(framer.scan(bytes, from, to, records), 1));
  });
  console.log(row(size, '', ...withRatio(...times)));
}

console.log('\nthe first … bytes of a frame, and then all of it: what comes on top of the frame in one scan');
for (const size of [1, 8, 16, 32, 64, 128]) {
  const bytes = Buffer.from(send('abcd1234', 25));
  const times = decoders().map((framer) => {
    const whole = best(() => expect(framer.scan(bytes, 0, bytes.length, records), 1));
    const both = best(() => {
      expect(framer.scan(bytes, 0, size, records), 0);
      expect(framer.scan(bytes, 0, bytes.length, records), 1);
    });
    return both - whole;
  });
  console.log(row(size, '', ...withRatio(...times)));
}

const nothing = Buffer.alloc(1);
const idle = decoders().map((framer) => best(() => expect(framer.scan(nothing, 0, 0, records), 0)));
const made = [() => new TsDecoder(), () => new NativeFramer(Framer, { pathUris: PATH_URIS })].map((make) =>
  best(() => make().scan(nothing, 0, 0, records)),
);
console.log(
  `\n${row('a scan of nothing', '', ...withRatio(...idle))}\n${row('a new framer, first scan', '', ...withRatio(...made))}`,
);

function best(run) {
  for (let i = 0; i < 20_000; i++) run();
  let least = Infinity;
  for (let series = 0; series < 9; series++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 5000; i++) run();
    least = Math.min(least, Number(process.hrtime.bigint() - start) / 5000);
  }
  return least;
}

function expect(actual, expected) {
  if (actual !== expected) throw new Error(`${actual} records instead of ${expected}`);
}

function withRatio(ts, native) {
  return [ts.toFixed(0), native.toFixed(0), (ts / native).toFixed(2)];
}

function row(name, ...cells) {
  return `${String(name).padEnd(26)}${cells.map((cell) => String(cell).padStart(9)).join('')}`;
}
