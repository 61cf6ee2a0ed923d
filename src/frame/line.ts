import { R } from './record.ts';

/** Classes of bytes in a line. */
export const PLAIN = 0;
const CR = 1;
export const LF = 2;
/** NUL, C0 other than HTAB, DEL: never allowed in a line (core C-012). */
export const CONTROL = 3;
/** Part of a multi-byte character: the line must be valid UTF-8. */
export const HIGH = 4;

/** Class of each byte value. */
export const BYTE_CLASS: Uint8Array = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  BYTE_CLASS[byte] =
    byte === 13
      ? CR
      : byte === 10
        ? LF
        : byte >= 128
          ? HIGH
          : (byte < 32 && byte !== 9) || byte === 127
            ? CONTROL
            : PLAIN;
}

/** 1 for a token character (core C-013), which a header name is made of. */
export const TOKEN_CHAR: Uint8Array = table((byte) => /[!#-'*+\-.0-9A-Z^-~]/.test(String.fromCharCode(byte)));

/** 1 for an ident character, 3 when it may also come first (letters and digits): transaction ids (core C-003). */
export const IDENT_CHAR: Uint8Array = new Uint8Array(256);
for (let byte = 0; byte < 128; byte++) {
  const char = String.fromCharCode(byte);
  IDENT_CHAR[byte] = /[A-Za-z0-9]/.test(char) ? 3 : /[.\-+%=]/.test(char) ? 1 : 0;
}

function table(member: (byte: number) => boolean): Uint8Array {
  const members = new Uint8Array(256);
  for (let byte = 0; byte < 128; byte++) members[byte] = member(byte) ? 1 : 0;
  return members;
}

/** A header that the framer knows by name. */
export interface KnownHeader {
  /** Lower case bytes. */
  readonly name: Uint8Array;
  /** Bit of the "seen" mask: each of these may occur once (core D-09). */
  readonly bit: number;
  /** Index of the word pair for the value; 0: no words for it. */
  readonly word: number;
}

const HEADERS: readonly (readonly [name: string, word: number])[] = [
  ['to-path', R.TO_START],
  ['from-path', R.FROM_START],
  ['message-id', R.MESSAGE_ID_START],
  ['success-report', R.SUCCESS_REPORT_START],
  ['failure-report', R.FAILURE_REPORT_START],
  ['byte-range', R.BYTE_RANGE_START],
  ['status', R.STATUS_START],
  ['content-type', R.CONTENT_TYPE_START],
  ['expires', R.EXPIRES_START],
  ['min-expires', R.MIN_EXPIRES_START],
  ['max-expires', R.MAX_EXPIRES_START],
  ['use-path', R.USE_PATH_START],
  ['authorization', 0],
  ['www-authenticate', 0],
  ['authentication-info', 0],
  ['use-nickname', 0],
];

/** Known headers by the length of their names. */
const BY_LENGTH: KnownHeader[][] = Array.from({ length: 24 }, () => []);
for (const [index, [name, word]] of HEADERS.entries()) {
  BY_LENGTH[name.length]?.push({ name: Buffer.from(name), bit: 1 << index, word });
}

/** The known header whose name stands at `from..to`, whatever its case. */
export function knownHeader(bytes: Uint8Array, from: number, to: number): KnownHeader | undefined {
  const candidates = BY_LENGTH[to - from];
  if (candidates === undefined) return undefined;
  for (const header of candidates) if (sameName(bytes, from, header.name)) return header;
  return undefined;
}

/** True for a MIME header other than Content-Type: `Content-…`, `MIME-…` (core C-016). */
export function isMimeName(bytes: Uint8Array, from: number, to: number): boolean {
  return (
    (to - from > CONTENT.length && sameName(bytes, from, CONTENT)) ||
    (to - from > MIME.length && sameName(bytes, from, MIME))
  );
}

const CONTENT = Buffer.from('content-');
const MIME = Buffer.from('mime-');

/** Compares without case; `name` is in lower case and holds letters and hyphens only. */
function sameName(bytes: Uint8Array, from: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const want = name[i] as number;
    const got = bytes[from + i] as number;
    // Only a letter has a second spelling; a hyphen must not match 0x0d.
    if (got !== want && (want < 97 || got + 32 !== want)) return false;
  }
  return true;
}

/** Offset of the first byte that is not well-formed UTF-8 (RFC 3629), or -1 (core D-01). */
export function badUtf8(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to) {
    const lead = bytes[i] as number;
    if (lead < 0x80) {
      i++;
      continue;
    }
    // The second byte has a narrower range after some leads: overlong forms, surrogates, beyond U+10FFFF.
    let more: number;
    let low = 0x80;
    let high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) more = 1;
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead === 0xe0) low = 0xa0;
      if (lead === 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead === 0xf0) low = 0x90;
      if (lead === 0xf4) high = 0x8f;
    } else return i;
    if (i + more >= to) return i;
    for (let k = 1; k <= more; k++) {
      const byte = bytes[i + k] as number;
      if (byte < low || byte > high) return i;
      low = 0x80;
      high = 0xbf;
    }
    i += more + 1;
  }
  return -1;
}
