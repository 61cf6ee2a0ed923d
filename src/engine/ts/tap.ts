import type { ConnectionId, FrameEvent } from '../engine.ts';
import { KIND, R, RECORD_WORDS } from '../../frame/record.ts';
import { TsFramer } from '../../frame/ts-framer.ts';

/**
 * Sees the frames of one traced connection go by, both ways, and tells them. It frames for itself what is read and written
 * anyway, so that the stages know nothing of it, and a connection without a tap costs one comparison for each read and write.
 */
export class Tap {
  readonly in: Direction;
  readonly out: Direction;

  constructor(connection: ConnectionId, bodyBytes: number, emit: (event: FrameEvent) => void) {
    this.in = new Direction(connection, 'in', bodyBytes, emit);
    this.out = new Direction(connection, 'out', bodyBytes, emit);
  }

  set bodyBytes(bodyBytes: number) {
    this.in.bodyBytes = this.out.bodyBytes = bodyBytes;
  }
}

/** One of the two byte streams. */
class Direction {
  bodyBytes: number;
  readonly #connection: ConnectionId;
  readonly #direction: 'in' | 'out';
  readonly #emit: (event: FrameEvent) => void;
  readonly #records = new Uint32Array(RECORDS * RECORD_WORDS);
  #framer = new TsFramer({});
  /** Begun at the beginning of a frame: a tap may be put on in the middle of one, of which nothing can be told. */
  #inStep = false;
  #rest: Buffer = NOTHING;
  /** Head and kept body of a SEND that is still passing by. */
  #open: Buffer[] = [];
  #kept = 0;
  #passed = 0;

  constructor(connection: ConnectionId, direction: 'in' | 'out', bodyBytes: number, emit: (event: FrameEvent) => void) {
    this.#connection = connection;
    this.#direction = direction;
    this.bodyBytes = bodyBytes;
    this.#emit = emit;
  }

  /** Bytes as they were read or written; they are not kept beyond the call. */
  push(piece: Buffer): void {
    if (!this.#inStep) {
      if (!piece.subarray(0, START.length).equals(START)) return;
      this.#inStep = true;
      this.#framer = new TsFramer({});
      this.#rest = NOTHING;
      this.#open = [];
    }
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let from = 0;
    for (;;) {
      const count = this.#framer.scan(bytes, from, bytes.length, this.#records);
      for (let base = 0; base < count * RECORD_WORDS && this.#inStep; base += RECORD_WORDS) this.#onRecord(bytes, base);
      if (!this.#inStep) return;
      from = this.#framer.consumed;
      if (count === 0 || from === bytes.length) break;
    }
    this.#rest = from === bytes.length ? NOTHING : Buffer.from(bytes.subarray(from));
  }

  #onRecord(bytes: Buffer, base: number): void {
    const records = this.#records;
    const at = (word: number): number => records[base + word] as number;
    const kind = at(R.KIND);
    if (kind === KIND.ERROR) {
      this.#inStep = false;
      return;
    }
    const [bodyStart, bodyEnd] = [at(R.BODY_START), at(R.BODY_END)];
    if (kind === KIND.WHOLE && bodyStart === 0) {
      this.#tell([Buffer.from(bytes.subarray(at(R.START), at(R.END)))], 0, 0);
      return;
    }
    if (kind === KIND.WHOLE || kind === KIND.HEAD) {
      this.#open = [Buffer.from(bytes.subarray(at(R.START), bodyStart))];
      this.#kept = this.#passed = 0;
    }
    const kept = Math.min(bodyEnd - bodyStart, this.bodyBytes - this.#kept);
    if (kept > 0) this.#open.push(Buffer.from(bytes.subarray(bodyStart, bodyStart + kept)));
    this.#kept += Math.max(0, kept);
    this.#passed += bodyEnd - bodyStart;
    if (kind === KIND.WHOLE || kind === KIND.END) {
      this.#open.push(Buffer.from(bytes.subarray(bodyEnd, at(R.END))));
      this.#tell(this.#open, this.#passed, this.#kept);
      this.#open = [];
    }
  }

  #tell(parts: readonly Buffer[], octets: number, kept: number): void {
    this.#emit({
      type: 'frame',
      connection: this.#connection,
      direction: this.#direction,
      bytes: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts),
      bodyOctets: octets,
      bodyKept: kept,
    });
  }
}

const RECORDS = 16;
const START = Buffer.from('MSRP ');
const NOTHING: Buffer = Buffer.alloc(0);
