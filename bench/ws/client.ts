import { WebSocket } from 'ws';

/** A WebSocket client of a relay that does no more than a generator needs: hand-made frames, one session. */
export class LoadClient {
  readonly own: string;
  /** URI that the relay has handed out. */
  usePath = '';
  /** A SEND has come. */
  onSend: () => void = () => undefined;
  readonly socket: WebSocket;
  #count = 0;
  readonly #name: string;

  /** The hook of the relay takes the name of the query for the user. */
  static async connect(port: number, name: string): Promise<LoadClient> {
    const client = new LoadClient(port, name);
    await new Promise((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
    });
    // What the relay does when it is ended is no concern here.
    client.socket.on('error', () => undefined);
    const answer = new Promise<string>((resolve) =>
      client.socket.once('message', (data: Buffer) => resolve(data.toString())),
    );
    client.socket.send(
      `MSRP auth0001 AUTH\r\nTo-Path: msrp://127.0.0.1:${port};ws\r\nFrom-Path: ${client.own}\r\n-------auth0001$\r\n`,
    );
    const usePath = /Use-Path: (\S+)/.exec(await answer)?.[1];
    if (usePath === undefined) throw new Error(`no session: ${await answer}`);
    client.usePath = usePath;
    client.socket.on('message', (data: Buffer) => client.#onMessage(data));
    return client;
  }

  private constructor(port: number, name: string) {
    this.#name = name;
    this.own = `msrps://${name}.invalid:2855/client${name};ws`;
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/?${name}`, 'msrp', { perMessageDeflate: false });
  }

  send(to: LoadClient, body: string): void {
    const tid = `${this.#name}${String(this.#count++).padStart(8, '0')}`;
    this.socket.send(
      `MSRP ${tid} SEND\r\nTo-Path: ${this.usePath} ${to.usePath} ${to.own}\r\nFrom-Path: ${this.own}\r\n` +
        `Message-ID: ${tid}\r\nByte-Range: 1-${body.length}/${body.length}\r\nContent-Type: text/plain\r\n\r\n${body}\r\n-------${tid}$\r\n`,
    );
  }

  close(): void {
    this.socket.terminate();
  }

  #onMessage(data: Buffer): void {
    const text = data.toString('latin1', 0, 1000);
    const match = /^MSRP (\S+) SEND\r\nTo-Path: (\S+)\r\nFrom-Path: (\S+)/.exec(text);
    if (match === null) return;
    const [, tid, to, from] = match;
    this.socket.send(`MSRP ${tid} 200 OK\r\nTo-Path: ${from}\r\nFrom-Path: ${to}\r\n-------${tid}$\r\n`);
    this.onSend();
  }
}
