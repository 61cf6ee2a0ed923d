/**
 * What is used of uWebSockets.js. Written down here since the package need not be installed, and its types with it; its own names.
 */
export interface Uws {
  App(): UwsApp;
  SSLApp(files: { readonly cert_file_name: string; readonly key_file_name: string }): UwsApp;
  us_listen_socket_close(socket: unknown): void;
}

export interface UwsApp {
  ws<Data>(pattern: string, behavior: UwsBehavior<Data>): UwsApp;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  listen(host: string, port: number, done: (socket: unknown) => void): UwsApp;
  close(): UwsApp;
}

interface UwsBehavior<Data> {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  /** Seconds. */
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  readonly compression: number;
  upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void;
  open(websocket: UwsWebSocket<Data>): void;
  message(websocket: UwsWebSocket<Data>, message: ArrayBuffer): void;
  drain(websocket: UwsWebSocket<Data>): void;
  pong(websocket: UwsWebSocket<Data>): void;
  close(websocket: UwsWebSocket<Data>, code: number, message: ArrayBuffer): void;
}

export interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  end(body: string, closeConnection: boolean): UwsResponse;
  onAborted(handler: () => void): UwsResponse;
  getRemoteAddressAsText(): ArrayBuffer;
  cork(write: () => void): UwsResponse;
  upgrade(data: unknown, key: string, subprotocol: string, extensions: string, context: unknown): void;
}

/** Valid within the call that it comes with. */
export interface UwsRequest {
  /** Name in lower case; empty when there is none. */
  getHeader(name: string): string;
  getUrl(): string;
  getQuery(): string;
}

export interface UwsWebSocket<Data> {
  send(message: Uint8Array, isBinary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  end(code: number, message: string): void;
  close(): void;
  ping(): number;
  cork(write: () => void): UwsWebSocket<Data>;
  getUserData(): Data;
}
