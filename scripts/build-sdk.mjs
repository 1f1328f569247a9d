/**
 * Builds @ridecast/client: one ESM file and its declarations per entry, and one file for a page without a bundler.
 * `node scripts/build-sdk.mjs [outdir]`, by default client-sdk/dist.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundling } from './sdk.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const sdk = join(root, 'client-sdk');
const out = resolve(process.argv[2] ?? join(sdk, 'dist'));
const { exports } = JSON.parse(readFileSync(join(sdk, 'package.json'), 'utf8'));
const entries = Object.values(exports)
  .flatMap(({ types }) => (types ? [basename(types, '.d.ts')] : []))
  .filter((name) => name !== 'ridecast');
/** What entries may import from elsewhere: the app's own, and Node's. A page without a bundler has neither. */
const external = ['react', 'node:*'];
const inOneFile = entries.filter((name) => !['react', 'react-native', 'node'].includes(name));
const together = inOneFile.map((name) => `export * from './${name}.js';`).join('\n');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  ...bundling,
  entryPoints: entries.map((name) => join(sdk, 'src', `${name}.ts`)),
  outdir: out,
  external,
  // What entries share is in the package once.
  splitting: true,
  chunkNames: 'shared-[hash]',
});
await build({
  ...bundling,
  minify: true,
  stdin: {
    contents: together.replaceAll('.js', '.ts'),
    resolveDir: join(sdk, 'src'),
    loader: 'ts',
  },
  outfile: join(out, 'ridecast.js'),
});
writeFileSync(join(out, 'ridecast.d.ts'), `${together}\n`);
declarations();

/** Copies the declarations the entries reach. One outside of the SDK's own sources would drag the gateway in. */
function declarations() {
  const temp = mkdtempSync(join(tmpdir(), 'ridecast-sdk-'));
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [tsc, '-p', join(sdk, 'tsconfig.build.json'), '--outDir', temp];
    execFileSync(process.execPath, args, { stdio: 'inherit' });
    const emitted = join(temp, 'client-sdk', 'src');
    const todo = entries.map((name) => join(emitted, `${name}.d.ts`));
    const done = new Set();
    for (const file of todo) {
      if (done.has(file)) continue;
      done.add(file);
      const name = relative(emitted, file);
      if (name.startsWith('..')) throw new Error(`a public type reaches ${name}`);
      const text = readFileSync(file, 'utf8').replace(
        /(from ['"]|import\(['"])([^'"]+)/g,
        (_, from, target) => {
          if (external.includes(target)) return from + target;
          if (!target.startsWith('.')) throw new Error(`${name} reaches the package ${target}`);
          todo.push(join(dirname(file), target.replace(/\.(ts|js)$/, '.d.ts')));
          return from + target.replace(/\.ts$/, '.js');
        },
      );
      writeFileSync(file, text);
      cpSync(file, join(out, name));
    }
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}
