/** npm run replay -- --traces FILE: plays recorded traces through real gateways (loadtest/replay.ts). */
import { become, command } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup((line) => process.stderr.write(`${line}\n`)); // stdout is the report's
  await become('dist/loadtest/replay.js', process.argv.slice(2));
});
