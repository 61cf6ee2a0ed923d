import { open } from 'node:fs/promises';
import { MsrpError } from '../errors.ts';

/** What can be sent. A file, or a Blob, is read while it is sent. */
export type SendBody = string | Uint8Array | Blob | AsyncIterable<Uint8Array> | { readonly file: string };

/** A body as chunks. */
export interface ChunkSource {
  /** Size in octets; undefined when it shows only at the end. */
  readonly total: number | undefined;
  /** There is always one, maybe empty; the last one is known as such. */
  next(): Promise<IteratorResult<BodyChunk, void>>;
  /** No more is wanted: lets go of the file or stream. */
  close(): void;
}

export interface BodyChunk {
  readonly octets: Buffer;
  readonly last: boolean;
}

/** Opens a body that is cut into chunks of `chunkBytes`; never more than two of them are held. Rejects with `E_ARGUMENT`. */
export async function openBody(body: SendBody, chunkBytes: number): Promise<ChunkSource> {
  if (typeof body === 'string') return source(cutWhole(Buffer.from(body), chunkBytes), Buffer.byteLength(body));
  if (body instanceof Uint8Array) {
    return source(cutWhole(Buffer.from(body.buffer, body.byteOffset, body.byteLength), chunkBytes), body.byteLength);
  }
  if (body instanceof Blob) return source(cutStream(readBlob(body), chunkBytes), body.size);
  if (typeof body === 'object' && 'file' in body) return openFile(body.file, chunkBytes);
  if (typeof body === 'object' && Symbol.asyncIterator in body) {
    const stop = (body as { destroy?: () => void }).destroy?.bind(body);
    return source(cutStream(body, chunkBytes), undefined, stop);
  }
  throw new MsrpError('E_ARGUMENT', 'the body is no text, no octets, no stream and no file');
}

async function openFile(file: string, chunkBytes: number): Promise<ChunkSource> {
  const handle = await open(file).catch((error: unknown) => {
    throw new MsrpError('E_ARGUMENT', (error as Error).message, { cause: error });
  });
  const stat = await handle.stat();
  if (stat.isDirectory()) {
    await handle.close();
    throw new MsrpError('E_ARGUMENT', `${file} is a folder`);
  }
  // What is no regular file has no size to tell. One that grows while it is read ends where it did.
  const total = stat.isFile() ? stat.size : undefined;
  const end = total ?? Infinity;
  const read = async function* (): AsyncGenerator<Buffer> {
    try {
      for (let at = 0; at < end;) {
        const want = Math.min(chunkBytes, end - at);
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(want), 0, want);
        if (bytesRead === 0 && total !== undefined) throw new Error(`${file} has become shorter`);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  };
  return source(cutStream(read(), chunkBytes), total);
}

async function* readBlob(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < blob.size; at += BLOB_BYTES)
    yield new Uint8Array(await blob.slice(at, at + BLOB_BYTES).arrayBuffer());
}

/** Octets of a Blob that are read at once. */
const BLOB_BYTES = 262_144;

function source(pieces: AsyncGenerator<Buffer>, total: number | undefined, stop?: () => void): ChunkSource {
  const chunks = withLast(pieces);
  return {
    total,
    next: () => chunks.next(),
    close: () => {
      stop?.();
      // Takes effect when the step under way is over; what that comes to is of no interest any more.
      void chunks.return(undefined).catch(() => undefined);
    },
  };
}

async function* withLast(pieces: AsyncGenerator<Buffer>): AsyncGenerator<BodyChunk, void> {
  let held: Buffer | undefined;
  for await (const octets of pieces) {
    if (held !== undefined) yield { octets: held, last: false };
    held = octets;
  }
  yield { octets: held ?? Buffer.alloc(0), last: true };
}

async function* cutWhole(all: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < all.length; at += chunkBytes) yield all.subarray(at, at + chunkBytes);
}

async function* cutStream(pieces: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of pieces) {
    // A copy: the owner of the stream may use its memory again.
    let rest: Buffer = Buffer.from(piece);
    while (heldBytes + rest.length >= chunkBytes) {
      const part = rest.subarray(0, chunkBytes - heldBytes);
      yield held.length === 0 ? part : Buffer.concat([...held, part]);
      rest = rest.subarray(part.length);
      held = [];
      heldBytes = 0;
    }
    if (rest.length === 0) continue;
    held.push(rest);
    heldBytes += rest.length;
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
