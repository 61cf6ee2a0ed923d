import type { SocketAddress, TlsInfo, TlsServerSpec } from '../engine/engine.ts';

/** A GET that wants to become a WebSocket. Values of headers are as received, empty when there are none. */
export interface UpgradeRequest {
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  readonly host: string;
  readonly origin: string;
  readonly cookie: string;
  readonly authorization: string;
  /** `Sec-WebSocket-Protocol`. */
  readonly subprotocols: string;
  readonly forwardedFor: string;
  readonly forwardedProto: string;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls?: TlsInfo;
}

/** What becomes of it. */
export type UpgradeVerdict =
  | {
      readonly kind: 'accept';
      /** Of the 101. */
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly open: (socket: WsSocket) => WsHandler;
    }
  | { readonly kind: 'refuse'; readonly status: number; readonly headers: readonly (readonly [string, string])[] };

/** An open WebSocket of either implementation. After its end every call does nothing. */
export interface WsSocket {
  /**
   * Sends a binary message for each of `ends`: `bytes[0..ends[0])`, `bytes[ends[0]..ends[1])` … in one write. The bytes must stay
   * as they are.
   */
  sendAll(bytes: Uint8Array, ends: readonly number[]): void;
  /** Bytes that the kernel has not taken. */
  readonly buffered: number;
  /** Stops reading. False: this implementation cannot. */
  pause(): boolean;
  resume(): void;
  ping(): void;
  /** Begins the closing handshake behind what was sent; the connection is cut when the peer does not answer. */
  close(code: number, reason: string): void;
  destroy(): void;
}

/** What a WebSocket tells its owner. */
export interface WsHandler {
  /** A whole message, text or binary; its bytes are free again when this returns. */
  onMessage(bytes: Uint8Array): void;
  /** `buffered` has come to 0. */
  onDrain(): void;
  onPong(): void;
  /**
   * It has closed. `violation`: the peer has broken the WebSocket protocol, or sent too much, and how; `code` is then what this side
   * has closed with.
   */
  onClosed(code: number, violation?: string): void;
}

export interface WsServerOptions {
  /** Name or address; port 0 is any free one. */
  readonly address: string;
  readonly port: number;
  readonly tls?: WsTls;
  /** A longer message closes the connection with 1009. */
  readonly maxMessageBytes: number;
  /** 0: clients are not pinged. */
  readonly pingIntervalMs: number;
  /** Connections that have not become WebSockets yet; 0 is no limit. */
  readonly maxHandshakes: number;
  readonly handshakeTimeoutMs: number;
  readonly judge: (request: UpgradeRequest) => Promise<UpgradeVerdict>;
  /** Something happened to a connection that was no WebSocket yet, for the log. */
  readonly onRefused: (remote: SocketAddress, why: string) => void;
}

/** What a wss listener serves: the domains, and the files that each of them is made of. */
export interface WsTls {
  readonly spec: TlsServerSpec;
  readonly files: (domain: string) => { readonly certificate: string; readonly privateKey: string } | undefined;
}

/** A listening socket of either implementation. */
export interface WsServer {
  readonly implementation: WsImplementation;
  readonly address: string;
  readonly port: number;
  /** For handshakes that begin from now on. Throws `E_TLS_MATERIAL`, changing nothing. */
  updateTls(tls: WsTls): void;
  /** Stops accepting; WebSockets stay. */
  close(): void;
  /** Cuts everything. */
  destroy(): void;
}

export type WsImplementation = 'uws' | 'ws';

/** The one subprotocol (RFC 7977 section 4.1). */
export const SUBPROTOCOL = 'msrp';

/** A peer that does not answer a close frame is cut off. */
export const CLOSE_MS = 5000;
