/** npm run loadtest: riders and watchers by the thousand, at a gateway of its own or at yours (loadtest/load/main.ts). */
import { become, command } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup((line) => process.stderr.write(`${line}\n`)); // stdout is the report's
  await become('dist/loadtest/load/main.js', process.argv.slice(2));
});
