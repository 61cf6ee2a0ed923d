/** What the first bytes of a TLS connection are. */
export type ClientHello =
  /** Not all of it has come. */
  | { readonly kind: 'incomplete' }
  /** No ClientHello of TLS. */
  | { readonly kind: 'garbage' }
  | { readonly kind: 'hello'; readonly serverName: string | undefined };

/**
 * Reads the server name of a ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), so that the whole handshake, versions and
 * trust included, can be that of the domain; node:tls can change no more than the certificate once it has begun.
 *
 * ```
 * record: type 22 | version (2) | length (2) | fragment      handshake: type 1 | length (3) | version (2) | random (32)
 *         | session id <1> | cipher suites <2> | compression <1> | extensions <2>: type (2), data <2>
 * ```
 */
export function readClientHello(bytes: Buffer): ClientHello {
  const message = collect(bytes);
  if ('kind' in message) return message;
  let at = 4 + 2 + 32;
  at += 1 + (message[at] ?? Infinity);
  if (at + 2 > message.length) return GARBAGE;
  at += 2 + message.readUInt16BE(at);
  at += 1 + (message[at] ?? Infinity);
  // Without extensions: as old as SSL 3.0, which OpenSSL refuses by its version.
  if (at === message.length) return { kind: 'hello', serverName: undefined };
  if (at + 2 > message.length || at + 2 + message.readUInt16BE(at) !== message.length) return GARBAGE;
  at += 2;
  while (at + 4 <= message.length) {
    const type = message.readUInt16BE(at);
    const end = at + 4 + message.readUInt16BE(at + 2);
    if (end > message.length) return GARBAGE;
    if (type === SERVER_NAME) return { kind: 'hello', serverName: nameOf(message.subarray(at + 4, end)) };
    at = end;
  }
  return at === message.length ? { kind: 'hello', serverName: undefined } : GARBAGE;
}

const SERVER_NAME = 0;
/** More than any client needs, less than it costs to wait for. */
const MAX_BYTES = 65536;
const MAX_FRAGMENT = 16384;
const GARBAGE = { kind: 'garbage' } as const;
const INCOMPLETE = { kind: 'incomplete' } as const;

/** The whole handshake message, out of the records that it came in. */
function collect(bytes: Buffer): Buffer | typeof GARBAGE | typeof INCOMPLETE {
  const fragments: Buffer[] = [];
  let have = 0;
  for (let at = 0; ;) {
    // Whatever is there already must be right.
    if (bytes.length > at && bytes[at] !== 22) return GARBAGE;
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return GARBAGE;
    if (bytes.length < at + 5) return INCOMPLETE;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_FRAGMENT) return GARBAGE;
    const fragment = bytes.subarray(at + 5, at + 5 + length);
    fragments.push(fragment);
    have += fragment.length;
    const first = fragments[0] as Buffer;
    if (first.length > 0 && first[0] !== 1) return GARBAGE;
    if (have >= 4) {
      const message = fragments.length === 1 ? first : Buffer.concat(fragments);
      const size = 4 + message.readUIntBE(1, 3);
      if (size > MAX_BYTES) return GARBAGE;
      if (have >= size) return message.subarray(0, size);
    }
    if (fragment.length < length) return INCOMPLETE;
    at += 5 + length;
  }
}

/** The first host name of the extension, lower case; an address, or what is none, counts as no name. */
function nameOf(data: Buffer): string | undefined {
  if (data.length < 5 || data[2] !== 0) return undefined;
  const name = data.toString('latin1', 5, 5 + data.readUInt16BE(3)).toLowerCase();
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) && !/^[\d.]+$/.test(name) ? name : undefined;
}
