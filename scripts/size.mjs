/**
 * npm run size [-- --json] [-- --peers]: what an app ships of the SDK, per role and entry, beside its budget and beside
 * other clients. Fails when one is over its budget. With --peers the other clients are installed and measured anew.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { command, npm, root } from './command.mjs';
import { bundling } from './sdk.mjs';

const src = join(root, 'client-sdk/src');
const peers = join(root, 'client-sdk/peers');
const measured = join(peers, 'sizes.json');

/** Budgets, bytes of gzip -9. What they hold: exports of the core, then whole entries. */
const BUDGETS = [
  ['core: connect and subscribe', 3500, ['connect', 'subscribe']],
  ['customer: connect and watchOrder', 4000, ['connect', 'watchOrder']],
  ['partner: connect and watchFleet', 4200, ['connect', 'watchFleet']],
  ['rider: connect and rider', 4500, ['connect', 'rider']],
  ['/smooth', 1100, ['/smooth']],
  ['/msgpack', 1800, ['/msgpack']],
  ['/sse', 1200, ['/sse']],
  ['/react', 900, ['/react']],
  ['/react-native', 400, ['/react-native']],
  ['/trace', 400, ['/trace']],
  ['everything', 9870, ['/index', '/smooth', '/msgpack', '/sse', '/react', '/react-native']],
];

/** An app of each peer: it connects, subscribes and hears. */
const PEERS = {
  partysocket: `import { WebSocket } from 'partysocket';
    new WebSocket('wss://x').addEventListener('message', console.log);`,
  '@anycable/core': `import { createCable } from '@anycable/core';
    createCable('wss://x').streamFrom('order/42').on('message', console.log);`,
  phoenix: `import { Socket } from 'phoenix';
    const socket = new Socket('wss://x'); socket.connect();
    const channel = socket.channel('order:42', {}); channel.on('position', console.log); channel.join();`,
  'socket.io-client': `import { io } from 'socket.io-client';
    const socket = io('wss://x'); socket.emit('watch', '42'); socket.on('position', console.log);`,
  centrifuge: `import { Centrifuge } from 'centrifuge';
    const client = new Centrifuge('wss://x'); const sub = client.newSubscription('order:42');
    sub.on('publication', console.log); sub.subscribe(); client.connect();`,
};

/** Minified as an app would do it: bytes as they are, with gzip -9, with brotli 11. */
async function weigh(contents, resolveDir, external = []) {
  const { outputFiles } = await build({
    ...bundling,
    stdin: { contents, resolveDir, loader: 'ts' },
    minify: true,
    write: false,
    plugins: external,
  });
  const code = outputFiles[0].contents;
  return {
    minified: code.length,
    gzip: gzipSync(code, { level: 9 }).length,
    brotli: brotliCompressSync(code).length,
  };
}

/** What an entry adds to an app that has the core, and React where it needs that. */
const alone = {
  name: 'alone',
  setup(b) {
    b.onResolve({ filter: /^react/ }, ({ path }) => ({ path, external: true }));
    b.onResolve({ filter: /[/]index\.ts$|^@ridecast/ }, ({ path, importer }) =>
      importer ? { path, external: true } : undefined,
    );
  },
};
const noReact = {
  name: 'no-react',
  setup: (b) => b.onResolve({ filter: /^react/ }, ({ path }) => ({ path, external: true })),
};

/** @returns rows of the SDK; an entry that is not there yet has no bytes */
export async function sizes() {
  const rows = [];
  for (const [name, budget, parts] of BUDGETS) {
    const there = parts.filter((part) => !part.startsWith('/') || existsSync(join(src, `${part}.ts`)));
    const lines = there.map((part) => {
      if (part.startsWith('/')) return `export * from '.${part}.ts';`;
      return `export { ${part} } from './${part === 'subscribe' ? 'subscribe' : 'index'}.ts';`;
    });
    const plugin = parts.length === 1 ? alone : noReact;
    rows.push({ name, budget, ...(lines.length ? await weigh(lines.join('\n'), src, [plugin]) : {}) });
  }
  return rows;
}

/** Names what is over its budget. */
export function overBudget(rows) {
  return rows
    .filter(({ gzip, budget }) => gzip > budget)
    .map(({ name, gzip, budget }) => `${name}: ${gzip} of ${budget} B`);
}

async function peerSizes() {
  const { ok, reason } = npm(['install', '--no-package-lock'], peers);
  if (!ok) throw new Error(`the peers could not be installed: ${reason}`);
  const { dependencies } = JSON.parse(readFileSync(join(peers, 'package.json'), 'utf8'));
  const rows = [];
  for (const [name, app] of Object.entries(PEERS))
    rows.push({ name: `${name} ${dependencies[name]}`, ...(await weigh(app, peers)) });
  writeFileSync(measured, `${JSON.stringify(rows, null, 2)}\n`);
  return rows;
}

const cell = (value, width) => String(value ?? '–').padStart(width);
const line = ({ name, minified, gzip, brotli, budget }) =>
  `${name.padEnd(34)}${cell(minified, 9)}${cell(gzip, 9)}${cell(brotli, 9)}${cell(budget, 9)}${gzip > budget ? '  OVER' : ''}`;

async function main() {
  const argv = process.argv.slice(2);
  const sdk = await sizes();
  const others = argv.includes('--peers') ? await peerSizes() : JSON.parse(readFileSync(measured, 'utf8'));
  if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ sdk, peers: others }, null, 2)}\n`);
  else {
    const head = `${'bytes'.padEnd(34)}${cell('minified', 9)}${cell('gzip -9', 9)}${cell('brotli', 9)}${cell('budget', 9)}`;
    process.stdout.write(`${[head, ...sdk.map(line), '', ...others.map(line)].join('\n')}\n`);
  }
  const over = overBudget(sdk);
  if (over.length) throw new Error(`over budget: ${over.join('; ')}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await command(main);
