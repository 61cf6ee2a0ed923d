import type { WsImplementation } from './socket.ts';

/** What holds for all WebSocket listeners. */
export interface WsSettings {
  readonly implementation: 'auto' | WsImplementation;
  /** Of a message from a client. */
  readonly maxMessageBytes: number;
  readonly messagesPerS: number;
  readonly backlogBytes: number;
  readonly chunkOctets: number;
  /** 0: none. */
  readonly pingIntervalMs: number;
  /** Addresses and CIDR blocks. */
  readonly trustedProxies: readonly string[];
}
