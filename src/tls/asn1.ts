import { createRequire } from 'node:module';
import type { asn1 } from 'node-forge';

const require = createRequire(import.meta.url);

/** One value of ASN.1: its tag, and its octets, a character each, or its parts. */
export interface Element {
  readonly tagClass: number;
  readonly type: number;
  readonly value: string | readonly Element[];
}

/**
 * ASN.1 of node-forge, without the cryptography around it: 4 ms instead of 50, for those alone who look into DER. Others stand
 * still over long revocation lists (docs/adr/0003-dependencies.md).
 */
function library(): typeof asn1 {
  return require('node-forge/lib/asn1') as typeof asn1;
}

/** Types that certificates and revocation lists are made of (X.680 section 8.6). */
export const TYPE = { boolean: 1, integer: 2, octets: 4, objectId: 6, sequence: 16, utcTime: 23, generalizedTime: 24 };

/** Reads one value that fills `der`; a string has an octet in each character. Throws a plain Error where there is none. */
export function readElement(der: Buffer | string): Element {
  return library().fromDer(typeof der === 'string' ? der : der.toString('latin1'));
}

/** Whether it is there, and of one of these universal types. */
export function isOf(element: Element | undefined, ...types: readonly number[]): element is Element {
  return element?.tagClass === UNIVERSAL && types.includes(element.type);
}

/** The parts of a SEQUENCE. Throws a plain Error where it is none. */
export function partsOf(element: Element | undefined): readonly Element[] {
  if (!isOf(element, TYPE.sequence) || typeof element.value === 'string') throw new Error('expected a SEQUENCE');
  return element.value;
}

/** Whether it is there, and has the tag `[number]`. */
export function isTagged(element: Element | undefined, number: number): element is Element {
  return element?.tagClass === CONTEXT && element.type === number;
}

/** What the tag `[number]` is around; undefined where it has another tag, or nothing in it. */
export function taggedBy(element: Element | undefined, number: number): Element | undefined {
  return isTagged(element, number) && typeof element.value !== 'string' ? element.value[0] : undefined;
}

/** Classes of tags, as they stand in the first octet (X.690 section 8.1.2.2). */
const UNIVERSAL = 0x00;
const CONTEXT = 0x80;

/** The octets of a value of one of these universal types, a character each. Throws a plain Error where it is none. */
export function octetsOf(element: Element | undefined, ...types: readonly number[]): string {
  if (!isOf(element, ...types) || typeof element.value !== 'string') throw new Error('expected another type');
  return element.value;
}

/** An object identifier with dots. Throws a plain Error where it is none. */
export function objectIdOf(element: Element | undefined): string {
  return library().derToOid(octetsOf(element, TYPE.objectId));
}
