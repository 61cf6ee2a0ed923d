/** A connection of an endpoint as it is used: whole frames out, bytes in. */
export interface EndpointTransport {
  /** Who hears of it, from the next turn of the event loop on. */
  attach(owner: TransportOwner): void;
  /** Hands one whole frame over; `done` is called when it has been written. False: wait for `onDrain`. */
  write(frame: Uint8Array, done?: () => void): boolean;
  pause(): void;
  resume(): void;
  /** Ends it behind what was written; `onGone` follows. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
  /** Own address and port; undefined where they cannot be known, in a browser. */
  readonly local: { readonly address: string; readonly port: number } | undefined;
}

export interface TransportOwner {
  onData(bytes: Buffer): void;
  /** There is room again. */
  onDrain(): void;
  /** The peer has ended it, or it has failed. */
  onEnd(error: Error | undefined): void;
  /** Nothing is left of it. Behind `onEnd`, once. */
  onGone(): void;
}

/** TLS of a client. */
export interface ClientTls {
  /** PEM: trusted CAs; those of the system without it. */
  readonly ca?: string;
  /** PEM: own certificate and key, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** Name to send as SNI and to find in the certificate, instead of the host of the URI. */
  readonly serverName?: string;
  /** False accepts any certificate. For tests. Default true. */
  readonly verify?: boolean;
}

/** How to open a transport. */
export interface OpenOptions {
  readonly tls?: ClientTls;
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
  /** Of a WebSocket: path and query of its URL. Default `/`. */
  readonly webSocketPath?: string;
}
