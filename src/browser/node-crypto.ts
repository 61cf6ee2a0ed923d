import { md5 } from 'js-md5';

/** Stands for `node:crypto` in the bundle: the digest of MSRP knows MD5 alone, which browsers do not have. */
export function hash(_algorithm: 'md5', text: string): string {
  return md5(text);
}
