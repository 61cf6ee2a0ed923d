import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ENGINES } from '../engine/harness.ts';
import { soakReloads } from './reloads.ts';

// The long form: npm run soak:reload. Memory says nothing in so short a time; but every reload is looked at.
for (const engine of ['native', 'ts'] as const)
  it(
    `${engine}: 30 reloads under load lose no connection and no message, and do what they say`,
    { skip: canRun(engine) ? false : 'needs the engine, and /proc' },
    async () => {
      const { failures, reloads, refused, messages, descriptors } = await soakReloads(engine, 30, 4);
      assert.deepEqual([...new Set(failures)], []);
      assert.deepEqual([reloads, refused], [40, 4]);
      assert.ok(messages > 0, 'there was a load');
      assert.equal(descriptors[0], descriptors[1]);
    },
  );

function canRun(engine: string): boolean {
  return process.platform === 'linux' && ENGINES.some(({ name }) => name.startsWith(engine));
}
