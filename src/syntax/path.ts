import { parseUri } from './uri.ts';

/**
 * Splits the value of To-Path, From-Path or Use-Path into its URI texts; undefined when one of them is no MSRP URI, when there
 * is none, or when there are more than `maxUris` (core D-04; 0 is no limit). Tolerant mode takes several spaces for one (D-03 b).
 */
export function parsePath(value: string, maxUris: number, strict: boolean): string[] | undefined {
  const uris = value.split(strict ? ' ' : / +/);
  if (maxUris !== 0 && uris.length > maxUris) return undefined;
  for (const uri of uris) if (parseUri(uri) === undefined) return undefined;
  return uris;
}
