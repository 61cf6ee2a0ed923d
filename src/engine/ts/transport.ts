import type { Socket } from 'node:net';

/**
 * A byte stream as a connection uses it. Only the files transport.ts, listener.ts and dial.ts know sockets; external.ts is
 * one without.
 */
export interface Transport {
  /**
   * Writes in order. True: the kernel has everything, and the buffers are free again. False: `onWritten` of the owner is
   * called when it has; nothing may be written until then.
   */
  write(segment: Buffer): boolean;
  writeAll(segments: readonly Buffer[]): boolean;
  /** Bytes of the write under way that the kernel has not taken; it shrinks while the peer reads. */
  readonly unwritten: number;
  /** Writes must end where a frame ends. Default false. */
  readonly framed?: boolean;
  pause(): void;
  resume(): void;
  /** Ends the stream behind what was written. */
  end(): void;
  destroy(): void;
}

/** What a transport tells its owner. */
export interface TransportOwner {
  onData(bytes: Buffer): void;
  /** A write that returned false is done. */
  onWritten(): void;
  /** The peer has ended its side: nothing more comes, and what is queued can still be written. Called at most once. */
  onPeerEnd(): void;
  /** The transport is gone, with an error when it has failed. Called once. */
  onEnd(error: Error | undefined): void;
}

/**
 * TCP or TLS through node:net and node:tls.
 *
 * Writes go to the implementation of the stream (`_write`), not through its queue: the outbox is the queue, one write is under
 * way at a time, and whether the kernel has taken it is known at once. The stream's own bookkeeping for each write costs more
 * than routing a frame (docs/BENCHMARKING.md).
 */
export class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #done: (error?: Error | null) => void;
  readonly #end: (error?: Error) => void;
  /** A write is under way; it was not done within its call. */
  #waiting = false;
  #inCall = false;
  #ended = false;

  constructor(socket: Socket, owner: TransportOwner) {
    this.#socket = socket;
    this.#done = (error) => {
      if (error !== null && error !== undefined) {
        // Never inside the call of write(), whose caller is in the middle of its queue; the write stays unfinished.
        queueMicrotask(() => this.#end(error));
        return;
      }
      this.#waiting = false;
      if (!this.#inCall && !this.#ended) owner.onWritten();
    };
    this.#end = (error) => {
      if (this.#ended) return;
      this.#ended = true;
      owner.onEnd(error);
    };
    socket.on('data', (bytes: Buffer) => owner.onData(bytes));
    socket.on('end', () => {
      if (!this.#ended) owner.onPeerEnd();
    });
    socket.on('error', this.#end);
    socket.on('close', () => this.#end());
  }

  write(segment: Buffer): boolean {
    this.#begin();
    this.#socket._write(segment, 'buffer' as BufferEncoding, this.#done);
    return this.#returned();
  }

  writeAll(segments: readonly Buffer[]): boolean {
    const chunks = segments.map((chunk) => ({ chunk, encoding: 'buffer' as BufferEncoding }));
    this.#begin();
    // `allBuffers` says to node:net that no chunk is a text.
    this.#socket._writev?.(Object.assign(chunks, { allBuffers: true }), this.#done);
    return this.#returned();
  }

  get unwritten(): number {
    // The handle (where Node shows one) knows how much is left of a write; else only its end shows.
    const handle = (this.#socket as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? (this.#waiting ? 1 : 0);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #begin(): void {
    this.#waiting = true;
    this.#inCall = true;
  }

  #returned(): boolean {
    this.#inCall = false;
    return !this.#waiting;
  }
}
