/** msrpd in a browser: the endpoint over WebSocket (docs/websocket.md). */
export { MsrpClient } from '../endpoint/client.ts';
export type { ClientOptions } from '../endpoint/client.ts';
export type { SessionEvents } from '../endpoint/endpoint-session.ts';
export type { IncomingHead, IncomingMessage, MessageSink } from '../endpoint/receiver.ts';
export type { SendBody, SendOptions, SendResult } from '../endpoint/sender.ts';
export { MsrpError } from '../errors.ts';
export type { ErrorCode } from '../errors.ts';
export { parseUri } from '../syntax/uri.ts';
