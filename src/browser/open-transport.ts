import type { EndpointEnvironment } from '../endpoint/environment.ts';
import type { EndpointTransport, OpenOptions } from '../endpoint/transport.ts';
import { openWebSocket } from '../endpoint/web-socket-transport.ts';
import type { WebSocketLike } from '../endpoint/web-socket-transport.ts';
import { MsrpError } from '../errors.ts';
import type { MsrpUri } from '../syntax/uri.ts';

/** Connects by the WebSocket of the browser: there is nothing else. Stands for `src/endpoint/open-transport.ts` in the bundle. */
export async function openTransport(
  target: MsrpUri,
  environment: EndpointEnvironment,
  options: OpenOptions,
): Promise<EndpointTransport> {
  if (target.transport !== 'ws') throw new MsrpError('E_ARGUMENT', 'a browser connects to relays with ;ws only');
  return openWebSocket(
    target,
    environment,
    options,
    (url, protocol) => new WebSocket(url, protocol) as unknown as WebSocketLike,
  );
}
