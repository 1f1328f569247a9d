/** npm run replay -- --traces FILE: plays recorded traces through real gateways (loadtest/replay.ts). */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { command, root } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup((line) => process.stderr.write(`${line}\n`));
  const main = join(root, 'dist/loadtest/replay.js');
  process.argv = [process.execPath, main, ...process.argv.slice(2)];
  await import(pathToFileURL(main).href);
});
