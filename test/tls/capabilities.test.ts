import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { TLS_CIPHERS, TLS_CURVES } from '../../src/engine/engine.ts';
import type { Pair } from '../listen/certificates.ts';
import { ENGINES } from '../engine/harness.ts';
import { TlsBench, domain, failureOf, issue } from './harness.ts';

const page = readFileSync(new URL('../../docs/tls.md', import.meta.url), 'utf8');

/** The text of a row of a table. */
function row(name: string): string {
  return new RegExp(`^\\| ${name} \\| (.*) \\|$`, 'm').exec(page)?.[1] ?? '';
}

/** Names as the page has them, `{a,b}` being each of them. */
function names(text: string): string[] {
  return Array.from(text.matchAll(/`([^`]+)`/g), ([, name = '']) => name).flatMap(expand);
}

function expand(name: string): string[] {
  const [, head = '', choices, tail = ''] = /^(.*?)\{([^}]*)\}(.*)$/.exec(name) ?? [];
  return choices === undefined ? [name] : choices.split(',').flatMap((choice) => expand(`${head}${choice}${tail}`));
}

it('docs/tls.md says what there is', () => {
  // AES goes with the hash of its length.
  const written = names(row('suites')).filter((name) => !/AES256.*SHA256|AES128.*SHA384/.test(name));
  assert.deepEqual(written.toSorted(), TLS_CIPHERS.toSorted());
  assert.deepEqual(names(row('groups')), [...TLS_CURVES]);
});

for (const { name, make } of ENGINES)
  describe(`${name}: all that is offered, and nothing else`, () => {
    let pairs: readonly Pair[];
    before(async () => {
      pairs = [await issue({ names: ['relay.example'], kind: 'rsa' }), await issue({ names: ['relay.example'] })];
    });
    const withBench = async (run: (bench: TlsBench) => Promise<void>): Promise<void> => {
      const bench = await TlsBench.listen(make, { byName: [], fallback: domain('default', pairs) });
      try {
        await run(bench);
      } finally {
        await bench.stop();
      }
    };

    it('suites', () =>
      withBench(async (bench) => {
        for (const suite of TLS_CIPHERS) {
          const options = suite.startsWith('TLS_') ? ['-tls1_3', '-ciphersuites'] : ['-tls1_2', '-cipher'];
          const event = await bench.handshake(...options, suite);
          assert.equal(event.type === 'opened' ? event.tls?.cipher : event.detail, suite);
        }
        for (const suite of ['AES128-SHA', 'ECDHE-RSA-AES128-SHA256', 'DHE-RSA-AES128-GCM-SHA256'])
          assert.equal(failureOf(await bench.handshake('-tls1_2', '-cipher', suite)), 'no_shared_cipher', suite);
      }));

    it('groups', () =>
      withBench(async (bench) => {
        for (const version of ['-tls1_2', '-tls1_3']) {
          for (const group of TLS_CURVES)
            assert.equal((await bench.handshake(version, '-groups', group)).type, 'opened', `${version} ${group}`);
          const other = await bench.handshake(version, '-groups', 'P-521');
          assert.equal(failureOf(other), 'no_shared_cipher', `${version} P-521`);
        }
      }));
  });
