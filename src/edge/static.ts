/** Files of a folder over HTTP, read once: a tracking page can live on the gateway itself. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Answer } from './http.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.geojson': 'application/geo+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.map': 'application/json',
  '.woff2': 'font/woff2',
};
const MAX_BYTES = 64 * 1024 * 1024;
const HEADERS = {
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/**
 * Reads the folder. Only what is there at start is ever served, by exact path, so no path can leave the folder.
 * Names that start with a dot are left out.
 * @throws Error if it cannot be read or holds more than 64 MiB
 */
export function staticFiles(folder: string): (path: string) => Answer | undefined {
  const files = new Map<string, Answer>();
  let total = 0;
  const read = (inside: string) => {
    for (const name of readdirSync(join(folder, inside))) {
      if (name.startsWith('.')) continue;
      const path = `${inside}/${name}`;
      const full = join(folder, path);
      if (statSync(full).isDirectory()) {
        read(path);
        continue;
      }
      const body = readFileSync(full);
      total += body.length;
      if (total > MAX_BYTES) throw new Error(`${folder} holds more than 64 MiB`);
      const answer = {
        status: 200,
        body,
        type: TYPES[extname(name)] ?? 'application/octet-stream',
        headers: HEADERS,
      };
      files.set(path, answer);
      if (name === 'index.html') files.set(`${inside}/`, answer);
    }
  };
  read('');
  return (path) => files.get(path);
}
