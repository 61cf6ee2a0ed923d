import { EventEmitter } from 'node:events';
import { MsrpError } from '../errors.ts';
import type { RequestFrame } from '../syntax/frame.ts';
import { parsePath } from '../syntax/path.ts';
import type { EndpointEnvironment } from './environment.ts';
import { refuse } from './peer-connection.ts';
import type { PeerConnection, PeerHandler } from './peer-connection.ts';
import { Receiver } from './receiver.ts';
import type { IncomingMessage, ReceiverOptions } from './receiver.ts';
import { Sender } from './sender.ts';
import type { SendOptions, SendResult } from './sender.ts';

/** Events of a session. */
export interface SessionEvents {
  /** A whole message has come. */
  message: [message: IncomingMessage];
  /** A message was given up by its sender, stood still for too long, or could not be stored. */
  aborted: [messageId: string];
  /** A message for which `send` had resolved has not arrived after all: a REPORT of failure, or a late refusal (core C-070). */
  failed: [messageId: string, error: MsrpError];
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
    this.#sender = new Sender(connection, environment, uri, (messageId, error) =>
      this.tell(() => this.emit('failed', messageId, error)),
    );
    this.#receiver = new Receiver({
      connection,
      environment,
      uri,
      options,
      events: {
        onMessage: (message) => this.tell(() => this.emit('message', message)),
        onAborted: (messageId) => this.tell(() => this.emit('aborted', messageId)),
        onProgress: (messageId, octets, total) => this.tell(() => this.emit('progress', messageId, octets, total)),
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
      if (this.closed) return;
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

  /** Tells the application, whose mistakes must not leave a frame half read: they surface behind it. */
  protected tell(emit: () => void): void {
    try {
      emit();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** What the connection tells. */
  protected handler(): PeerHandler {
    const receiver = this.#receiver;
    return {
      onSendHead: (head, issue) => receiver.onSendHead(head, issue),
      onSendBody: (bytes) => receiver.onSendBody(bytes),
      onSendEnd: (flag) => receiver.onSendEnd(flag),
      onRequest: (request, issue) => this.#onRequest(request, issue),
      onClose: (error) => {
        this.#keepAlive?.();
        this.#sender.fail(error ?? new MsrpError('E_CLOSED'));
        receiver.close();
        this.onClosed();
        this.tell(() => this.emit('closed', error));
      },
    };
  }

  /** For subclasses: the connection has gone. */
  protected onClosed(): void {
    // Nothing of its own.
  }

  #onRequest(request: RequestFrame, issue: boolean): void {
    // A REPORT is never answered, whether it is understood or not (core C-061, C-069).
    if (request.method === 'REPORT') {
      if (!issue) this.#sender.onReport(request);
      return;
    }
    refuse(this.connection, request, issue ? 400 : 501);
  }
}
