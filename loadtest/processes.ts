/** Real processes for a run: a redis-server and gateways on free ports of 127.0.0.1, and what CPU they use. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { freePort } from './ports.ts';

export interface Process<T> {
  readonly pid: number;
  /** What its output said when it was ready. */
  readonly ready: T;
  /** SIGTERM, and SIGKILL if that does not end it in five seconds. */
  stop(): Promise<void>;
}

const STOP_MS = 5000;
const KEPT_LINES = 20;

/**
 * Starts a process and waits until a line of its output makes it ready.
 * Rejects with its last lines if it ends before that. It does not outlive this process.
 */
export async function launch<T>(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  ready: (line: string) => T | undefined,
): Promise<Process<T>> {
  // In a group of its own: a Ctrl-C in the terminal is ours, and we may want to go on for a while.
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const told = await firstReady(child, file, ready);
  return {
    pid: child.pid!,
    ready: told,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(kill, STOP_MS);
      await exited;
      clearTimeout(late);
    },
  };
}

function firstReady<T>(
  child: ChildProcess,
  file: string,
  ready: (line: string) => T | undefined,
): Promise<T> {
  const last: string[] = [];
  return new Promise((resolve, reject) => {
    const read = (line: string) => {
      last.push(line);
      if (last.length > KEPT_LINES) last.shift();
      const told = ready(line);
      if (told !== undefined) resolve(told);
    };
    // Read to the end, so that the process never waits for us.
    createInterface({ input: child.stdout! }).on('line', read);
    createInterface({ input: child.stderr! }).on('line', read);
    child.once('error', (error) =>
      reject(new Error(`${file} does not start (${error.message}): is it installed?`)),
    );
    child.once('close', (code) => reject(new Error(`${file} ended with ${code}:\n${last.join('\n')}`)));
  });
}

/** A redis-server that keeps nothing on disk. */
export async function launchRedis(): Promise<Process<string>> {
  const port = await freePort();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  return launch(
    'redis-server',
    [...args, '--dir', tmpdir(), '--dbfilename', `ridecast-${process.pid}-${port}.rdb`],
    process.env,
    (line) => (line.includes('Ready to accept connections') ? `redis://127.0.0.1:${port}` : undefined),
  );
}

/**
 * A gateway from the build, ready as the URL of its public port.
 * @param main path of dist/src/main.js
 * @param env its configuration; ports are picked free
 */
export function launchGateway(main: string, env: Record<string, string>): Promise<Process<string>> {
  const ports = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', LOG_LEVEL: 'info' };
  return launch(process.execPath, [main], { PATH: process.env.PATH, ...ports, ...env }, (line) => {
    if (!line.includes('ridecast listens')) return undefined;
    return `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`;
  });
}

const TICKS_PER_SECOND = 100; // USER_HZ, the unit of /proc on every Linux

/** CPU-seconds a process has used, user and system; null where there is no /proc or the process is gone. */
export function cpuSeconds(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold spaces
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
