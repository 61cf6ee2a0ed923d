import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { METHODS } from '../../src/control/methods.ts';
import { MsrpClient } from '../../src/endpoint/client.ts';
import { MsrpListener } from '../../src/endpoint/listener.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { within } from '../engine/harness.ts';
import { KINDS } from '../listen/engines.ts';
import { config, post, rpc, startRelay } from '../listen/fixture.ts';
import type { Fixture, RpcAnswer } from '../listen/fixture.ts';

const NAMES = [...METHODS.keys(), 'version'];

/** `params`: JSON, or what stands in its place. */
async function rpcOf(fixture: Fixture, method: string, params: string): Promise<RpcAnswer> {
  const body = `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${params},"id":1}`;
  const response = await post(fixture, body);
  assert.equal(response.status, 200, `${method} ${body.slice(0, 200)}`);
  return (await response.json()) as RpcAnswer;
}

function start(engine: string): Promise<Fixture> {
  const text = `
engine: ${engine}
listeners: [msrp:127.0.0.1:0]
msrp: {send_timeout: 30000, max_msg_chunks: 0, trace_destination: x}
relay: {allow_plain_auth: true, allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8]}}
hep: {hep_id: {x: "127.0.0.1:9;transport=udp"}}
control: {listen: "http:127.0.0.1:0"}
`;
  return startRelay(text, undefined, () => config(text));
}

/** A conversation with a next hop, which must go on whatever is called. */
class Conversation implements AsyncDisposable {
  readonly client: MsrpClient;
  readonly #listener: MsrpListener;
  readonly #got: string[] = [];
  #wake: () => void = () => undefined;
  #sent = 0;

  static async begin(fixture: Fixture): Promise<Conversation> {
    const listener = await MsrpListener.listen({ host: '127.0.0.1', port: 0 });
    const client = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
    const conversation = new Conversation(client, listener);
    await conversation.goesOn();
    return conversation;
  }

  private constructor(client: MsrpClient, listener: MsrpListener) {
    this.client = client;
    this.#listener = listener;
    listener.on('session', (session) =>
      session.on('message', (message: IncomingMessage) => {
        this.#got.push(message.text());
        this.#wake();
      }),
    );
  }

