import type { NodeServerEnvironment } from './node-server.ts';
import { startNodeServer } from './node-server.ts';
import type { WsImplementation, WsServer, WsServerOptions } from './socket.ts';
import { startUwsServer, uwsObjection } from './uws-server.ts';
import type { Uws } from './uws.ts';
import { MsrpError } from '../errors.ts';

/** Which implementation serves a listener, and why. */
export interface WsChoice {
  readonly server: WsServer;
  readonly reason: string;
}

/**
 * Starts a listener on uWebSockets.js where it loads and can do what is asked for, else on the package `ws`. Rejects with
 * `E_LISTEN`, `E_TLS_MATERIAL`, and with `E_WEBSOCKET` when the implementation that is wished for cannot be had.
 */
export async function startWsServer(
  wish: 'auto' | WsImplementation,
  options: WsServerOptions,
  environment: NodeServerEnvironment,
): Promise<WsChoice> {
  const viaWs = async (reason: string): Promise<WsChoice> => ({
    server: await startNodeServer(options, environment),
    reason,
  });
  if (wish === 'ws') return viaWs('as configured');
  const objection = options.tls === undefined ? undefined : uwsObjection(options.tls);
  if (objection !== undefined) {
    if (wish === 'uws') throw new MsrpError('E_WEBSOCKET', `uWebSockets.js cannot serve it: ${objection}`);
    return viaWs(`uWebSockets.js cannot serve it: ${objection}`);
  }
  const uws = await loadUws();
  if (typeof uws === 'string') {
    if (wish === 'uws') throw new MsrpError('E_WEBSOCKET', uws);
    return viaWs(uws);
  }
  return {
    server: await startUwsServer(options, uws),
    reason: wish === 'uws' ? 'as configured' : 'uWebSockets.js loads',
  };
}

/** The module, or why there is none. */
async function loadUws(): Promise<Uws | string> {
  try {
    // Not a literal: it need not be there.
    const name: string = 'uWebSockets.js';
    const { default: uws } = (await import(name)) as { default: Uws };
    return uws;
  } catch (error) {
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    return `uWebSockets.js does not load: ${line}`;
  }
}
