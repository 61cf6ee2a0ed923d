/** What a read may hold: frames of one conversation, as a chat client sends them. */
export interface Traffic {
  /** Frames of one read. */
  readonly frames: number;
  /** Octets of each body. */
  readonly bodyBytes: number;
  /** Every frame is of another session than the one before. Default: all are of the same. */
  readonly newPaths?: boolean;
}

/** The bytes of one read. */
export function readOf(traffic: Traffic): Buffer {
  return Buffer.concat(Array.from({ length: traffic.frames }, (_, number) => frame(number, traffic)));
}

/** Octets of a body that make a frame of so many bytes in all. */
export function bodyBytesOf(frameBytes: number): number {
  let bodyBytes = 0;
  // The Byte-Range grows with the body.
  for (let tries = 0; tries < 3; tries++) bodyBytes += frameBytes - frame(0, { frames: 1, bodyBytes }).length;
  if (bodyBytes < 0) throw new RangeError(`a frame has more than ${frameBytes} bytes`);
  return bodyBytes;
}

function frame(number: number, { bodyBytes, newPaths = false }: Traffic): Buffer {
  const id = String(number % 1000).padStart(3, '0');
  const session = newPaths ? id : '000';
  const tid = `AAABBCd9f0K2mQ7xR4t${id}`;
  const head =
    `MSRP ${tid} SEND\r\n` +
    `To-Path: msrp://relay.example.com:2855/s${session}tKq8VnXbA7hLm2P;tcp\r\n` +
    `From-Path: msrp://client.example.net:49152/q3Zt7Lr${session};tcp\r\n` +
    `Message-ID: m4711xyz${id}\r\n` +
    `Byte-Range: 1-${bodyBytes}/${bodyBytes}\r\n` +
    `Content-Type: text/plain\r\n\r\n`;
  const body = Buffer.alloc(bodyBytes, 'The quick brown fox jumps over the lazy dog.\r\n');
  return Buffer.concat([Buffer.from(head), body, Buffer.from(`\r\n-------${tid}$\r\n`)]);
}
