/** npm run faults: breaks what a fleet stands on and looks at what clients are shown (faults/run.ts). */
import { become, command } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup((line) => process.stderr.write(`${line}\n`)); // stdout is the report's
  await become('dist/faults/run.js', process.argv.slice(2));
});
