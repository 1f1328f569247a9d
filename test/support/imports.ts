/** The import graph of the sources, read as text: type imports count. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface SourceFile {
  /** Path from the repository's root. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[];
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\s+from\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g;

/** All TypeScript files below a folder, imports resolved to paths from `root` where they are relative. */
export function sourceFiles(root: string, folder: string): SourceFile[] {
  const files: SourceFile[] = [];
  const walk = (inside: string) => {
    for (const name of readdirSync(join(root, inside)).sort()) {
      const path = join(inside, name);
      if (statSync(join(root, path)).isDirectory()) walk(path);
      else if (name.endsWith('.ts')) files.push(parse(root, path, readFileSync(join(root, path), 'utf8')));
    }
  };
  walk(folder);
  return files;
}

export function parse(root: string, path: string, text: string): SourceFile {
  const imports = [...text.matchAll(IMPORT)].map((match) => {
    const from = match[2] ?? match[3]!;
    const file = from.startsWith('.') ? relative(root, resolve(root, dirname(path), from)) : from;
    return { from: file, typeOnly: match[1] !== undefined };
  });
  return { path, text, imports };
}

/** The first cycle found, as the files along it; undefined if there is none. */
export function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return undefined;
    for (const { from } of file.imports) {
      const cycle = visit(from, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
