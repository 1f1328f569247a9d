/** Time and CPU of a stretch of a run, of other processes and of this one. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { cpuSeconds } from './processes.ts';
import type { Report } from './report.ts';

const RESOLUTION_MS = 5;
/** Beyond either of these this process, not the gateway, makes the numbers. */
const LAG_LIMIT_MS = 20;
const CPU_LIMIT = 0.9;

export class Meter {
  private readonly startedAt = performance.now();
  private readonly ownCpu = process.cpuUsage();
  private readonly lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly pids: Readonly<Record<string, number>>;
  private readonly before: Record<string, number | null>;

  /** Starts measuring. @param pids processes by name */
  constructor(pids: Readonly<Record<string, number>>) {
    this.pids = pids;
    this.before = this.readAll();
    this.lag.enable();
  }

  get seconds(): number {
    return (performance.now() - this.startedAt) / 1000;
  }

  stop(): Pick<Report, 'cpuSeconds' | 'wallSeconds' | 'generator'> {
    this.lag.disable();
    const wallSeconds = this.seconds;
    const { user, system } = process.cpuUsage(this.ownCpu);
    const own = (user + system) / 1e6;
    // The monitor counts its own interval as delay.
    const lagP99Ms = Math.max(0, Math.round(this.lag.percentile(99) / 1e6 - RESOLUTION_MS));
    const after = this.readAll();
    const used = Object.entries(after).map(([name, now]) => {
      const before = this.before[name];
      return [name, now === null || before == null ? null : hundredths(now - before)] as const;
    });
    const limited = lagP99Ms > LAG_LIMIT_MS || own / wallSeconds > CPU_LIMIT;
    return {
      cpuSeconds: Object.fromEntries(used),
      wallSeconds: hundredths(wallSeconds),
      generator: { cpuSeconds: hundredths(own), lagP99Ms, limited },
    };
  }

  private readAll(): Record<string, number | null> {
    return Object.fromEntries(Object.entries(this.pids).map(([name, pid]) => [name, cpuSeconds(pid)]));
  }
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
