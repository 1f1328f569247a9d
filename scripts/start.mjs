/** npm start: the demo. npm start -- --no-demo: the gateway alone, configured by environment variables. */
import { become, command } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup();
  const args = process.argv.slice(2);
  const program = args.includes('--no-demo') ? 'dist/src/main.js' : 'dist/demo/run.js';
  await become(
    program,
    args.filter((arg) => arg !== '--no-demo'),
  );
});
