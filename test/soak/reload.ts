// npm run soak:reload -- [reloads] [native|ts]: reloads of certificates and users under load, on both engines. Exits 1 when a connection
// or a message is lost, when a reload does not do what it should, or when the relay grows.
import { soakReloads } from './reloads.ts';
import { megabytes, say } from './relay.ts';

const [reloads, only] = [Number(process.argv[2] ?? 1000), process.argv[3]];
if (!Number.isInteger(reloads) || reloads < 20) throw new Error(`reloads, 20 or more; not ${process.argv[2]}`);

for (const engine of ['native', 'ts'] as const) {
  if (only !== undefined && only !== engine) continue;
  const report = await soakReloads(engine, reloads);
  const { failures, memory, descriptors } = report;
  say(`${engine}: ${report.reloads} reloads, ${report.refused} of them broken, in ${report.seconds.toFixed(0)} s`);
  say(`  messages: ${report.messages}, each with its responses and a REPORT`);
  say(`  resident: ${memory.map(({ resident }) => megabytes(resident)).join(', ')}`);
  say(`  live, of JavaScript: ${memory.map(({ live }) => (live / 1024 / 1024).toFixed(1)).join(', ')} MB`);
  say(`  file descriptors: ${descriptors.join(' before, ')} after`);
  // The same thing a thousand times is one thing.
  for (const failure of [...new Set(failures)].slice(0, 20)) say(`  failed: ${failure}`);
  say(failures.length === 0 ? '  passed' : '  failed');
  if (failures.length > 0) process.exitCode = 1;
}
