/** Public API of msrpd. */
export { ERRORS, MsrpError } from './errors.ts';
export type { ErrorCode, ErrorRow } from './errors.ts';

export { parse } from './parse/parse.ts';
export type { IncompleteRest, ParseError, ParseOptions, ParseResult, ParsedFrame } from './parse/parse.ts';
export type { Frame, Header, RequestFrame, ResponseFrame } from './syntax/frame.ts';
export { formatByteRange, parseByteRange } from './syntax/byte-range.ts';
export type { ByteRange } from './syntax/byte-range.ts';
export { parseUri, sameUri } from './syntax/uri.ts';
export type { MsrpUri } from './syntax/uri.ts';

export { createServer } from './listen/create-server.ts';
export type { CreateServerOptions } from './listen/create-server.ts';
export type { Server, ServerListener } from './listen/server.ts';
export type { Hooks } from './relay/hooks.ts';

export { MsrpClient } from './endpoint/client.ts';
export type { ClientOptions } from './endpoint/client.ts';
export { MsrpListener } from './endpoint/listener.ts';
export type { AcceptedSession, ListenerOptions } from './endpoint/listener.ts';
export type { SessionEvents } from './endpoint/endpoint-session.ts';
export type { IncomingHead, IncomingMessage, MessageSink } from './endpoint/receiver.ts';
export type { SendBody, SendOptions, SendResult } from './endpoint/sender.ts';
