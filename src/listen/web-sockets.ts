import type { Config } from '../config/config.ts';
import type { Relay } from '../relay/relay.ts';
import type { WsTls } from '../ws/socket.ts';
import type { ServerListener } from './server.ts';

/**
 * Use-Path of a WebSocket client has to lead other relays here, by TCP (RFC 7977 section 5.2.2, X-008): it names the first msrps
 * listener, else the first msrp listener. Where there is none, only WebSocket clients of this relay can be reached.
 */
export function nameWebSockets(config: Config, listeners: readonly ServerListener[], relay: Relay): void {
  const schemes = config.listeners.map(({ scheme }) => scheme);
  const at = schemes.includes('msrps') ? schemes.indexOf('msrps') : schemes.indexOf('msrp');
  const by = listeners[at];
  const entry = config.listeners[at];
  if (by === undefined || entry === undefined) return;
  const host = entry.advertise?.host ?? entry.address;
  const port = entry.advertise === undefined || entry.advertise.port === 0 ? by.port : entry.advertise.port;
  for (const [i, { listener }] of listeners.entries()) {
    const { scheme } = config.listeners[i] as Config['listeners'][number];
    if (scheme === 'ws' || scheme === 'wss') relay.addListener({ listener, tls: entry.scheme === 'msrps', host, port });
  }
}

/** The files of a TLS domain that has one certificate. */
export function filesOf({ tlsDomains }: Config): WsTls['files'] {
  return (domain) => {
    const { certificateFiles = [], privateKeyFiles = [] } = tlsDomains[domain] ?? {};
    const [certificate, second] = certificateFiles;
    if (certificate === undefined || second !== undefined) return undefined;
    return { certificate, privateKey: privateKeyFiles[0] ?? certificate };
  };
}
