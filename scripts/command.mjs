/** What every command here shares: where the project is, how it runs npm, and how it fails. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Folder of the project, absolute. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command's `main`. Whatever it throws is for people: its message, no stack, exit code 1. */
export async function command(main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`ridecast: ${process.env.DEBUG ? error.stack : error.message}\n`);
    process.exit(1);
  }
}

/**
 * Runs a built program in this very process: nothing stands between it and its signals, exit code or terminal.
 * @param program path from the root
 */
export async function become(program, args) {
  const file = join(root, program);
  process.argv = [process.execPath, file, ...args];
  if (process.env.npm_lifecycle_event) leaveWithParent();
  await import(pathToFileURL(file).href);
}

const PARENT_MS = 200;

/** npm signals the shell between it and us, and some shells die of that without a word to us: then it is our turn. */
function leaveWithParent() {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
  }, PARENT_MS).unref();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      clearInterval(watch);
      if (process.listenerCount(signal) === 0) process.exit(143); // the program does not listen yet
    });
  }
}

/**
 * Runs npm to its end, quietly.
 * @returns {{ ok: boolean, reason: string }} `reason` is what npm said first about its failure
 */
export function npm(args, cwd = root) {
  const cli = process.env.npm_execpath ?? '';
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  // The npm that started us, so that no other one is needed in PATH.
  const [file, first] = /npm-cli\.[cm]?js$/.test(cli) ? [process.execPath, [cli]] : ['npm', []];
  const shell = process.platform === 'win32' && file === 'npm';
  const done = spawnSync(file, [...first, ...args, ...quiet], { cwd, encoding: 'utf8', shell });
  return { ok: done.status === 0, reason: npmReason(done) };
}

/** The first useful lines of npm's complaint, as one line. */
export function npmReason({ error, stderr }) {
  if (error) return error.code === 'ENOENT' ? 'npm is not in PATH' : error.message;
  const lines = (stderr ?? '')
    .split('\n')
    .map((line) => /^npm (?:error|ERR!) ?(.*)$/.exec(line)?.[1].trim())
    .filter((line) => line && !/complete log|^[A-Za-z]:?[\\/]/.test(line));
  return lines.slice(0, 3).join('; ') || 'npm gave no reason';
}
