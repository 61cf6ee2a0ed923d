import type { MsrpUri } from '../syntax/uri.ts';
import type { EndpointEnvironment } from './environment.ts';
import { openSocket } from './socket-transport.ts';
import type { EndpointTransport, OpenOptions } from './transport.ts';
import { openWebSocket } from './web-socket-transport.ts';

/** Connects to where a URI leads: by TCP, TLS or WebSocket. In a browser `src/browser/open-transport.ts` stands here. */
export async function openTransport(
  target: MsrpUri,
  environment: EndpointEnvironment,
  options: OpenOptions,
): Promise<EndpointTransport> {
  if (target.transport !== 'ws') return openSocket(target, environment, options);
  const { WebSocket } = await import('ws');
  return openWebSocket(target, environment, options, (url, protocol, { tls = {} }) => {
    const { ca, cert, key, serverName, verify } = tls;
    return new WebSocket(url, protocol, {
      perMessageDeflate: false,
      handshakeTimeout: options.timeoutMs,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      rejectUnauthorized: verify !== false,
      minVersion: 'TLSv1.2',
    });
  });
}
