/** npm run test:soak: the long form of tests that are short in npm test. FAULTS, FAULT_MS, SCHEDULES and SEED change it. */
import { spawnSync } from 'node:child_process';
import { command, root } from './command.mjs';
import { ensureNode } from './node.mjs';

const LONG = { SOAK: '1', FAULTS: '50', FAULT_MS: '1500', SCHEDULES: '100000' };
const FILES = ['browser-faults', 'herd', 'properties'].map((name) => `client-sdk/test/${name}.test.ts`);

await command(async () => {
  await ensureNode(import.meta.url);
  const { install } = await import('./setup.mjs');
  const { ensureSystem } = await import('./system.mjs');
  const say = (line) => process.stdout.write(`${line}\n`);
  install(say);
  const { chromium } = ensureSystem(say);
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--no-file-parallelism', ...FILES, ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit', env: { ...LONG, CHROMIUM: chromium, ...process.env } },
  );
  process.exitCode = status ?? 1;
});
