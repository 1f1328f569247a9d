/** Makes a fresh clone ready to run: dependencies and build, each only if it is not there or out of date. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.mjs';
import { npm, root } from './command.mjs';

const print = (line) => process.stdout.write(`${line}\n`);

/** @param say where progress goes; a command that prints JSON keeps stdout clean */
export function setup(say = print) {
  install(say);
  if (isBuilt()) return;
  say('building …');
  build();
}

/** Installs what package-lock.json names, unless just that is there. */
export function install(say = print) {
  const lock = readJson(join(root, 'package-lock.json'));
  if (lock === undefined) throw new Error('package-lock.json is missing: is this a complete clone?');
  const there = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (there !== undefined && sameTree(lock, there) && Object.keys(there.packages).every(exists)) return;
  say('installing dependencies with npm ci …');
  const { ok, reason } = npm(['ci', '--include=dev']);
  if (!ok) throw new Error(`npm ci failed (${reason}).\nCheck the network and run this again.`);
}

/**
 * Whether a tree npm installed (its node_modules/.package-lock.json) holds all that a lock file asks for.
 * Optional packages may be missing: most are for other platforms.
 */
export function sameTree(lock, there) {
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (!path.startsWith('node_modules/')) return true;
    const found = there.packages[path];
    return found === undefined ? wanted.optional === true : found.version === wanted.version;
  });
}

function exists(path) {
  return existsSync(join(root, path));
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
