/** The benchmark measures: its counts are of what really happened, and its sums are right. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doubtsOf } from '../bench/doubts.ts';
import { isNoisy, ratios, summarize } from '../bench/figures.ts';
import { formatPage } from '../bench/page.ts';
import { turns } from '../bench/play.ts';
import type { Result } from '../bench/report.ts';
import { rows } from '../bench/rows/index.ts';
// @ts-expect-error the scripts are plain JavaScript, without types
import { setup } from '../scripts/setup.mjs';

const root = new URL('..', import.meta.url).pathname;

describe('a quick run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-bench-test-'));
  let results: Result[];
  let page: string;
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeAll(() => {
    setup(() => {});
    const [json, to] = [join(folder, 'results.json'), join(folder, 'page.md')];
    const args = ['--quick', '--runs', '1', '--only', 'zone-map,notifications', '--json', json, '--page', to];
    const { status, stderr } = spawnSync(process.execPath, ['dist/bench/main.js', ...args], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    results = JSON.parse(readFileSync(json, 'utf8'));
    page = readFileSync(to, 'utf8');
  }, 120_000);

  const lineOf = (row: string, contender: string) =>
    results.find((one) => one.row === row)!.lines.find((line) => line.contender === contender)!.runs[0]!;

  it('counts every position of a zone map for every contender', () => {
    for (const contender of ['Ridecast', 'Ridecast, no credit', 'raw tick frame', 'raw uWebSockets.js']) {
      const { perSecond, bytes, lost } = lineOf('zone-map', contender);
      expect(perSecond, contender).toBeGreaterThan(0);
      expect(bytes, contender).toBeGreaterThan(1);
      expect(Math.abs(lost!), contender).toBeLessThan(50); // a tick may overtake a ping on a machine that stalls
    }
  });

  it('sees each of a thousand notifications, and none missing between them', () => {
    for (const contender of ['Ridecast + Redis', 'Ridecast, in memory', 'raw uWebSockets.js'])
      expect(lineOf('notifications', contender), contender).toMatchObject({ lost: 0, gaps: 0 });
  });

  it('names what was not run, and writes a page', () => {
    const { notRun } = results.find(({ row }) => row === 'notifications')!;
    const named = 'Socket.IO' in notRun || lineOf('notifications', 'Socket.IO') !== undefined;
    expect(named).toBe(true);
    expect(page).toContain('| Ridecast + Redis |');
    expect(page).toContain('Not run: `capacity`');
  });

  it('leaves on the page what was not run anew', () => {
    const only = (name: string) => results.filter(({ row }) => row === name);
    const first = formatPage(only('notifications'), rows, () => 'A note of then.', '');
    const second = formatPage(only('zone-map'), rows, () => 'A note of now.', first);
    expect(first).toContain('`zone-map`');
    for (const text of ['A note of then.', 'A note of now.', '| Ridecast + Redis |', '| raw tick frame |'])
      expect(second.split(text)).toHaveLength(2);
    expect(formatPage([], rows, () => '', second)).toBe(second);
  });
});

describe('the sums', () => {
  it('takes the median, and the range', () => {
    expect(summarize([3, null, 1, 2, 9])).toEqual({ median: 2.5, low: 1, high: 9, runs: 4 });
    expect(summarize([null, undefined])).toBeUndefined();
  });

  it('compares run by run, and leaves out what one of both did not tell', () => {
    expect(ratios([2, 6, null, 4], [1, 2, 3, 0])).toEqual([2, 3, null, null]);
  });

  it('calls figures noisy that differ by a third', () => {
    expect(isNoisy({ median: 10, low: 9, high: 11, runs: 5 })).toBe(false);
    expect(isNoisy({ median: 10, low: 8, high: 12, runs: 5 })).toBe(true);
  });

  it('doubts a run in which the load was the limit, or others used the core', () => {
    const sound = { load: { cpu: 0.3, lagP99Ms: 1, lateP99Ms: 1 }, others: 0.02 };
    expect(doubtsOf(sound)).toEqual([]);
    expect(doubtsOf({ ...sound, load: { ...sound.load, cpu: 1 } })).toHaveLength(1);
    expect(doubtsOf({ ...sound, others: 0.4 })).toHaveLength(1);
  });

  it('lets contenders take turns', () => {
    expect(turns(['a', 'b'], 2)).toEqual([
      ['a', 0],
      ['b', 0],
      ['a', 1],
      ['b', 1],
    ]);
  });
});
