/** Builds the demo's page into dist/page/: everything it needs is in there, nothing is fetched from elsewhere. Needs client-sdk/dist. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

rmSync(at('dist/page'), { recursive: true, force: true });
mkdirSync(at('dist/page'), { recursive: true });

await build({
  entryPoints: { page: at('demo/page/main.ts'), style: at('demo/page/page.css') },
  entryNames: '[name]',
  outdir: at('dist/page'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  logLevel: 'warning',
});
copyFileSync(at('demo/page/index.html'), at('dist/page/index.html'));
// MapLibre's worker is a file of its own, as it comes.
copyFileSync(
  at('node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs'),
  at('dist/page/maplibre-gl-worker.mjs'),
);
