import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { connect as connectTcp, isIP, isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Logger } from 'pino';
import type { HepDestination } from './hep-id.ts';

/**
 * Where packets go. Never waits, and never throws: what the collector does not take in time waits up to a bound, above which
 * the oldest is dropped and counted (D-64).
 */
export interface HepSender {
  readonly sent: number;
  readonly dropped: number;
  readonly queuedBytes: number;
  send(packet: Buffer): void;
  /** Gives what is queued a moment to go out. */
  close(): void;
}

export interface SenderOptions {
  readonly queueBytes: number;
  /** PEM texts, for TLS. */
  readonly ca: string | undefined;
  readonly verifyCert: boolean;
  readonly log: Logger;
}

/** Opens the way to a collector; connections are made when there is something to send, and again when they break. */
export function createSender(destination: HepDestination, options: SenderOptions): HepSender {
  return destination.transport === 'udp'
    ? new DatagramSender(destination, options)
    : new StreamSender(destination, options);
}

/** The first attempt after a failure, and the longest pause between two. */
const BACK_OFF_MS = { least: 500, most: 30_000 };

/** Who does not take a connection in that time is away. */
const CONNECT_MS = 10_000;

/** At the end, time for what is queued. */
const LINGER_MS = 1000;

/** Bytes handed to the socket at once. */
const BATCH_BYTES = 65_536;

class StreamSender implements HepSender {
  sent = 0;
  dropped = 0;
  queuedBytes = 0;
  readonly #destination: HepDestination;
  readonly #options: SenderOptions;
  #queue: Buffer[] = [];
  /** Packets at the front of the queue that are gone. */
  #head = 0;
  #socket: Socket | undefined;
  #ready = false;
  #retry: NodeJS.Timeout | undefined;
  #pauseMs = BACK_OFF_MS.least;
  #told = false;
  #closed = false;

  constructor(destination: HepDestination, options: SenderOptions) {
    this.#destination = destination;
    this.#options = options;
  }

  send(packet: Buffer): void {
    if (this.#closed) return;
    this.#queue.push(packet);
    this.queuedBytes += packet.length;
    while (this.queuedBytes > this.#options.queueBytes && this.#head < this.#queue.length - 1) {
      this.#take();
      this.dropped++;
    }
    if (this.#ready) this.#flush();
    else if (this.#socket === undefined && this.#retry === undefined) this.#connect();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (socket === undefined) return;
    if (this.#ready) socket.end(Buffer.concat(this.#queue.slice(this.#head)));
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  #connect(): void {
    const { host, port, transport } = this.#destination;
    const { ca, verifyCert, log } = this.#options;
    const where = { host, port, noDelay: true, keepAlive: true };
    const socket =
      transport === 'tcp'
        ? connectTcp(where)
        : connectTls({
            ...where,
            ...(ca === undefined ? {} : { ca }),
            ...(isIP(host) === 0 ? { servername: host } : {}),
            rejectUnauthorized: verifyCert,
            minVersion: 'TLSv1.2',
          });
    this.#socket = socket;
    socket.unref();
    let why = 'closed by the collector';
    const late = setTimeout(() => socket.destroy(new Error('timeout')), CONNECT_MS);
    late.unref();
    socket.once(transport === 'tcp' ? 'connect' : 'secureConnect', () => {
      clearTimeout(late);
      this.#ready = true;
      this.#pauseMs = BACK_OFF_MS.least;
      this.#told = false;
      log.info({ collector: `${host}:${port}`, transport }, 'trace collector connected');
      this.#flush();
    });
    socket.on('drain', () => this.#flush());
    // A collector has nothing to say; what it says all the same must not fill the kernel.
    socket.on('data', () => undefined);
    socket.on('error', (error) => {
      why = (error as { code?: string }).code ?? error.message;
    });
    socket.once('close', () => {
      clearTimeout(late);
      this.#ready = false;
      this.#socket = undefined;
      if (this.#closed) return;
      if (!this.#told) log.warn({ collector: `${host}:${port}`, transport, cause: why }, 'trace collector away');
      this.#told = true;
      this.#retry = setTimeout(
        () => {
          this.#retry = undefined;
          if (this.#head < this.#queue.length) this.#connect();
        },
        this.#pauseMs * (0.75 + Math.random() / 2),
      );
      this.#retry.unref();
      this.#pauseMs = Math.min(BACK_OFF_MS.most, this.#pauseMs * 2);
    });
  }

  #flush(): void {
    const socket = this.#socket as Socket;
    while (this.#head < this.#queue.length && !socket.writableNeedDrain) {
      const batch: Buffer[] = [];
      let size = 0;
      while (this.#head < this.#queue.length && size < BATCH_BYTES) {
        const packet = this.#take();
        batch.push(packet);
        size += packet.length;
      }
      this.sent += batch.length;
      socket.write(batch.length === 1 ? (batch[0] as Buffer) : Buffer.concat(batch, size));
    }
  }

  #take(): Buffer {
    const packet = this.#queue[this.#head] as Buffer;
    this.#head++;
    this.queuedBytes -= packet.length;
    if (this.#head > 256 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return packet;
  }
}

class DatagramSender implements HepSender {
  sent = 0;
  dropped = 0;
  queuedBytes = 0;
  readonly #destination: HepDestination;
  readonly #options: SenderOptions;
  #socket: UdpSocket | undefined;
  #connected = false;
  #waiting: Buffer[] = [];
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(destination: HepDestination, options: SenderOptions) {
    this.#destination = destination;
    this.#options = options;
  }

  send(packet: Buffer): void {
    if (this.#closed) return;
    this.queuedBytes += packet.length;
    if (this.#connected) this.#write(packet);
    else {
      this.#waiting.push(packet);
      if (this.#socket === undefined && this.#retry === undefined) this.#open();
    }
    while (this.queuedBytes > this.#options.queueBytes && this.#waiting.length > 0) {
      this.queuedBytes -= (this.#waiting.shift() as Buffer).length;
      this.dropped++;
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (socket !== undefined) setImmediate(() => socket.close());
    this.#socket = undefined;
  }

  /** The name is looked up once for each socket, not for each packet. */
  #open(): void {
    const { host, port } = this.#destination;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    this.#socket = socket;
    socket.unref();
    socket.on('error', (error) => this.#failed(error));
    socket.connect(port, host, () => {
      this.#connected = true;
      for (const packet of this.#waiting.splice(0)) this.#write(packet);
    });
  }

  #write(packet: Buffer): void {
    if (this.queuedBytes - packet.length > this.#options.queueBytes) {
      this.queuedBytes -= packet.length;
      this.dropped++;
      return;
    }
    this.#socket?.send(packet, (error) => {
      this.queuedBytes -= packet.length;
      // Nobody listens there (the kernel tells with the next packet), or it is too long for a datagram: lost either way.
      if (error === null || error === undefined) this.sent++;
      else this.dropped++;
    });
  }

  #failed(error: Error): void {
    const { host, port } = this.#destination;
    this.#options.log.warn(
      { collector: `${host}:${port}`, transport: 'udp', cause: (error as { code?: string }).code ?? error.message },
      'trace collector away',
    );
    // After a refused datagram the socket serves on; without an address there is none to serve.
    if (this.#connected || this.#closed) return;
    this.#socket?.close();
    this.#socket = undefined;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#waiting.length > 0) this.#open();
    }, BACK_OFF_MS.most);
    this.#retry.unref();
  }
}
