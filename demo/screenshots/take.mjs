/**
 * Takes the pictures of the README anew, after `npm run build`: `node demo/screenshots/take.mjs [folder]`, by default
 * docs/. With ALL=1 also those of every view on a phone and at night.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const outfile = at('.cache/screenshots.mjs');

await build({
  entryPoints: [at('demo/screenshots/take.ts')],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
});
process.env.STATIC_DIR ??= at('dist/page');
await import(pathToFileURL(outfile).href);
