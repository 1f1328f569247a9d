/** Which core does what: the server has one to itself, whatever loads it has the other. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

/** Why processes cannot be kept apart here; undefined: they can. */
export function cannotPin(): string | undefined {
  if (process.platform !== 'linux') return 'only Linux keeps a process on a core';
  if (availableParallelism() < 2) return 'there is one core only';
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0)
    return 'taskset is not installed';
  return undefined;
}

const pinning = cannotPin() === undefined;

/** Keeps all threads of a process on a core, where that can be done. */
export function pin(pid: number, core: number): void {
  if (pinning) spawnSync('taskset', ['-acp', `${core}`, `${pid}`], { stdio: 'ignore' });
}

const TICKS_PER_SECOND = 100;

/** Seconds the server's core was busy, whoever with, since the machine started; null where that is not told. */
export function coreSeconds(): number | null {
  try {
    const line = new RegExp(`^cpu${SERVER_CORE} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))![1]!;
    const [user, nice, system, , , irq, softirq, steal] = line.split(' ').map(Number);
    return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
