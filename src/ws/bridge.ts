import { FEED_BYTES } from '../engine/engine.ts';
import type { CloseReason, ConnectionId, Engine } from '../engine/engine.ts';
import { frameEnd } from '../frame/frame-end.ts';
import { CODE, codeOf, reasonOf } from './close-code.ts';
import { MessageRate } from './message-rate.ts';
import type { WsHandler, WsSocket } from './socket.ts';

export interface BridgeOptions {
  readonly engine: Engine;
  readonly connection: ConnectionId;
  readonly socket: WsSocket;
  /** Messages a second, and as many at once; 0 is no limit. */
  readonly messagesPerS: number;
  /** Bytes of a client that may wait for its receivers, where it cannot be stopped. */
  readonly backlogBytes: number;
  readonly nowMs: () => number;
  /** It has ended: nobody asks for it any more. */
  readonly onGone: () => void;
}

/**
 * One WebSocket and its connection in the engine: each message is a frame (RFC 7977 section 5.1), both ways.
 *
 * ```
 * message ─ exactly one frame? ─ feed ──▶ engine ──▶ take ─ one message a frame ─▶ sendAll, while nothing is buffered
 *             no: 1002            much waits: pause                                  else when it has drained
 * ```
 */
export class Bridge implements WsHandler {
  readonly #engine: Engine;
  readonly #connection: ConnectionId;
  readonly #socket: WsSocket;
  readonly #rate: MessageRate;
  readonly #backlogBytes: number;
  readonly #onGone: () => void;
  #full = false;
  #isStopped = false;
  /** The engine has closed it: this is what the client is told once everything is sent. */
  #lastWord: { readonly code: number; readonly reason: string } | undefined;
  /** The engine knows that it has ended. */
  #ended = false;
  #unansweredPings = 0;

  constructor(options: BridgeOptions) {
    this.#engine = options.engine;
    this.#connection = options.connection;
    this.#socket = options.socket;
    this.#rate = new MessageRate(options.messagesPerS, options.nowMs);
    this.#backlogBytes = options.backlogBytes;
    this.#onGone = options.onGone;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#ended || this.#lastWord !== undefined) return;
    this.#unansweredPings = 0;
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!this.#rate.admits()) {
      this.#fail(CODE.POLICY, 'websocket_limit', 'too many messages a second');
      return;
    }
    if (frameEnd(message, 0, message.length) !== message.length) {
      this.#fail(CODE.PROTOCOL_ERROR, 'protocol_error', 'a message that is not one frame');
      return;
    }
    const waiting = this.#engine.feed(this.#connection, message);
    if (waiting >= FEED_BYTES && !this.#full) {
      this.#full = true;
      this.#isStopped = this.#socket.pause();
    }
    // What it has sent before it was stopped still comes; one that cannot be stopped goes on.
    if (this.#full && !this.#isStopped && waiting > this.#backlogBytes)
      this.#fail(CODE.TRY_AGAIN_LATER, 'websocket_limit', 'more than its receivers take');
  }

  onDrain(): void {
    this.#send();
  }

  onPong(): void {
    this.#unansweredPings = 0;
  }

  onClosed(code: number, violation?: string): void {
    if (!this.#ended) {
      this.#ended = true;
      const detail = violation ?? `WebSocket close code ${code}`;
      const reason = code === CODE.TOO_BIG ? 'websocket_limit' : 'protocol_error';
      this.#engine.endExternal(this.#connection, violation === undefined ? reasonOf(code) : reason, detail);
    }
    this.#onGone();
  }

  /** The engine: there is something to send. */
  onOutput(): void {
    this.#send();
  }

  /** The engine: it takes more. */
  onRoom(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#socket.resume();
  }

  /** The engine has closed the connection; what it was about to say is still said. */
  onEngineClosed(reason: CloseReason): void {
    if (this.#ended) return;
    const code = codeOf(reason);
    if (code === undefined) {
      this.#ended = true;
      this.#socket.destroy();
      return;
    }
    this.#lastWord = { code, reason };
    // Whoever is not read from cannot answer a close frame.
    this.#socket.resume();
    this.#send();
  }

  /** Called at an interval: says ping, and ends a peer that has not answered two of them. */
  ping(): void {
    if (this.#ended) return;
    if (this.#unansweredPings >= MISSED_PONGS) {
      this.#ended = true;
      this.#engine.endExternal(this.#connection, 'peer_reset', 'pings are not answered');
      this.#socket.destroy();
      return;
    }
    this.#unansweredPings++;
    this.#socket.ping();
  }

  /** Cuts it off. */
  destroy(): void {
    this.#socket.destroy();
  }

  #send(): void {
    while (!this.#ended && this.#socket.buffered === 0) {
      const output = this.#engine.take(this.#connection);
      if (output !== undefined) {
        this.#socket.sendAll(output.bytes, output.ends);
        continue;
      }
      if (this.#lastWord === undefined) return;
      this.#ended = true;
      this.#socket.close(this.#lastWord.code, this.#lastWord.reason);
    }
  }

  #fail(code: number, reason: CloseReason, detail: string): void {
    this.#ended = true;
    this.#engine.endExternal(this.#connection, reason, detail);
    this.#socket.close(code, detail);
  }
}

/** Pings that a peer may leave unanswered (D-55). */
const MISSED_PONGS = 2;
