/** Stands for `node:fs/promises` in the bundle: a file of a browser is a Blob. */
export function open(): Promise<never> {
  return Promise.reject(new Error('a browser has no files by name: send a File or Blob'));
}
