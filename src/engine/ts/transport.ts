import type { Socket } from 'node:net';

/**
 * A byte stream as a connection uses it. Only the files transport.ts, listener.ts and dial.ts know sockets.
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
  /** The peer has ended the stream (no error), or the transport has failed. Called once. */
  onEnd(error: Error | undefined): void;
}

/** TCP or TLS through node:net and node:tls. */
export class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #done: (error?: Error | null) => void;
  #waiting = false;

  constructor(socket: Socket, owner: TransportOwner) {
    this.#socket = socket;
    this.#done = () => {
      // Called for each write, one tick later; of interest only when that write was not done at once.
      if (!this.#waiting || socket.writableLength > 0) return;
      this.#waiting = false;
      if (!socket.destroyed) owner.onWritten();
    };
    let ended = false;
    const end = (error?: Error): void => {
      if (ended) return;
      ended = true;
      owner.onEnd(error);
    };
    socket.on('data', (bytes: Buffer) => owner.onData(bytes));
    socket.on('end', () => end());
    socket.on('error', end);
    socket.on('close', () => end());
  }

  write(segment: Buffer): boolean {
    this.#socket.write(segment, this.#done);
    return this.#settled();
  }

  writeAll(segments: readonly Buffer[]): boolean {
    this.#socket.cork();
    for (const segment of segments) this.#socket.write(segment, this.#done);
    this.#socket.uncork();
    return this.#settled();
  }

  get unwritten(): number {
    // The stream counts a write until it is finished; its handle (where Node shows one) knows how much is left of it.
    const handle = (this.#socket as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? this.#socket.writableLength;
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

  #settled(): boolean {
    this.#waiting = this.#socket.writableLength > 0;
    return !this.#waiting;
  }
}
