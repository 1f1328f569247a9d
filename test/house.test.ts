import { describe, expect, it } from 'vitest';
import { findCycle, parse, type SourceFile, sourceFiles } from './support/imports.ts';

const root = new URL('..', import.meta.url).pathname;
const src = sourceFiles(root, 'src');
const sdk = sourceFiles(root, 'client-sdk/src');
const all = [
  ...src,
  ...sdk,
  ...sourceFiles(root, 'demo'),
  ...sourceFiles(root, 'loadtest'),
  ...sourceFiles(root, 'faults'),
];

/** Which rooms a room may import from; files at the top are rooms of their own. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  protocol: [],
  observe: [],
  backbone: ['protocol'],
  orders: ['backbone', 'protocol'],
  ingest: ['orders', 'backbone', 'observe', 'protocol'],
  fanout: ['orders', 'backbone', 'observe', 'protocol'],
  edge: ['fanout', 'ingest', 'orders', 'backbone', 'observe', 'protocol'],
  'config.ts': ['protocol'],
  'gateway.ts': ['config.ts', 'edge', 'fanout', 'ingest', 'orders', 'backbone', 'observe', 'protocol'],
  'run.ts': ['config.ts'],
  'workers.ts': [],
  'main.ts': ['config.ts', 'gateway.ts', 'observe', 'run.ts', 'workers.ts'],
};

/** Who may import a thing that is native or stands for one. */
const ONLY_IN: Record<string, string> = {
  'uWebSockets.js': 'src/edge/',
  ioredis: 'src/backbone/redis/',
  msgpackr: 'src/protocol/',
};

const room = (path: string) => path.split('/')[1]!;

function wrongImports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter(({ from }) => from.startsWith('src/') && room(from) !== room(file.path))
      .filter(({ from }) => !MAY_IMPORT[room(file.path)]!.includes(room(from)))
      .map(({ from }) => `${file.path} -> ${from}`),
  );
}

function wrongNatives(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter(({ from }) => ONLY_IN[from] !== undefined && !file.path.startsWith(ONLY_IN[from]))
      .map(({ from }) => `${file.path} -> ${from}`),
  );
}

describe('the house', () => {
  it('knows every room', () => {
    expect(
      [...new Set(src.map((file) => room(file.path)))].filter((name) => MAY_IMPORT[name] === undefined),
    ).toEqual([]);
  });

  it('lets imports fall one way', () => {
    expect(wrongImports(src)).toEqual([]);
  });

  it('has no import cycle, type imports included', () => {
    expect(findCycle(all)).toBeUndefined();
  });

  it('imports each native thing in one room only', () => {
    expect(wrongNatives(all)).toEqual([]);
  });

  it('touches process only in main.ts and config.ts', () => {
    const files = src.filter((file) => /\bprocess\.[a-z]/.test(file.text)).map((file) => file.path);
    expect(files.filter((path) => path !== 'src/main.ts' && path !== 'src/config.ts')).toEqual([]);
  });

  it('shares the protocol with the client SDK by types only', () => {
    const values = sdk.flatMap((file) =>
      file.imports
        .filter(({ from, typeOnly }) => from.startsWith('src/') && !typeOnly)
        .map(({ from }) => `${file.path} -> ${from}`),
    );
    expect(values).toEqual([]);
  });

  it('has no file over 400 lines', () => {
    expect(all.filter((file) => file.text.split('\n').length > 401).map((file) => file.path)).toEqual([]);
  });

  it('never names the folder of recorded data that lies beside a checkout', () => {
    expect(all.filter((file) => file.text.includes('../shared')).map((file) => file.path)).toEqual([]);
  });
});

describe('the rules above', () => {
  it('see an import that climbs, of a type too', () => {
    const up = parse(root, 'src/backbone/x.ts', "import type { Hub } from '../fanout/hub.ts';");
    expect(wrongImports([up])).toEqual(['src/backbone/x.ts -> src/fanout/hub.ts']);
  });

  it('see a cycle over three files', () => {
    const a = parse(root, 'src/a.ts', "import { b } from './b.ts';");
    const b = parse(root, 'src/b.ts', "import type {\n  C,\n} from './c.ts';");
    const c = parse(root, 'src/c.ts', "export * from './a.ts';");
    expect(findCycle([a, b, c])).toEqual(['src/a.ts', 'src/b.ts', 'src/c.ts', 'src/a.ts']);
  });

  it('see a native import in the wrong room', () => {
    const wrong = parse(root, 'src/fanout/x.ts', "import Redis from 'ioredis';");
    expect(wrongNatives([wrong])).toEqual(['src/fanout/x.ts -> ioredis']);
  });
});
