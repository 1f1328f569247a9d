/** npm start: the demo. npm start -- --no-demo: the gateway alone, configured by environment variables. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { command, root } from './command.mjs';
import { ensureNode } from './node.mjs';

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup();
  const args = process.argv.slice(2);
  const alone = args.includes('--no-demo');
  const main = join(root, 'dist', alone ? 'src/main.js' : 'demo/run.js');
  // In this very process: nothing stands between it and its signals, its exit code or its terminal.
  process.argv = [process.execPath, main, ...args.filter((arg) => arg !== '--no-demo')];
  await import(pathToFileURL(main).href);
});
