/** npm run bench: the gateway beside bare servers and other systems, measured in one run (bench/main.ts). */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { become, command, npm, root } from './command.mjs';
import { ensureNode } from './node.mjs';

const say = (line) => process.stderr.write(`${line}\n`); // stdout is the report's
/** Debian's packages of the systems that are no npm packages. */
const DEBIAN = ['nginx', 'libnginx-mod-nchan', 'nats-server', 'mosquitto'];

await command(async () => {
  await ensureNode(import.meta.url);
  const { setup } = await import('./setup.mjs');
  setup(say);
  const args = process.argv.slice(2);
  if (!args.includes('--help') && !args.includes('--list')) installPeers();
  if (args.includes('--install-peers')) installDebian();
  await become(
    'dist/bench/main.js',
    args.filter((arg) => arg !== '--install-peers'),
  );
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

/** Installs nginx with Nchan, NATS and mosquitto, where that is ours to do: on Debian, as root. */
function installDebian() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error(`--install-peers needs Debian and root; install ${DEBIAN.join(', ')} yourself.`);
  // A run level of 1 keeps the packages from starting servers of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...DEBIAN],
  ]) {
    const { status, error, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`apt-get ${args[0]} failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
  }
}
