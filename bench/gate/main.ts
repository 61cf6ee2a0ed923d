// npm run bench:gate: exit code 1 when the parser has become slower than bench/gates.json allows. `--help` tells the options.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkOutBase } from './base.ts';
import type { Base } from './base.ts';
import { instructionsGate, nativeGate, selfTest, typescriptGate } from './gates.ts';
import type { Finding, Gates } from './verdict.ts';

const HELP = `npm run bench:gate -- [options]

  --only NAME   instructions, native, typescript or self-test; may be given again. Default: all

MSRPD_BENCH_BASE names the commit to compare with. Default: where HEAD left main; on main the commit before it.
`;

type Gate = (gates: Gates, base: () => Base) => Finding[];

const GATES: Readonly<Record<string, Gate>> = {
  instructions: (gates, base) => instructionsGate(gates, base, say),
  native: (gates) => nativeGate(gates),
  typescript: (gates, base) => typescriptGate(gates, base, say),
  'self-test': (gates) => selfTest(gates),
};

try {
  process.exitCode = main();
} catch (error) {
  say(`bench:gate: ${(error as Error).message}`);
  process.exitCode = 1;
}

function main(): number {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const names = values.only ?? Object.keys(GATES);
  const gates = JSON.parse(readFileSync(new URL('../gates.json', import.meta.url), 'utf8')) as Gates;
  let base: Base | undefined;
  const theBase = (): Base => (base ??= checkOutBase());
  let failed = 0;
  try {
    for (const name of names) {
      const gate = GATES[name];
      if (gate === undefined)
        throw new Error(`--only ${name}: there is no such gate (${Object.keys(GATES).join(', ')})`);
      say(`${name} …`);
      const findings = attempt(() => gate(gates, theBase));
      for (const { passed, text } of findings) say(`${passed ? 'ok    ' : 'FAILED'}  ${text}`);
      failed += findings.filter(({ passed }) => !passed).length;
    }
  } finally {
    base?.remove();
  }
  say(failed === 0 ? 'gate passed' : `gate failed: ${failed}`);
  return failed === 0 ? 0 : 1;
}

/** What could not be run has not passed; the others run all the same. */
function attempt(gate: () => Finding[]): Finding[] {
  try {
    const findings = gate();
    return findings.length > 0 ? findings : [{ passed: false, text: 'nothing was looked at' }];
  } catch (error) {
    return [{ passed: false, text: `could not run: ${(error as Error).message}` }];
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
