import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_BATCH, RPC, RpcError, answerRpc } from '../../src/control/rpc.ts';
import type { RpcParams } from '../../src/control/rpc.ts';

/** The methods of the examples of the specification. */
function call(method: string, params: RpcParams): unknown {
  if (method === 'subtract') {
    const [a, b] = Array.isArray(params)
      ? params
      : [(params as Record<string, unknown>)['minuend'], (params as Record<string, unknown>)['subtrahend']];
    return (a as number) - (b as number);
  }
  if (method === 'sum') return (params as number[]).reduce((sum, value) => sum + value, 0);
  if (method === 'get_data') return ['hello', 5];
  if (method === 'update' || method === 'notify_hello') return undefined;
  if (method === 'fault') throw new Error('a secret of the inside');
  throw new RpcError(RPC.NO_METHOD, 'Method not found');
}

const faults: unknown[] = [];
const ask = async (text: string): Promise<unknown> => {
  const answer = await answerRpc(text, call, (error) => faults.push(error));
  return answer === undefined ? undefined : JSON.parse(answer);
};
const result = (value: unknown, id: unknown) => ({ jsonrpc: '2.0', result: value, id });
const failure = (code: number, message: string, id: unknown) => ({ jsonrpc: '2.0', error: { code, message }, id });

describe('JSON-RPC 2.0, the examples of its specification', () => {
  for (const [text, expected] of [
    ['{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', result(19, 1)],
    ['{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}', result(19, 3)],
    ['{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', undefined],
    ['{"jsonrpc": "2.0", "method": "foobar"}', undefined],
    ['{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', failure(-32601, 'Method not found', '1')],
    ['{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', failure(-32700, 'Parse error', null)],
    ['{"jsonrpc": "2.0", "method": 1, "params": "bar"}', failure(-32600, 'Invalid Request', null)],
    [
      '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"',
      failure(-32700, 'Parse error', null),
    ],
    ['[1]', [failure(-32600, 'Invalid Request', null)]],
    ['[1,2]', [failure(-32600, 'Invalid Request', null), failure(-32600, 'Invalid Request', null)]],
    [
      `[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]`,
      [
        result(7, '1'),
        result(19, '2'),
        failure(-32600, 'Invalid Request', null),
        failure(-32601, 'Method not found', '5'),
        result(['hello', 5], '9'),
      ],
    ],
    ['[{"jsonrpc": "2.0", "method": "notify_hello"},{"jsonrpc": "2.0", "method": "update"}]', undefined],
  ] as [string, unknown][]) {
    it(text.replaceAll(/\s+/g, ' ').slice(0, 100), async () => assert.deepEqual(await ask(text), expected));
  }
});

describe('JSON-RPC, what hostile callers send', () => {
  it('an empty batch and one that is too long are one invalid request', async () => {
    assert.equal(((await ask('[]')) as { error: { code: number } }).error.code, -32600);
    const many = JSON.stringify(
      Array.from({ length: MAX_BATCH + 1 }, () => ({ jsonrpc: '2.0', method: 'sum', params: [] })),
    );
    assert.equal(((await ask(many)) as { error: { code: number } }).error.code, -32600);
  });

  it('a fault inside is told to nobody but the log', async () => {
    const answer = JSON.stringify(await ask('{"jsonrpc":"2.0","method":"fault","id":1}'));
    assert.match(answer, /-32603/);
    assert.doesNotMatch(answer, /secret/);
    assert.equal(faults.length, 1);
  });

  it('any text gets an answer that is JSON-RPC, or none', async () => {
    const value = fc.jsonValue();
    const message = fc.record(
      {
        jsonrpc: fc.oneof(fc.constant('2.0'), value),
        method: fc.oneof(fc.constantFrom('sum', '__proto__', 'constructor'), value),
        params: value,
        id: value,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          value.map((v) => JSON.stringify(v)),
          message.map((v) => JSON.stringify(v)),
          fc.array(message).map((v) => JSON.stringify(v)),
        ),
        async (text) => {
          const answer = await ask(text);
          for (const entry of [answer ?? []].flat() as Record<string, unknown>[]) {
            assert.equal(entry['jsonrpc'], '2.0');
            assert.ok('result' in entry !== 'error' in entry);
          }
        },
      ),
    );
  });
});
