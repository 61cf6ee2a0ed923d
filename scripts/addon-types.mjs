// npm run addon:types: writes native/addon/index.d.ts; with --check only says whether it is as it should be.
import { readFileSync, writeFileSync } from 'node:fs';
import { addonTypes, typesFile } from './addon.mjs';

const types = addonTypes();
if (!process.argv.includes('--check')) writeFileSync(typesFile, types);
else if (readFileSync(typesFile, 'utf8') !== types) {
  console.error('native/addon/index.d.ts is not what native/addon/src says: npm run addon:types');
  process.exitCode = 1;
}
