import { destroy } from './close.ts';
import type { Connection } from './connection.ts';
import { releaseIfDrained } from './flow.ts';
import type { Plane } from './plane.ts';

/** Writes what a connection has queued: at the end of a turn, once. What the kernel does not take waits for `onWritten`. */
export function flush(plane: Plane, connection: Connection): void {
  connection.dirty = false;
  const { transport, outbox } = connection;
  if (transport === undefined || (connection.state !== 'open' && connection.state !== 'closing')) return;
  while (!connection.writing && outbox.bytes > 0) {
    const single = outbox.single();
    const segments = single === undefined ? outbox.take(WRITE_BYTES) : undefined;
    if (connection.tap !== undefined)
      for (const segment of segments ?? [single]) connection.tap.out.push(segment as Buffer);
    const size = single?.length ?? sizeOf(segments as Buffer[]);
    const done = single === undefined ? transport.writeAll(segments as Buffer[]) : transport.write(single);
    if (done) {
      if (single === undefined) {
        outbox.written(size);
        outbox.release();
      } else outbox.writtenSingle();
      written(plane, connection, size);
    } else {
      // The kernel is full; the segment belongs to the socket until it has taken it.
      if (single !== undefined) outbox.take(size);
      connection.writing = true;
      connection.writeBytes = size;
      connection.writeLeft = transport.unwritten;
      connection.writeProgressMs = plane.nowMs;
      plane.writing.add(connection);
    }
  }
  if (connection.state !== 'closing' || outbox.bytes > 0) return;
  // Both sides have said all: nothing is left to wait for.
  if (connection.ended) onTransportEnd(plane, connection);
  else transport.end();
}

/** The kernel has taken the write that was under way. */
export function onWritten(plane: Plane, connection: Connection): void {
  if (!connection.writing) return;
  connection.writing = false;
  plane.writing.delete(connection);
  const size = connection.writeBytes;
  connection.outbox.written(size);
  connection.outbox.release();
  written(plane, connection, size);
  flush(plane, connection);
}

function written(plane: Plane, connection: Connection, size: number): void {
  connection.bytesOut += size;
  plane.counters.bytesOut += size;
  connection.lastActiveMs = plane.nowMs;
  releaseIfDrained(plane, connection);
}

/** Bytes handed to the kernel at once: small enough that a slow reader's progress shows. */
const WRITE_BYTES = 131072;

function sizeOf(segments: readonly Buffer[]): number {
  let size = 0;
  for (const segment of segments) size += segment.length;
  return size;
}

/** The transport has ended: nothing more comes, and nothing more can be written. */
export function onTransportEnd(plane: Plane, connection: Connection): void {
  plane.writing.delete(connection);
  destroy(plane, connection);
}
