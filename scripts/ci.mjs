/** .ci/run: `npm test` under the machine's Node, then the tests once more under the other Node the project supports. */
import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { command, root } from './command.mjs';
import { fetchNode, majorFor, otherMajor } from './node.mjs';
import { closingLine, readTotals, sum } from './totals.mjs';

await command(async () => {
  const { node } = process.versions;
  const other = otherMajor(node);
  heading(`Node ${majorFor(node)}`);
  const first = await run('npm', ['test'], process.env);
  heading(`Node ${other}`);
  const binary = fetchNode(other);
  const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` };
  const second = await run(binary, ['scripts/test.mjs', '--tests-only'], env);
  const totals = sum(first, second);
  process.stdout.write(`\n${closingLine(totals)}\n`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
});

function heading(text) {
  process.stdout.write(`\n==== ${text} ====\n`);
}

/** Runs a command, shows its output, and gives its totals. One that fails without saying so has one failure. */
function run(file, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      shell: process.platform === 'win32',
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      const totals = readTotals(output) ?? { passed: 0, failed: 0 };
      const silent = code !== 0 && totals.failed === 0;
      resolve(silent ? sum(totals, { passed: 0, failed: 1 }) : totals);
    });
  });
}
