// npm run build
import { buildAddon } from './addon.mjs';
import { build, install } from './prepare.mjs';

install();
await build();
const without = await buildAddon();
if (without !== undefined) console.error(without);
