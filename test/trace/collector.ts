import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import hep from 'hep-js';
import { within } from '../engine/harness.ts';

/** A packet as the independent decoder shows it. */
export interface Seen {
  readonly info: Readonly<Record<string, string | number>>;
  readonly payload: string;
}

/** A collector of HEP version 3, for tests. */
export class Collector implements AsyncDisposable {
  readonly seen: Seen[] = [];
  port = 0;
  readonly sockets = new Set<Socket>();
  #rest = Buffer.alloc(0);
  #wake: (() => void)[] = [];
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
    const wait = async (): Promise<Seen[]> => {
      for (;;) {
        const found = this.seen.filter(match);
        if (found.length >= count) return found;
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    };
    return within(`${count} packets; seen: ${JSON.stringify(this.seen)}`, wait());
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
    this.seen.push({ info: decoded.rcinfo, payload: decoded.payload });
    for (const wake of this.#wake.splice(0)) wake();
  }
}
