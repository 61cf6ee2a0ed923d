import { R } from '../frame/record.ts';

/** True for a Message-ID that is accepted: 1…255 printable ASCII without space (core D-02), strict: ident (core C-023). */
export function isMessageId(bytes: Uint8Array, from: number, to: number, strict: boolean): boolean {
  const length = to - from;
  if (strict) return length >= 4 && length <= 32 && IDENT.test(ascii(bytes, from, to));
  if (length < 1 || length > 255) return false;
  for (let i = from; i < to; i++) if ((bytes[i] as number) < 0x21 || (bytes[i] as number) > 0x7e) return false;
  return true;
}

/** Value of Failure-Report (RFC 4975 section 7.1.1). */
export const REPORT = { YES: 1, NO: 2, PARTIAL: 3 } as const;

/** Failure-Report or Success-Report value as a number of {@link REPORT}, 0 when it is none; case does not matter (C-010). */
export function reportValue(bytes: Uint8Array, from: number, to: number): number {
  switch (to - from) {
    case 2:
      return isWord(bytes, from, 'no') ? REPORT.NO : 0;
    case 3:
      return isWord(bytes, from, 'yes') ? REPORT.YES : 0;
    case 7:
      return isWord(bytes, from, 'partial') ? REPORT.PARTIAL : 0;
    default:
      return 0;
  }
}

/** Failure-Report of a decoded record as a number of {@link REPORT}, 0 for a bad value. */
export function failureReportOf(records: Uint32Array, base: number): number {
  return (records[base + R.REPORTS] as number) >> 8;
}

/** A Status value: namespace, code, comment (RFC 4975 section 7.1.2, core C-024). */
export interface Status {
  readonly namespace: string;
  readonly code: number;
  readonly comment: string | undefined;
}

export function parseStatus(text: string): Status | undefined {
  const match = /^([0-9]{3}) ([0-9]{3})(?: (.*))?$/s.exec(text);
  if (match === null) return undefined;
  return { namespace: match[1] as string, code: Number(match[2]), comment: match[3] };
}

/** True for `type/subtype *(;name[=token or quoted-string])` (core C-021); tolerant: white space round the semicolons. */
export function isContentType(text: string, strict: boolean): boolean {
  return (strict ? CONTENT_TYPE_STRICT : CONTENT_TYPE).test(text);
}

/** True for Expires, Min-Expires and Max-Expires: whole seconds (relay R-002). */
export function isSeconds(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text);
}

const IDENT = /^[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}$/;
const TOKEN = String.raw`[!#-'*+\-.0-9A-Z^-~]+`;
const QUOTED = String.raw`"(?:[\t !#-\[\]-~\u0080-\u{10ffff}]|\\["\\])*"`;
const CONTENT_TYPE = contentType('[ \\t]*;[ \\t]*');
const CONTENT_TYPE_STRICT = contentType(';');

function contentType(separator: string): RegExp {
  return new RegExp(`^${TOKEN}/${TOKEN}(?:${separator}${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*$`, 'u');
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

function isWord(bytes: Uint8Array, from: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (((bytes[from + i] as number) | 0x20) !== word.charCodeAt(i)) return false;
  return true;
}
