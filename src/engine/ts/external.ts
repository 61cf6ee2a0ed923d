import { frameEnd } from '../../frame/frame-end.ts';
import { FEED_BYTES } from '../engine.ts';
import type { Output } from '../engine.ts';
import type { Connection } from './connection.ts';
import type { Plane } from './plane.ts';
import type { Transport, TransportOwner } from './transport.ts';

/**
 * A connection whose bytes the control plane moves: it feeds what has come in, and takes what goes out.
 *
 * ```
 * feed ──▶ onData (or, while nothing is read, kept: #input)
 * take ◀── #given: the write under way, copied out of the segments of the outbox, cut behind a frame
 * ```
 * A write is done when what was taken of it is sent, which the next `take` says: until then it counts as queued.
 */
export class ExternalTransport implements Transport {
  readonly framed = true;
  readonly #plane: Plane;
  readonly #connection: Connection;
  readonly #owner: TransportOwner;
  /** What waits to be read, since nothing is read now. */
  #input: Buffer[] = [];
  #inputBytes = 0;
  #paused = false;
  #reading = false;
  /** Feeding was told to stop. */
  #full = false;
  /** Of the write under way: not taken yet. */
  #given: readonly Buffer[] | undefined;
  #unsent = 0;
  #taken = false;
  /** The beginning of a frame whose end the next write brings. */
  #rest: Buffer = NOTHING;
  /** There was something to take, and whoever takes knows. */
  #told = false;
  #ended = false;

  constructor(plane: Plane, connection: Connection, owner: TransportOwner) {
    this.#plane = plane;
    this.#connection = connection;
    this.#owner = owner;
  }

  /** Gives how many bytes wait to be read. */
  feed(bytes: Uint8Array): number {
    if (this.#ended) return 0;
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#paused || this.#inputBytes > 0) {
      this.#input.push(Buffer.from(chunk));
      this.#inputBytes += chunk.length;
    } else this.#owner.onData(chunk);
    this.#full ||= this.#inputBytes >= FEED_BYTES;
    return this.#inputBytes;
  }

  take(): Output | undefined {
    for (;;) {
      if (this.#taken) {
        this.#taken = false;
        // The next write, if there is one, is given within this call.
        this.#owner.onWritten();
      }
      const given = this.#given;
      if (given === undefined) {
        this.#told = false;
        return undefined;
      }
      this.#given = undefined;
      this.#taken = true;
      const bytes = Buffer.concat([this.#rest, ...given]);
      const ends: number[] = [];
      let at = 0;
      for (let end = frameEnd(bytes, at, bytes.length); end > 0; end = frameEnd(bytes, at, bytes.length)) {
        ends.push(end);
        at = end;
      }
      this.#rest = bytes.subarray(at);
      if (ends.length > 0) return { bytes: bytes.subarray(0, at), ends };
    }
  }

  write(segment: Buffer): boolean {
    return this.writeAll([segment]);
  }

  writeAll(segments: readonly Buffer[]): boolean {
    this.#given = segments;
    this.#unsent = segments.reduce((sum, segment) => sum + segment.length, 0);
    if (!this.#told) {
      this.#told = true;
      this.#plane.emit({ type: 'output', connection: this.#connection.id });
    }
    return false;
  }

  get unwritten(): number {
    return this.#unsent;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#inputBytes === 0 || this.#reading) return;
    this.#reading = true;
    // Never inside the call: whoever resumes may be in the middle of the frames of another connection.
    setImmediate(() => {
      this.#reading = false;
      this.#read();
    });
  }

  /** Its peer is told by whoever moves the bytes. */
  end(): void {
    this.#end();
  }

  destroy(): void {
    this.#ended = true;
    this.#input = [];
    this.#inputBytes = 0;
    this.#given = undefined;
  }

  #read(): void {
    while (!this.#paused && !this.#ended) {
      const chunk = this.#input.shift();
      if (chunk === undefined) break;
      this.#inputBytes -= chunk.length;
      this.#owner.onData(chunk);
    }
    if (this.#ended || !this.#full || this.#inputBytes > FEED_BYTES / 2) return;
    this.#full = false;
    this.#plane.emit({ type: 'room', connection: this.#connection.id });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.onEnd(undefined);
  }
}

const NOTHING = Buffer.alloc(0);
