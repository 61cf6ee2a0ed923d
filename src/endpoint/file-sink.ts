import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { headerValue } from '../syntax/frame.ts';
import type { Header } from '../syntax/frame.ts';
import type { MessageSink } from './receiver.ts';

/** Writes a message into a new file of a folder. The name that the sender proposes is a hint and no path. */
export class FileSink implements MessageSink {
  readonly path: string;
  #handle: Promise<FileHandle>;
  /** Writes in the order in which they came: later octets win. */
  #last: Promise<unknown>;

  constructor(folder: string, headers: readonly Header[]) {
    this.path = newFile(folder, safeName(headerValue(headers, 'Content-Disposition') ?? ''));
    this.#handle = open(this.path, 'r+');
    // It shows at the first write, or at the end.
    this.#handle.catch(() => undefined);
    this.#last = this.#handle;
  }

  async write(position: number, octets: Buffer): Promise<void> {
    this.#last = this.#last.then(async () => {
      const handle = await this.#handle;
      for (let at = 0; at < octets.length;) {
        const { bytesWritten } = await handle.write(octets, at, octets.length - at, position + at);
        at += bytesWritten;
      }
    });
    this.#last.catch(() => undefined);
    await this.#last;
  }

  async end(): Promise<void> {
    await this.#last;
    await (await this.#handle).close();
  }

  /** What is half a file is no file. */
  async abort(): Promise<void> {
    await this.#last.catch(() => undefined);
    const handle = await this.#handle.catch(() => undefined);
    await handle?.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/** The last part of a proposed name, without anything that a file system or a terminal could misread. */
export function safeName(disposition: string): string {
  const match = /\bfilename="((?:[^"\\]|\\.)*)"/i.exec(disposition) ?? /\bfilename=([^;\s]+)/i.exec(disposition);
  const proposed = (match?.[1] ?? '').split(/[/\\]/).at(-1) as string;
  const name = proposed
    .replace(/[^A-Za-z0-9._ -]/g, '_')
    .replace(/^[. -]+/, '')
    .slice(0, 100)
    .trim();
  return name === '' ? 'message' : name;
}

/** Makes an empty file of that name; one that is there is never touched, the new one gets a number. */
function newFile(folder: string, name: string): string {
  for (let i = 0; ; i++) {
    // A peer that sends the same name over and over must not make us look for longer and longer.
    const mark = i < MAX_NUMBER ? String(i) : randomBytes(8).toString('hex');
    const path = join(folder, i === 0 ? name : name.replace(/(\.[^.]*)?$/, `-${mark}$1`));
    try {
      closeSync(openSync(path, 'wx', 0o600));
      return path;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST' || i > MAX_NUMBER) throw error;
    }
  }
}

const MAX_NUMBER = 20;
