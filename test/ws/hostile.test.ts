import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { frame, until } from '../engine/harness.ts';

import { RawWebSocket, STACKS, startWsRelay } from './fixture.ts';
import type { WsRelay } from './fixture.ts';

const TEXT = 1;
const BINARY = 2;
const CONTINUATION = 0;
const LIMIT = 20_000;

for (const stack of STACKS) {
  describe(`hostile WebSocket clients: ${stack.name}`, () => {
    let relay: WsRelay;
    before(async () => {
      relay = await startWsRelay(stack, { websocket: `, max_message_bytes: ${LIMIT}, messages_per_s: 50` });
    });
    after(() => relay.server.stop());

    const ask = (tid: string, body?: string): string =>
      frame(tid, 'FROB', `msrp://127.0.0.1:${relay.port};ws`, 'msrps://x.invalid:2855/c;ws', [], body);

    /** The relay has closed a connection for that reason. */
    const closedFor = async (reason: string, since: number): Promise<void> => {
      const isIt = (line: Record<string, unknown>): boolean =>
        line['msg'] === 'connection closed' && line['reason'] === reason;
      await until(`a connection closed for ${reason}`, () => relay.lines.slice(since).some(isIt));
    };

    it('one frame a message is served: binary, text, and in WebSocket fragments with a ping between', async () => {
      const raw = await RawWebSocket.open(relay.port);
      raw.write(BINARY, ask('first001'));
      assert.match(await raw.message(), /^MSRP first001 501 /);
      raw.write(TEXT, ask('second02'));
      assert.match(await raw.message(), /^MSRP second02 501 /);
      const text = ask('third003');
      raw.write(BINARY, text.slice(0, 20), { fin: false });
      raw.write(9, 'ping');
      raw.write(CONTINUATION, text.slice(20, 60), { fin: false });
      raw.write(CONTINUATION, text.slice(60));
      assert.match(await raw.message(), /^MSRP third003 501 /);
      raw.destroy();
    });

    const wrong: readonly [name: string, code: number, uws: number, write: (raw: RawWebSocket) => void][] = [
      ['two MSRP frames in one message', 1002, 1002, (raw) => raw.write(BINARY, ask('twice001') + ask('twice002'))],
      ['two MSRP frames with one transaction id', 1002, 1002, (raw) => raw.write(BINARY, ask('twice001').repeat(2))],
      ['half a frame', 1002, 1002, (raw) => raw.write(BINARY, ask('half0001').slice(0, 50))],
      ['a frame and the half of another', 1002, 1002, (raw) => raw.write(BINARY, ask('half0001') + 'MSRP ')],
      ['no MSRP at all', 1002, 1002, (raw) => raw.write(TEXT, 'GET / HTTP/1.1\r\n\r\n')],
      ['nothing', 1002, 1002, (raw) => raw.write(BINARY, '')],
      ['a message that is too long', 1009, 1009, (raw) => raw.write(BINARY, ask('long0001', 'x'.repeat(LIMIT)))],
      ['one that is far too long', 1009, 1006, (raw) => raw.write(BINARY, Buffer.alloc(10 * LIMIT))],
      [
        'too long in fragments',
        1009,
        1009,
        (raw) => {
          raw.write(BINARY, Buffer.alloc(LIMIT - 10), { fin: false });
          raw.write(CONTINUATION, Buffer.alloc(20));
        },
      ],
      [
        'frames that are not masked',
        1002,
        1002,
        // uWebSockets.js does not look for the mask, and takes the first four bytes for one: what comes out of it is no MSRP.
        (raw) => {
          raw.write(BINARY, ask('bare0001'), { masked: false });
          raw.write(BINARY, ask('bare0002'), { masked: false });
        },
      ],
      ['text that is no UTF-8', 1007, 1006, (raw) => raw.write(TEXT, Buffer.from([0x4d, 0xff, 0xfe, 0x80]))],
      ['a continuation of nothing', 1002, 1006, (raw) => raw.write(CONTINUATION, ask('cont0001'))],
      [
        'a message within another',
        1002,
        1002,
        (raw) => {
          raw.write(BINARY, ask('outer001').slice(0, 20), { fin: false });
          raw.write(BINARY, ask('inner001'));
        },
      ],
      ['an unknown opcode', 1002, 1006, (raw) => raw.write(5, 'x')],
    ];
    for (const [name, code, uws, write] of wrong) {
      const expected = stack.implementation === 'uws' ? uws : code;
      it(`${name}: ${expected}`, async () => {
        const since = relay.lines.length;
        const raw = await RawWebSocket.open(relay.port);
        write(raw);
        assert.equal(await raw.closeCode(), expected);
        raw.destroy();
        // Of some of them uWebSockets.js does not say that it has cut them off.
        const untold = stack.implementation === 'uws' && /^(a continuation of nothing|an unknown opcode)$/.test(name);
        await closedFor(untold ? 'peer_reset' : code === 1009 ? 'websocket_limit' : 'protocol_error', since);
      });
    }

    it('what is malformed and delimited is answered, as over TCP', async () => {
      const raw = await RawWebSocket.open(relay.port);
      const to = `msrp://127.0.0.1:${relay.port};ws`;
      raw.write(BINARY, frame('bad00001', 'SEND', to, 'msrps://x.invalid:2855/c;ws', ['Byte-Range: 5-1/1']));
      raw.write(BINARY, ask('after001'));
      assert.match(await raw.message(), /^MSRP bad00001 400 /);
      assert.match(await raw.message(), /^MSRP after001 501 /);
      raw.destroy();
    });

    it('too many messages a second: 1008', async () => {
      const since = relay.lines.length;
      const raw = await RawWebSocket.open(relay.port);
      for (let i = 0; i < 200; i++) raw.write(BINARY, ask(`many${String(i).padStart(4, '0')}`));
      assert.equal(await raw.closeCode(), 1008);
      await closedFor('websocket_limit', since);
    });
  });
}
