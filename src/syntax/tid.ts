/** Bytes of a transaction id made by msrpd; 96 bits of them are random (core C-030 asks for 64). */
export const TID_LENGTH = 16;

/** 64 ident characters (core C-003). */
export const TID_ALPHABET: Uint8Array = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-');

/** Makes a transaction id, Message-ID or other ident of 16 characters from 16 random bytes (core C-003, C-040). */
export function identOf(random: Uint8Array): string {
  let ident = '';
  for (let i = 0; i < TID_LENGTH; i++) {
    const byte = random[i] as number;
    // The first character must be a letter or digit: 62 of them.
    ident += String.fromCharCode(TID_ALPHABET[i === 0 ? byte % 62 : byte & 63] as number);
  }
  return ident;
}
