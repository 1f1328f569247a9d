/** npm run bench: the gateway beside bare servers and other systems, measured in one run (bench/main.ts). */
import { become, command } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup((line) => process.stderr.write(`${line}\n`)); // stdout is the report's
  await become('dist/bench/main.js', process.argv.slice(2));
});
