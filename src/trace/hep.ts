import { isIPv4, isIPv6 } from 'node:net';

/** One packet of the Homer Encapsulation Protocol, before it is encoded. */
export interface HepPacket {
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
  /** IP protocol number: 6 TCP. */
  readonly protocol: number;
  /** Microseconds since 1970. */
  readonly timeUs: number;
  /** Capture protocol type: {@link HEP_TYPE}. */
  readonly type: number;
  readonly captureId: number;
  readonly payload: Uint8Array;
  /** Version 3 only. */
  readonly correlationId?: string;
  /** Further names of the conversation, JSON; version 3 only. */
  readonly extraCorrelation?: string;
}

/** Capture protocol types: events of connections as OpenSIPS sends them (H-020), and text of any protocol. */
export const HEP_TYPE = { NET: 0x59, LOG: 0x64 } as const;

/** Largest payload that any packet carries, beside the header and the chunks that go with it (H-001, D-66). */
export const MAX_PAYLOAD = 60_000;

/** Encodes a packet of that version; a payload that is too long is cut. */
export function encodeHep(packet: HepPacket, version: 1 | 2 | 3): Buffer {
  const payload = packet.payload.subarray(0, MAX_PAYLOAD);
  return version === 3 ? encodeV3(packet, payload) : encodeV1(packet, payload, version);
}

/** HEPv3 (H-001…H-004), chunks in the order of OpenSIPS. */
function encodeV3(packet: HepPacket, payload: Uint8Array): Buffer {
  const { source, destination, timeUs } = packet;
  const family = familyOf(packet);
  const parts: Buffer[] = [
    chunk(0x0001, 1, (at) => at.writeUInt8(family === 4 ? AF_INET : AF_INET6)),
    chunk(0x0002, 1, (at) => at.writeUInt8(packet.protocol)),
    chunk(0x0007, 2, (at) => at.writeUInt16BE(source.port)),
    chunk(0x0008, 2, (at) => at.writeUInt16BE(destination.port)),
    chunk(0x0009, 4, (at) => at.writeUInt32BE(Math.floor(timeUs / 1e6))),
    chunk(0x000a, 4, (at) => at.writeUInt32BE(Math.floor(timeUs % 1e6))),
    chunk(0x000b, 1, (at) => at.writeUInt8(packet.type)),
    chunk(0x000c, 4, (at) => at.writeUInt32BE(packet.captureId)),
    octets(family === 4 ? 0x0003 : 0x0005, addressBytes(source.address, family)),
    octets(family === 4 ? 0x0004 : 0x0006, addressBytes(destination.address, family)),
    octets(0x000f, payload),
  ];
  if (packet.extraCorrelation !== undefined) parts.push(octets(0x0065, Buffer.from(packet.extraCorrelation)));
  if (packet.correlationId !== undefined) parts.push(octets(0x0011, Buffer.from(packet.correlationId)));
  const header = Buffer.alloc(6);
  header.write('HEP3', 'latin1');
  header.writeUInt16BE(
    parts.reduce((sum, part) => sum + part.length, 6),
    4,
  );
  return Buffer.concat([header, ...parts]);
}

/** HEPv1 and HEPv2 (H-010, H-011): one datagram, the time of version 2 in little-endian order as OpenSIPS writes it. */
function encodeV1(packet: HepPacket, payload: Uint8Array, version: 1 | 2): Buffer {
  const { source, destination, timeUs } = packet;
  const family = familyOf(packet);
  const addresses = Buffer.concat([addressBytes(source.address, family), addressBytes(destination.address, family)]);
  const header = Buffer.alloc(8);
  header.writeUInt8(version, 0);
  header.writeUInt8(8 + addresses.length, 1);
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 2);
  header.writeUInt8(packet.protocol, 3);
  header.writeUInt16BE(source.port, 4);
  header.writeUInt16BE(destination.port, 6);
  if (version === 1) return Buffer.concat([header, addresses, payload]);
  const time = Buffer.alloc(12);
  time.writeUInt32LE(Math.floor(timeUs / 1e6), 0);
  time.writeUInt32LE(Math.floor(timeUs % 1e6), 4);
  time.writeUInt16LE(packet.captureId & 0xffff, 8);
  return Buffer.concat([header, addresses, time, payload]);
}

/** AF_INET and AF_INET6 of Linux, which the protocol has fixed. */
const AF_INET = 2;
const AF_INET6 = 10;

function chunk(type: number, size: number, write: (value: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(6 + size);
  bytes.writeUInt16BE(type, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  write(bytes.subarray(6));
  return bytes;
}

function octets(type: number, value: Uint8Array): Buffer {
  return chunk(type, value.length, (at) => at.set(value));
}

/** 6 as soon as one of the addresses is IPv6; an address that is not known fits either. */
function familyOf({ source, destination }: HepPacket): 4 | 6 {
  return isIPv6(plain(source.address)) || isIPv6(plain(destination.address)) ? 6 : 4;
}

/** Node shows IPv4 peers of a socket for both as `::ffff:192.0.2.1`. */
function plain(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : address;
}

function addressBytes(text: string, family: 4 | 6): Buffer {
  const address = plain(text);
  if (family === 4) return Buffer.from(isIPv4(address) ? address.split('.').map(Number) : [0, 0, 0, 0]);
  const bytes = Buffer.alloc(16);
  if (isIPv4(address)) {
    bytes.writeUInt16BE(0xffff, 10);
    bytes.set(address.split('.').map(Number), 12);
  } else if (isIPv6(address)) {
    for (const [i, group] of groupsOf(address).entries()) bytes.writeUInt16BE(group, i * 2);
  }
  return bytes;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // An IPv4 tail becomes two groups; a zone says nothing to a collector.
  const text = address
    .replace(/%.*$/, '')
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a: string, b: string, c: string, d: string) =>
      [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
    );
  const [head = '', tail] = text.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const missing = tail === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array.from({ length: missing }, () => '0'), ...back].map((group) => Number.parseInt(group, 16));
}
