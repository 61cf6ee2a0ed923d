import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { configSchema } from '../../src/config/schema.ts';
import type { SchemaNode } from '../../src/config/schema-node.ts';

/** Dotted keys of the schema with their nodes; groups are not keys of their own. */
function keysOf(node: SchemaNode, prefix = ''): [string, SchemaNode][] {
  const found: [string, SchemaNode][] = [];
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    const nested = child.items?.properties === undefined ? child : child.items;
    if (nested !== child) found.push([key, child]);
    if (nested.properties !== undefined) found.push(...keysOf(nested, nested === child ? key : `${key}[]`));
    else if (child.patternProperties !== undefined) {
      for (const domain of Object.values(child.patternProperties)) found.push(...keysOf(domain, `${key}.NAME`));
    } else if (nested === child) found.push([key, child]);
  }
  return found;
}

it('docs/configuration.md has a row for each key, with its default and its OpenSIPS name, and no other', () => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const rows = new Map<string, string>();
  for (const [row, key] of text.matchAll(/^\| `([^`]+)` \|(?:(?:[^|\\]|\\.)*\|){4}$/gm)) rows.set(key as string, row);
  const keys = keysOf(configSchema);
  assert.ok(keys.length > 50, `${keys.length}`);
  for (const [key, node] of keys) {
    const row = rows.get(key);
    assert.ok(row !== undefined, `no row for ${key}`);
    if (typeof node.default === 'number' || typeof node.default === 'boolean')
      assert.ok(row.includes(`| ${String(node.default)} `), `${key}: default`);
    if (node.opensips !== undefined) assert.ok(row.includes(`\`${node.opensips}\``), `${key}: ${node.opensips}`);
    rows.delete(key);
  }
  assert.deepEqual([...rows.keys()], []);
});
