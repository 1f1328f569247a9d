/** What an app ships for each role and entry (`npm run size` shows it). A line that must grow is a decision to be made. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
// @ts-expect-error the scripts are plain JavaScript, without types
import { internal } from '../../scripts/sdk.mjs';
// @ts-expect-error the scripts are plain JavaScript, without types
import { overBudget, sizes } from '../../scripts/size.mjs';

interface Row {
  name: string;
  budget: number;
  gzip?: number;
}

it('fits in the budget of every role and entry', async () => {
  const rows: Row[] = await sizes();
  expect(rows.filter(({ gzip }) => gzip).length).toBeGreaterThanOrEqual(7);
  expect(overBudget(rows)).toEqual([]);
});

it('is over budget with one byte more', () => {
  const rows: Row[] = [
    { name: 'core', budget: 10, gzip: 11 },
    { name: 'rider', budget: 10, gzip: 10 },
    { name: '/later', budget: 10 },
  ];
  expect(overBudget(rows)).toEqual(['core: 11 of 10 B']);
});

it('shortens no name that an app or a gateway sees', () => {
  const read = (path: string) => readFileSync(resolve(import.meta.dirname, path), 'utf8');
  const files = ['types', 'fallback', 'sse', 'smooth', 'react', 'react-native', 'trace', 'node'];
  const types = files.flatMap(
    (file) => read(`../src/${file}.ts`).match(/^export interface [\s\S]*?^}/gm) ?? [],
  );
  const named = [...types.join('\n').matchAll(/^\s+(?:readonly )?(\w+)\??[:(<]/gm)];
  const fields = [...read('../../src/protocol/messages.ts').matchAll(/[{,]\s*(\w+)\??: (?!z\.object)/g)];
  // Parts have a method for each.
  const messages = [...read('../../src/protocol/messages.ts').matchAll(/^ {2}(\w+): z\.object/gm)];
  expect(named.length).toBeGreaterThan(80);
  expect(fields.length).toBeGreaterThan(40);
  expect(messages.length).toBeGreaterThan(15);
  for (const [, name] of [...named, ...fields, ...messages]) expect(name).not.toMatch(internal as RegExp);
});
