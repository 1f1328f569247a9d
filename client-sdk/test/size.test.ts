/** What an app ships for each role, gzip -9. A line that must grow is a decision to be made, not a surprise. */
import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const src = resolve(import.meta.dirname, '../src');
const all = {
  connect: 'index',
  watchOrder: 'index',
  watchFleet: 'index',
  rider: 'index',
  smooth: 'smooth',
  animate: 'smooth',
  sse: 'sse',
  withFallback: 'sse',
};
type Name = keyof typeof all | 'subscribe';

async function size(...names: Name[]): Promise<number> {
  const lines = names.map(
    (name) => `export { ${name} } from './${name === 'subscribe' ? name : all[name]}.ts';`,
  );
  const { outputFiles } = await build({
    stdin: { contents: lines.join('\n'), resolveDir: src, loader: 'ts' },
    bundle: true,
    minify: true,
    treeShaking: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

const budgets: [string, number, Name[]][] = [
  ['core: connect and subscribe', 3600, ['connect', 'subscribe']],
  ['customer', 4900, ['connect', 'watchOrder']],
  ['partner', 5200, ['connect', 'watchFleet']],
  ['rider', 4500, ['connect', 'rider']],
  ['/smooth alone', 1100, ['smooth', 'animate']],
  ['/sse alone', 1200, ['sse', 'withFallback']],
  ['everything', 9000, Object.keys(all) as Name[]],
];

it.each(budgets)('%s fits in %i B', async (_, budget, names) => {
  expect(await size(...names)).toBeLessThanOrEqual(budget);
});
