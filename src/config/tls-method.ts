/** `TLSv1_2`, `TLSv1_3` or a range of both; undefined for anything else. */
export function parseTlsMethod(
  text = 'TLSv1_2-TLSv1_3',
): { minVersion: 'TLSv1.2' | 'TLSv1.3'; maxVersion: 'TLSv1.2' | 'TLSv1.3' } | undefined {
  const match = /^TLSv1_([23])(?:-TLSv1_([23]))?$/.exec(text);
  if (match === null) return undefined;
  const [low, high] = [match[1] as string, match[2] ?? (match[1] as string)];
  if (low > high) return undefined;
  return { minVersion: low === '2' ? 'TLSv1.2' : 'TLSv1.3', maxVersion: high === '2' ? 'TLSv1.2' : 'TLSv1.3' };
}
