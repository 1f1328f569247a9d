/** Builds everything: the client SDK into client-sdk/dist/; TypeScript, Lua scripts and pages into dist/. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, root } from './command.mjs';

const SOURCES = ['src', 'demo', 'loadtest', 'faults', 'bench', 'test/support', 'client-sdk/src'];
const SETTINGS = [
  'package-lock.json',
  'client-sdk/package.json',
  'client-sdk/tsconfig.build.json',
  'tsconfig.base.json',
  'tsconfig.build.json',
  'scripts/build.mjs',
  'scripts/build-sdk.mjs',
  'scripts/sdk.mjs',
  'scripts/build-demo.mjs',
];
const stamp = join(root, 'dist', '.built');

/** Builds anew. @throws Error naming the step that failed, after its output was shown */
export function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  step('scripts/build-sdk.mjs', ['scripts/build-sdk.mjs']); // first: the demo uses it as its users do
  step('tsc', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  copyAssets();
  step('scripts/build-demo.mjs', ['scripts/build-demo.mjs']);
  writeFileSync(stamp, fingerprint());
}

/** Whether all was built from the sources as they are now. */
export function isBuilt() {
  if (!existsSync(stamp) || !existsSync(join(root, 'client-sdk', 'dist'))) return false;
  return readFileSync(stamp, 'utf8') === fingerprint();
}

function step(name, args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}`);
  throw new Error(`the build failed in ${name}: see above.`);
}

/** Files beside the sources that are read as they are. */
function copyAssets() {
  const scripts = filesIn('src').filter((path) => path.endsWith('.lua'));
  for (const file of [...scripts, ...filesIn('loadtest/load/page')]) {
    const to = join(root, 'dist', file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(root, file), to);
  }
}

function fingerprint() {
  const hash = createHash('sha256');
  for (const file of [...SETTINGS, ...SOURCES.flatMap(filesIn)]) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`${file}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** Files below a folder, as paths from the root, sorted. */
function filesIn(folder) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Not awaited: setup.mjs waits for this very module to be there.
  command(async () => {
    const { install } = await import('./setup.mjs');
    install();
    build();
  });
}
