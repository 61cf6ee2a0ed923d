import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import hep from 'hep-js';
import { until } from '../engine/harness.ts';

/** A packet as the independent decoder shows it. */
export interface Seen {
  readonly info: Readonly<Record<string, string | number>>;
  readonly payload: string;
  /** As it has come: the decoder does not know every chunk. */
  readonly packet: Buffer;
}

/** A collector of HEP version 3, for tests. */
export class Collector implements AsyncDisposable {
  readonly seen: Seen[] = [];
  port = 0;
  readonly sockets = new Set<Socket>();
  #rest = Buffer.alloc(0);
  #close: () => Promise<void> = async () => undefined;

  static async start(
    transport: 'udp' | 'tcp' | 'tls',
    options: { key?: string; cert?: string; port?: number } = {},
  ): Promise<Collector> {
    const collector = new Collector();
    if (transport === 'udp') {
      const socket = createSocket('udp4');
      socket.on('message', (packet) => collector.#take(packet));
      socket.bind(options.port ?? 0, '127.0.0.1');
      await once(socket, 'listening');
      collector.port = socket.address().port;
      collector.#close = async () => void socket.close();
      return collector;
    }
    const take = (socket: Socket): void => {
      collector.sockets.add(socket);
      socket.on('data', (bytes: Buffer) => collector.#takeStream(bytes));
      socket.on('error', () => undefined);
    };
    const server: Server = transport === 'tcp' ? createServer(take) : createTlsServer(options, take);
    server.listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    collector.port = (server.address() as AddressInfo).port;
    collector.#close = async () => {
      for (const socket of collector.sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    };
    return collector;
  }

  /** Waits until so many packets have come in all that `match`. */
  async until(count: number, match: (seen: Seen) => boolean = () => true): Promise<Seen[]> {
    let found: Seen[] = [];
    const holds = (): boolean => (found = this.seen.filter(match)).length >= count;
    try {
      await until(`${count} packets`, holds);
    } catch (error) {
      throw new Error(`seen: ${JSON.stringify(this.seen.map(({ payload }) => payload))}`, { cause: error });
    }
    return found;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  #takeStream(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 6 && this.#rest.length >= this.#rest.readUInt16BE(4)) {
      const length = this.#rest.readUInt16BE(4);
      this.#take(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
  }

  #take(packet: Buffer): void {
    const decoded = hep.decapsulate(packet);
    if (decoded === false) throw new Error(`not decoded: ${packet.toString('hex')}`);
    this.seen.push({ info: decoded.rcinfo, payload: decoded.payload, packet: Buffer.from(packet) });
  }
}