  /** One more message arrives. */
  async goesOn(): Promise<void> {
    const body = `message ${++this.#sent}`;
    await this.client.send({ to: [this.#listener.uri], contentType: 'text/plain', body });
    const arrived = async (): Promise<void> => {
      while (this.#got.at(-1) !== body) await new Promise<void>((resolve) => (this.#wake = resolve));
    };
    await within(body, arrived());
    assert.equal(this.#got.length, this.#sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#listener.close();
  }
}

/** What each method takes, with what its answer must look like. `ID`, `SESSION`: those of a client that nobody needs. */
const GOOD: Readonly<Record<string, readonly (readonly [params: unknown, answer: (result: unknown) => boolean])[]>> = {
  msrp_trace: [
    [[], (result) => JSON.stringify(result) === '{"MSRP tracing":"off"}'],
    [['on'], isOk],
    [{}, (result) => JSON.stringify(result) === '{"MSRP tracing":"on"}'],
    [{ trace_mode: 'off' }, isOk],
  ],
  tls_list: [[[], isList(0)]],
  tls_reload: [[[], isOk]],
  list_connections: [
    [[], isList(3)],
    [{ limit: 1 }, isList(1)],
    [[10_000, 2], isList(1)],
    [{ limit: 0 }, isList(0)],
    [{ offset: 2 ** 53 - 1 }, isList(0)],
  ],
  list_sessions: [
    [[], isList(2)],
    [{ limit: 1, offset: 1 }, isList(1)],
  ],
  list_next_hops: [[[], isList(1)]],
  list_queues: [[[], Array.isArray]],
  get_statistics: [[{}, (result) => (result as { sessions: number }).sessions === 2]],
  engine: [[[], (result) => typeof (result as { reason: unknown }).reason === 'string']],
  log_level: [
    [[], (result) => JSON.stringify(result) === '{"level":"debug"}'],
    [['silent'], isOk],
    [{ level: 'debug' }, isOk],
  ],
  reload: [[[], (result) => JSON.stringify(result) === '{"changed":[],"needs_restart":[]}']],
  version: [[[], (result) => /^\d+\./.test((result as { version: string }).version)]],
  close_session: [[['SESSION'], isOk]],
  close_connection: [[{ id: 'ID' }, isOk]],
  drain: [[[], isOk]],
};

/** What a method with parameters does not take; those without take nothing at all. */
const BAD: Readonly<Record<string, readonly unknown[]>> = {
  msrp_trace: [['ON'], [''], [null], [true], [['on']], { mode: 'on' }, ['on', 'off']],
  list_connections: [['1'], [-1], [10_001], [0.5], [1, 2, 3], { limit: null }, { offset: 2 ** 53 }],
  list_sessions: [['1'], [-1], [10_001], { limit: '1' }, { state: 'open' }],
  list_next_hops: [[{}], [1, -1], { limit: 1e300 }],
  list_queues: [[[]], { offset: 'x' }],
  log_level: [['loud'], [1], [null], [{ level: 'debug' }], { level: '' }, { level: 'debug', for: 10 }],
  close_connection: [[], {}, ['1'], [-1], [1.5], [2 ** 53], [null], { id: 1, reason: 'x' }, { session: 1 }],
  close_session: [[], ['1'], [-1], [1, 2], { id: 1 }],
};

/** Of no use to any method, as JSON: what is meant to break parsers, objects, logs and memory. */
const HOSTILE: readonly string[] = [
  '{"__proto__":{"changes":true}}',
  '{"constructor":{"prototype":{"changes":true}}}',
  '{"toString":1}',
  '["\\u0000","x"]',
  '{"\\u001b[2J\\r\\n{\\"level\\":60}":1}',
  '{"\\u202e":"\\ud800"}',
  `["${'x'.repeat(60_000)}"]`,
  `[0${',0'.repeat(20_000)}]`,
  `[${'['.repeat(20_000)}${']'.repeat(20_000)}]`,
  `${'{"x":'.repeat(8000)}1${'}'.repeat(8000)}`,
  '[{"$where":"1","length":-1}]',
  '["\'; DROP TABLE users; --","../../etc/passwd","${jndi:ldap://x}"]',
  '[1e999]',
];

for (const engine of KINDS) {
  describe(`every control method, engine ${engine}`, () => {
    it('good calls, each answered as it should be, and messages go on', async () => {
      assert.deepEqual(Object.keys(GOOD).toSorted(), NAMES.toSorted(), 'all of them are called');
      await using fixture = await start(engine);
      await using conversation = await Conversation.begin(fixture);
      const idle = await MsrpClient.connect({ relay: fixture.uri, user: 'alice', password: 'secret' });
      const closed = once(idle, 'closed');
      const sessions = (await rpc(fixture, 'list_sessions')).result as { session: number; connection: number }[];
      const { session, connection } = sessions.toSorted((a, b) => a.session - b.session).at(-1)!;
      const fill = (text: string): unknown =>
        JSON.parse(text.replace('"SESSION"', `${session}`).replace('"ID"', `${connection}`));
      for (const [method, calls] of Object.entries(GOOD)) {
        for (const [params, isRight] of calls) {
          const answer = await rpc(fixture, method, fill(JSON.stringify(params)));
          assert.ok(isRight(answer.result), `${method} ${JSON.stringify(params)}: ${JSON.stringify(answer)}`);
        }
        if (method !== 'drain') await conversation.goesOn();
      }
      await within('the end of who was closed', closed);
      await within('the end of all', fixture.server.ended);
    });

    it('bad calls change nothing and say what is wrong', async () => {
      await using fixture = await start(engine);
      await using conversation = await Conversation.begin(fixture);
      for (const method of NAMES.filter((name) => name !== 'version')) {
        const calls = METHODS.get(method)!.params.length === 0 ? [[1], { x: 1 }, ['']] : BAD[method];
        assert.ok(calls !== undefined && calls.length > 0, `${method} has bad calls`);
        for (const params of calls) {
          const { error } = await rpc(fixture, method, params);
          assert.deepEqual(
            [error?.code, typeof error?.data],
            [-32602, 'string'],
            `${method} ${JSON.stringify(params)}`,
          );
        }
      }
      await unharmed(fixture, conversation);
    });

    it('hostile calls: refused, harmless in the log, and nothing of them comes back', async () => {
      await using fixture = await start(engine);
      await using conversation = await Conversation.begin(fixture);
      for (const method of NAMES.filter((name) => name !== 'version'))
        for (const params of HOSTILE) {
          const { error } = await rpcOf(fixture, method, params);
          assert.equal(error?.code, -32602, `${method} ${params.slice(0, 100)}`);
          const told = JSON.stringify(error);
          assert.ok(told.length < 500, 'a short answer');
          for (const text of textsOf(params)) assert.ok(!told.includes(text), `${method}: ${told}`);
        }
      assert.equal(({} as { changes?: boolean }).changes, undefined, 'no prototype was touched');
      // eslint-disable-next-line no-control-regex
      for (const line of fixture.lines) assert.doesNotMatch(String(line['msg']), /[\u0000-\u001f]/);
      await unharmed(fixture, conversation);
    });

    it('whatever JSON the parameters are, a method answers or refuses: never a fault', async () => {
      await using fixture = await start(engine);
      await using conversation = await Conversation.begin(fixture);
      // What drains, closes the conversation or silences the log would be meant.
      const meant = /^(drain|close_connection|close_session|log_level)$/;
      const name = fc.constantFrom(...NAMES.filter((method) => !meant.test(method)));
      const word = fc.constantFrom('trace_mode', 'limit', 'offset', 'id', 'session', 'level', '__proto__');
      const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom('on', 'off', 'debug', 0, 1, 1e308, -0));
      const params = fc.oneof(fc.array(value, { maxLength: 4 }), fc.dictionary(word, value, { maxKeys: 3 }));
      await fc.assert(
        fc.asyncProperty(name, params, async (method, given) => {
          const { result, error } = await rpc(fixture, method, given);
          assert.ok(error === undefined ? result !== undefined : [-32602, -32000].includes(error.code), error?.message);
        }),
        { numRuns: 300 },
      );
      assert.ok(!fixture.lines.some(({ msg }) => msg === 'control method failed'), 'no fault in the log');
      await conversation.goesOn();
    });
  });
}

async function unharmed(fixture: Fixture, conversation: Conversation): Promise<void> {
  assert.deepEqual(
    fixture.lines.filter((line) => line['audit'] === true && line['outcome'] !== 'failed'),
    [],
    'nothing was changed',
  );
  assert.equal(fixture.server.draining, false);
  assert.equal(fixture.lines.filter(({ level }) => (level as number) >= 50).length, 0, 'no error in the log');
  await conversation.goesOn();
}

/** Keys and texts in parameters, as JSON has them; not such as any answer may have by chance. */
function textsOf(params: string): string[] {
  const texts = Array.from(params.matchAll(/"((?:\\.|[^"\\])*)"/g), ([, text]) => text!);
  return texts.filter((text) => text.length > 3);
}

function isOk(result: unknown): boolean {
  return result === 'OK';
}

function isList(length: number): (result: unknown) => boolean {
  return (result) => Array.isArray(result) && result.length === length;
}
