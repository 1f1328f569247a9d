/** Chromium with a back/forward cache, and a folder with the built SDK to be served. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

/** @returns the folder, and how to remove it */
export function servedFolder(): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'ridecast-page-'));
  execFileSync(process.execPath, [join(root, 'scripts/build-sdk.mjs'), dir]);
  writeFileSync(join(dir, 'index.html'), '<!doctype html><meta charset="utf-8"><title>a page</title>');
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
