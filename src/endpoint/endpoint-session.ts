import { EventEmitter } from 'node:events';
import { MsrpError } from '../errors.ts';
import { encodeResponse } from '../syntax/encode.ts';
import type { RequestFrame } from '../syntax/frame.ts';
import { statusComment } from '../syntax/status.ts';
import { parsePath } from '../syntax/path.ts';
import type { EndpointEnvironment } from './environment.ts';
import type { PeerConnection, PeerHandler } from './peer-connection.ts';
import { Receiver } from './receiver.ts';
import type { IncomingMessage, ReceiverOptions } from './receiver.ts';
import { Sender } from './sender.ts';
import type { SendOptions, SendResult } from './sender.ts';

/** Events of a session. */
export interface SessionEvents {
  /** A whole message has come. */
  message: [message: IncomingMessage];
  /** A message was given up by its sender, or stood still for too long. */
  aborted: [messageId: string];
  /** Octets of a message have come; `total` when its sender says how many there will be. */
  progress: [messageId: string, octets: number, total: number | undefined];
  /** The connection has gone, and the session with it (core C-124). */
  closed: [error: MsrpError | undefined];
  /** The relay has extended the session; in seconds. */
  refreshed: [expiresS: number];
  /** The relay has not extended the session: it needs a new one, and a new offer to the peer (relay R-016). */
  expired: [error: MsrpError];
}

/** One session of an endpoint on its connection: what a client and an accepted session have in common. */
export class EndpointSession extends EventEmitter<SessionEvents> {
  /** Own URI of the session. A secret (core C-117). */
  readonly uri: string;
  protected readonly connection: PeerConnection;
  protected readonly environment: EndpointEnvironment;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  #keepAlive: (() => void) | undefined;

  constructor(connection: PeerConnection, environment: EndpointEnvironment, uri: string, options: ReceiverOptions) {
    super();
    this.uri = uri;
    this.connection = connection;
    this.environment = environment;
    this.#sender = new Sender(connection, environment, uri);
    this.#receiver = new Receiver({
      connection,
      environment,
      uri,
      options,
      events: {
        onMessage: (message) => void this.emit('message', message),
        onAborted: (messageId) => void this.emit('aborted', messageId),
        onProgress: (messageId, octets, total) => void this.emit('progress', messageId, octets, total),
      },
    });
  }

  /** Sends one message; see {@link SendOptions}. */
  async send(options: SendOptions): Promise<SendResult> {
    return this.#sender.send(this.toPath(options.to), options);
  }

  /** Binds the connection to the session at the peer by an empty SEND (core C-121). */
  async bind(to: string | readonly string[]): Promise<void> {
    await this.#sender.bind(this.toPath(to));
  }

  /** Sends an empty SEND every `intervalMs`, so that a NAT keeps the connection (core C-035). */
  keepAlive(to: string | readonly string[], intervalMs: number): void {
    this.#keepAlive?.();
    const again = (): void => {
      this.#keepAlive = this.environment.setTimer(intervalMs, () => {
        // A connection that is gone tells so itself.
        void this.bind(to).catch(() => undefined);
        again();
      });
    };
    again();
  }

  get closed(): boolean {
    return this.connection.closed;
  }

  /** Ends the connection behind what was sent. */
  async close(): Promise<void> {
    this.#keepAlive?.();
    await this.connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** To-Path of a request to a peer whose SDP path is `to`. */
  protected toPath(to: string | readonly string[]): readonly string[] {
    const uris = typeof to === 'string' ? parsePath(to.trim(), 16, false) : parsePath(to.join(' '), 16, false);
    if (uris === undefined) throw new MsrpError('E_ARGUMENT', 'the path is no list of MSRP URIs');
    return uris;
  }

  /** What the connection tells. */
  protected handler(): PeerHandler {
    const receiver = this.#receiver;
    return {
      onSendHead: (head, issue) => receiver.onSendHead(head, issue),
      onSendBody: (bytes) => receiver.onSendBody(bytes),
      onSendEnd: (flag) => receiver.onSendEnd(flag),
      onRequest: (request) => this.#onRequest(request),
      onClose: (error) => {
        this.#keepAlive?.();
        this.#sender.fail(error ?? new MsrpError('E_CLOSED'));
        receiver.close();
        this.onClosed();
        this.emit('closed', error);
      },
    };
  }

  /** For subclasses: the connection has gone. */
  protected onClosed(): void {
    // Nothing of its own.
  }

  #onRequest(request: RequestFrame): void {
    // A REPORT is never answered, whether it is understood or not (core C-061, C-069).
    if (request.method === 'REPORT') {
      this.#sender.onReport(request);
      return;
    }
    const { tid, toPath, fromPath } = request;
    if (fromPath.length === 0 || toPath.length === 0) return;
    this.connection.post(
      encodeResponse({ tid, status: 501, comment: statusComment(501), toPath: fromPath, fromPath: toPath.slice(0, 1) }),
    );
  }
}
