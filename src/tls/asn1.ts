import { createRequire } from 'node:module';
import type { asn1 } from 'node-forge';

const require = createRequire(import.meta.url);

/** One value of ASN.1: its tag, and its content or its parts. */
export type Element = asn1.Asn1;

/**
 * ASN.1 of node-forge, without the cryptography around it: 4 ms instead of 40, for those alone who look into DER. It is as strict as
 * DER about lengths, and takes a list of a hundred thousand revoked certificates in a second.
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

/** Whether it is there, and has the tag `[number]`. */
export function isTagged(element: Element | undefined, number: number): element is Element {
  return element?.tagClass === CONTEXT && element.type === number;
}

const UNIVERSAL: asn1.Class.UNIVERSAL = 0x00;
const CONTEXT: asn1.Class.CONTEXT_SPECIFIC = 0x80;

/** The parts of a SEQUENCE, or of a tag around others. Throws a plain Error where it is none. */
export function partsOf(element: Element | undefined): readonly Element[] {
  if (element === undefined || typeof element.value === 'string') throw new Error('expected a value with parts');
  return element.value;
}

/** The octets of a value of one of these universal types, a character each. Throws a plain Error where it is none. */
export function octetsOf(element: Element | undefined, ...types: readonly number[]): string {
  if (!isOf(element, ...types) || typeof element.value !== 'string') throw new Error('expected another type');
  return element.value;
}

/** An object identifier with dots. Throws a plain Error where it is none. */
export function objectIdOf(element: Element | undefined): string {
  return library().derToOid(octetsOf(element, TYPE.objectId));
}
