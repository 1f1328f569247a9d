/** What processes of this machine use, second by second, as the operating system counts it. Linux only. */
import { readFileSync } from 'node:fs';
import { cpuSeconds } from '../processes.ts';

export interface Use {
  /** Cores used since the last look; null: the process is gone, or there is no /proc. */
  readonly cpu: number | null;
  readonly rssBytes: number | null;
}

const PAGE_BYTES = 4096;

export class Probes {
  private readonly pids: Readonly<Record<string, number>>;
  private before: Record<string, number | null>;
  private at = performance.now();
  private machine = machineTicks();

  /** @param pids processes by name */
  constructor(pids: Readonly<Record<string, number>>) {
    this.pids = pids;
    this.before = this.read();
  }

  /** What was used since the last call. `machine` is the busy share of all cores, 0..1. */
  take(): { uses: Record<string, Use>; machine: number | null } {
    const seconds = (performance.now() - this.at) / 1000;
    const after = this.read();
    const uses: Record<string, Use> = {};
    for (const [name, pid] of Object.entries(this.pids)) {
      const [then, now] = [this.before[name], after[name]];
      const cpu = then == null || now == null ? null : Math.max(0, now - then) / seconds;
      uses[name] = { cpu, rssBytes: sum(family(pid).map(rss)) };
    }
    const ticks = machineTicks();
    const machine =
      ticks === null || this.machine === null || ticks.all === this.machine.all
        ? null
        : 1 - (ticks.idle - this.machine.idle) / (ticks.all - this.machine.all);
    this.before = after;
    this.machine = ticks;
    this.at = performance.now();
    return { uses, machine };
  }

  private read(): Record<string, number | null> {
    return Object.fromEntries(
      Object.entries(this.pids).map(([name, pid]) => [name, sum(family(pid).map(cpuSeconds))]),
    );
  }
}

/** A process and those it started: a gateway may be several. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return [pid, ...children.flatMap((child) => family(Number(child)))];
  } catch {
    return [pid];
  }
}

/** Of what is known; null if nothing is. */
function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((total, value) => total + value, 0);
}

function rss(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return null;
  }
}

/** Ticks of all cores since the machine started. */
function machineTicks(): { all: number; idle: number } | null {
  try {
    const [first] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
    const ticks = first!.trim().split(/\s+/).slice(1, 9).map(Number);
    return { all: ticks.reduce((sum, n) => sum + n, 0), idle: ticks[3]! + ticks[4]! };
  } catch {
    return null;
  }
}
