/** npm run bench: the gateway beside bare servers and other systems, measured in one run (bench/main.ts). */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { become, command, npm, root } from './command.mjs';
import { ensureNode } from './node.mjs';

const say = (line) => process.stderr.write(`${line}\n`); // stdout is the report's

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  const { ensureOthers } = await import('./system.mjs');
  setup(say);
  const args = process.argv.slice(2);
  if (!args.includes('--help') && !args.includes('--list')) {
    installPeers();
    ensureOthers(say);
  }
  await become('dist/bench/main.js', args);
});

/** Installs what bench/peers names into .cache/bench-peers, unless it is there. Without, its rows are left out. */
function installPeers() {
  const from = join(root, 'bench', 'peers');
  const to = join(root, '.cache', 'bench-peers');
  const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  const isThere = existsSync(join(to, 'node_modules', '.package-lock.json'));
  if (isThere && read(join(from, 'package-lock.json')) === read(join(to, 'package-lock.json'))) return;
  say('installing other systems into .cache/bench-peers …');
  mkdirSync(to, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(from, file), join(to, file));
  const { ok, reason } = npm(['ci', '--ignore-scripts', '--workspaces=false'], to);
  if (!ok) say(`they could not be installed and are left out: ${reason}`);
}
