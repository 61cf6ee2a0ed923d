import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { MsrpError } from '../errors.ts';
import type { MsrpUri } from '../syntax/uri.ts';
import type { EndpointEnvironment } from './environment.ts';
import { opened } from './opened.ts';
import type { EndpointTransport, OpenOptions, TransportOwner } from './transport.ts';

/** TCP or TLS. */
export class SocketTransport implements EndpointTransport {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  attach(owner: TransportOwner): void {
    const socket = this.#socket;
    socket.on('data', (chunk) => owner.onData(chunk));
    socket.on('drain', () => owner.onDrain());
    socket.on('error', (error) => owner.onEnd(error));
    socket.on('end', () => owner.onEnd(undefined));
    socket.on('close', () => {
      owner.onEnd(undefined);
      owner.onGone();
    });
  }

  write(frame: Uint8Array, done?: () => void): boolean {
    return this.#socket.write(frame, done);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get local(): { address: string; port: number } {
    return { address: this.#socket.localAddress ?? '127.0.0.1', port: this.#socket.localPort ?? 0 };
  }
}

/** Connects to the host and port of a URI (core section 7); TLS with SNI and verification for msrps (C-130, C-131). */
export async function openSocket(
  target: MsrpUri,
  environment: EndpointEnvironment,
  options: OpenOptions,
): Promise<EndpointTransport> {
  const { host } = target;
  const port = target.port ?? 2855;
  if (options.signal?.aborted === true) throw new MsrpError('E_ABORTED');
  const { ca, cert, key, serverName, verify } = options.tls ?? {};
  const name = serverName ?? host;
  const socket =
    target.scheme === 'msrp'
      ? connectTcp({ host, port })
      : connectTls({
          host,
          port,
          ...(isIP(name) === 0 ? { servername: name } : {}),
          ...(ca === undefined ? {} : { ca }),
          ...(cert === undefined ? {} : { cert }),
          ...(key === undefined ? {} : { key }),
          rejectUnauthorized: verify !== false,
          minVersion: 'TLSv1.2',
        });
  await opened(`${host}:${port}`, environment, options, {
    onOpen: (done) => void socket.once(target.scheme === 'msrp' ? 'connect' : 'secureConnect', done),
    onError: (failed) => void socket.once('error', failed),
    destroy: () => socket.destroy(),
  });
  // From here on its owner hears of errors, and until there is one nobody.
  socket.on('error', () => undefined);
  return new SocketTransport(socket);
}
