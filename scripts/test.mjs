/**
 * npm test: lint, build, types, then every test; ends with `N passed, N failed`. Further arguments go to vitest.
 * With --tests-only lint and types are left out.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { command, root } from './command.mjs';
import { ensureNode } from './node.mjs';
import { closingLine, countTests } from './totals.mjs';

/** Tests that may be skipped: { name: /pattern of the full name/, reason: 'why that is all right' }. */
const ALLOWED_SKIPS = [];
const say = (line) => process.stdout.write(`${line}\n`);

await command(async () => {
  await ensureNode(import.meta.url);
  const { install } = await import('./setup.mjs');
  const { ensureSystem } = await import('./system.mjs');
  install(say);
  const { chromium } = ensureSystem(say);

  const args = process.argv.slice(2).filter((arg) => arg !== '--tests-only');
  const steps = process.argv.includes('--tests-only') ? [build] : [lint, build, types];
  const totals = { passed: 0, failed: 0 };
  for (const step of steps) totals[step() ? 'passed' : 'failed']++;
  const tests = runTests(args, chromium);
  for (const note of tests.notes) say(note);
  totals.passed += tests.passed;
  totals.failed += tests.failed;
  say(closingLine(totals));
  process.exitCode = totals.failed === 0 ? 0 : 1;
});

function lint() {
  return run('lint', ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings']);
}

function types() {
  return run('types', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit']);
}

function build() {
  return run('build', ['scripts/build.mjs']);
}

function runTests(args, chromium) {
  say('tests …');
  mkdirSync(join(root, '.cache'), { recursive: true });
  const file = join(root, '.cache', `vitest.${process.pid}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args],
    { cwd: root, stdio: 'inherit', env: { ...process.env, CHROMIUM: chromium } },
  );
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const allowed = narrowed(args) ? [{ name: /^/ }] : ALLOWED_SKIPS;
    return countTests({ ...report, success: report.success && status === 0 }, allowed);
  } catch {
    return { passed: 0, failed: 1, notes: [`vitest ended with ${status} and left no report`] };
  } finally {
    rmSync(file, { force: true });
  }
}

/** Whether only tests of some names were asked for: the others are then no skips. */
function narrowed(args) {
  return args.some((arg) => /^(-t|--testNamePattern(=.*)?)$/.test(arg));
}

/** Runs one step of the house; its output is shown only if it fails. */
function run(name, args) {
  const startedAt = Date.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const took = `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  if (status !== 0) process.stdout.write(`${stdout}${stderr}`);
  say(`${name} … ${status === 0 ? 'ok' : 'FAILED'} (${took})`);
  return status === 0;
}
