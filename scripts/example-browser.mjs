// npm run example:browser: a relay on loopback and a chat page for it. Two tabs, or a tab and `msrpd listen`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildAddon } from './addon.mjs';
import { build, install, root } from './prepare.mjs';
import { servePage } from '../examples/browser/page.mjs';

install();
await build();
const without = await buildAddon();
if (without !== undefined) console.error(`${without}; the relay runs on TypeScript`);
const { createServer } = await import(pathToFileURL(join(root, 'dist', 'index.js')).href);

const [pagePort, wsPort, msrpPort] = [8088, 8089, 2855];
const origins = [`http://127.0.0.1:${pagePort}`, `http://localhost:${pagePort}`];
const server = await createServer({
  config: {
    listeners: [`msrp:127.0.0.1:${msrpPort}`, { uri: `ws:127.0.0.1:${wsPort}`, origins }],
    msrp: { send_timeout: 30_000, max_msg_chunks: 0 },
    relay: { allow_plain_auth: true, allow_ip_use_path: true, next_hops: { allow: ['127.0.0.0/8'] } },
    log: { level: 'warn' },
  },
  users: ['alice', 'bob'].map((user) => [user, '', { password: 'secret' }]),
});
const relay = server.listeners.find(({ uri }) => uri.endsWith(';ws')).uri;
const page = await servePage({ port: pagePort, relay });
console.log(`
  chat page   ${origins[0]}/
  users       alice and bob, password secret

Open it in two tabs, one for each user; or, in another terminal:

  npx msrpd listen --relay 'msrp://127.0.0.1:${msrpPort};tcp' --user bob --password secret

and paste the path that it prints. Stop with Ctrl-C.
`);
process.once('SIGINT', async () => {
  page.close();
  await server.stop();
  process.exit(0);
});
