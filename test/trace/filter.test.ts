import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileRules, parsePeers } from '../../src/trace/filter.ts';
import type { TraceFacts } from '../../src/trace/filter.ts';

const FACTS: TraceFacts = {
  direction: 'in',
  remote: { address: '192.0.2.7', port: 5000 },
  local: { address: '192.0.2.1', port: 2855 },
  listener: 'msrps:0.0.0.0:2855',
  users: ['carol', 'alice'],
  tlsNames: ['relay.example.com'],
};

describe('rules of trace_filter_route', () => {
  it('the first that fits decides; without one a connection is traced', () => {
    assert.equal(compileRules([])(FACTS), 'trace');
    assert.equal(compileRules([{ action: 'drop' }])(FACTS), 'drop');
    assert.equal(compileRules([{ action: 'trace', peer: '192.0.2.7' }, { action: 'drop' }])(FACTS), 'trace');
    assert.equal(compileRules([{ action: 'drop' }, { action: 'trace', peer: '192.0.2.7' }])(FACTS), 'drop');
  });

  it('each criterion, and all of a rule together', () => {
    const fits = (rule: object, facts: Partial<TraceFacts> = {}): boolean =>
      compileRules([{ action: 'drop', ...rule }])({ ...FACTS, ...facts }) === 'drop';
    assert.ok(fits({ peer: '192.0.2.0/24' }) && !fits({ peer: '192.0.3.0/24' }));
    assert.ok(fits({ peer: '2001:db8::/32' }, { remote: { address: '2001:db8::5', port: 1 } }));
    assert.ok(!fits({ peer: '0.0.0.0/0' }, { remote: { address: '', port: 0 } }));
    assert.ok(fits({ port: 5000 }) && !fits({ port: 5001 }));
    assert.ok(fits({ listener: 'msrps:0.0.0.0:2855' }) && !fits({ listener: 'msrp:0.0.0.0:2855' }));
    assert.ok(fits({ direction: 'in' }) && !fits({ direction: 'out' }));
    assert.ok(fits({ user: 'alice' }) && !fits({ user: 'bob' }) && !fits({ user: 'alice' }, { users: [] }));
    assert.ok(fits({ tlsName: 'Relay.example.com' }) && fits({ tlsName: '*.example.com' }));
    assert.ok(!fits({ tlsName: '*.com' }) && !fits({ tlsName: '*.example.com' }, { tlsNames: ['example.com'] }));
    assert.ok(fits({ user: 'alice', port: 5000 }) && !fits({ user: 'alice', port: 1 }));
  });

  it('addresses and blocks', () => {
    for (const text of ['192.0.2.1', '192.0.2.0/24', '0.0.0.0/0', '::1', '2001:db8::/128'])
      assert.ok(parsePeers(text), text);
    for (const text of ['', 'x', '192.0.2.0/33', '192.0.2.0/', '192.0.2.0/24/8', '::/129', '192.0.2', '1/-1'])
      assert.equal(parsePeers(text), undefined, text);
  });
});
