/** What is published: files that run, and declarations that need nothing but themselves. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'ridecast-build-'));
const dist = join(dir, 'dist');
const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: dir, encoding: 'utf8' });

beforeAll(() => {
  node(join(root, 'scripts/build-sdk.mjs'), dist);
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('has no any in its public types', () => {
  const declared = readdirSync(dist, { encoding: 'utf8' }).filter((name) => name.endsWith('.d.ts'));
  expect(declared.length).toBeGreaterThan(4);
  for (const name of declared) {
    const types = readFileSync(join(dist, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    expect([name, types.match(/.*\bany\b.*/g)]).toEqual([name, null]);
  }
});

it('has the entries package.json names', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'client-sdk/package.json'), 'utf8'));
  const named = Object.values(exports).flatMap((e) =>
    typeof e === 'string' ? e : Object.values(e as object),
  );
  const built = readdirSync(dist).map((name) => `./dist/${name}`);
  expect(built).toEqual(expect.arrayContaining(named.filter((path) => path !== './package.json')));
});

it.each(['index.js', 'ridecast.js'])(
  'runs %s in Node as it is, and importing it does nothing',
  async (file) => {
    const sdk = await import(pathToFileURL(join(dist, file)).href);
    expect(Object.keys(sdk)).toEqual(
      expect.arrayContaining(['connect', 'rider', 'watchFleet', 'watchOrder']),
    );
    expect(readFileSync(join(dist, file), 'utf8')).not.toMatch(/\beval\(|new Function/);
  },
);

/** Compiles consumers that see the declarations alone, library check on. */
const compile = (...pieces: string[]) => compileAs({ module: 'nodenext' }, ...pieces);

function compileAs(how: { module: string; moduleResolution?: string }, ...pieces: string[]): string {
  const files = pieces.map((code, i) => {
    writeFileSync(join(dir, `app${i}.tsx`), code);
    return `app${i}.tsx`;
  });
  const options = {
    strict: true,
    noEmit: true,
    ...how,
    target: 'es2022',
    types: [],
    lib: ['es2022', 'dom'],
    jsx: 'react-jsx',
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files }));
  try {
    return node(join(root, 'node_modules/typescript/bin/tsc'), '-p', dir);
  } catch (error) {
    return String((error as { stdout: string }).stdout);
  }
}

it('has nothing that another tool would read otherwise', async () => {
  cpSync(join(root, 'client-sdk/package.json'), join(dir, 'package.json'));
  cpSync(join(root, 'client-sdk/README.md'), join(dir, 'README.md'));
  const { messages, pkg } = await publint({ pkgDir: dir, strict: true, pack: false });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

it.each([{ module: 'nodenext' }, { module: 'esnext', moduleResolution: 'bundler' }])(
  'is found by its name with types, as apps compile: %o',
  (how) => {
    const file = join(root, 'client-sdk/package.json');
    cpSync(file, join(dir, 'package.json'));
    const { name, exports } = JSON.parse(readFileSync(file, 'utf8')) as { name: string; exports: object };
    const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
    expect(entries.length).toBeGreaterThan(6);
    const use = (entry: string, i: number) =>
      `import * as m${i} from '${name}${entry.slice(1)}'; typed<typeof m${i}>();`;
    const typed = 'declare function typed<T>(...any: 0 extends 1 & T ? [never] : []): void;';
    expect(compileAs(how, [typed, ...entries.map(use)].join('\n'))).toBe('');
    expect(compileAs(how, [typed, use('./nowhere', 0)].join('\n'))).toContain('nowhere');
  },
);

it.each(['react', 'react-native', 'sse', 'smooth', 'msgpack', 'trace', 'node'])(
  'runs /%s in Node, and importing it does nothing',
  async (entry) => {
    const before = process.getActiveResourcesInfo().length;
    expect(Object.keys(await import(pathToFileURL(join(dist, `${entry}.js`)).href))).not.toEqual([]);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before);
  },
);

it('ships of an entry only what is imported of it', async () => {
  const { outputFiles } = await build({
    stdin: { contents: `import { useOrder } from './dist/react.js'; useOrder('1');`, resolveDir: dir },
    bundle: true,
    format: 'esm',
    external: ['react'],
    write: false,
  });
  expect(outputFiles[0]!.text).toContain('watchOrder');
  expect(outputFiles[0]!.text).not.toMatch(/watchFleet|minMoveM/);
});

const app = (status: string) => `
  import { connect, rider, watchOrder, type Position } from './dist/index.js';
  import { animate } from './dist/smooth.js';
  const client = connect('wss://x/v1/ws', { token: async (why, signal) => why });
  const order = watchOrder<'picked_up' | 'delivered'>(client, '42');
  order.on('position', (p: Position) => p.lat);
  order.on('status', (s) => { if (s.status === '${status}') order.close(); });
  animate(order, (pose) => pose.heading);

  import { connect as same, msgpack as packed, sse as too } from './dist/ridecast.js';
  same('x', { token: 't', transport: too(), codec: packed() });

  import { createElement } from 'react';
  import { ClientProvider, useOrder } from './dist/react.js';
  const Line = () => useOrder('42', (o) => o?.status).data ?? null;
  createElement(ClientProvider, { client }, createElement(Line));

  import { msgpack } from './dist/msgpack.js';
  connect('x', { token: 't', codec: msgpack() });
  import { sse, withFallback } from './dist/sse.js';
  import { reactNative } from './dist/react-native.js';
  import { fileStore, WebSocket } from './dist/node.js';
  declare const AppState: { currentState: 'active' | 'background'; addEventListener(type: 'change' | 'blur', on: (s: 'active' | 'background') => void): { remove(): void; other: 1 } };
  const further = connect('x', { token: 't', transport: withFallback(sse(), { retryMs: 1 }), env: reactNative({ AppState }), WebSocket });
  rider(further, { store: fileStore('x') });
`;

it('types an app that has nothing but the declarations', () => {
  expect(compile(app('delivered'))).toBe('');
});

/** As if it were installed here. */
const local = (code: string) =>
  code.replace(/'@ridecast\/client(?:\/([\w-]+))?'/g, (_, entry = 'index') => `'./dist/${entry}.js'`);

it('types every piece of code in docs/sdk', () => {
  // What the pieces take from the app around them.
  const around = `
    declare global {
      const token: () => Promise<string>;
      const AppState: { addEventListener(event: 'change', on: (state: string) => void): { remove(): void } };
      const NetInfo: undefined;
      const [show, announce, dim, move, draw, configureGps]: ((...args: unknown[]) => void)[];
    }`;
  const pieces = readdirSync(join(root, 'docs/sdk')).flatMap((page) => {
    const text = readFileSync(join(root, 'docs/sdk', page), 'utf8');
    return [...text.matchAll(/^```tsx?\n([\s\S]*?)^```/gm)].map(([, code]) => code!);
  });
  expect(pieces.length).toBeGreaterThan(6);
  expect(compile(`${around}\nexport {};`, ...pieces.map(local))).toBe('');
});

it('finds a status that the app does not have', () => {
  expect(compile(app('flown'))).toContain('TS2367');
});
