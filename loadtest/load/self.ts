/** How a process of the generator fares: if it is the limit, the numbers say nothing of the gateway. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { SelfSample } from './tally.ts';

const RESOLUTION_MS = 5;

export class SelfMeter {
  private readonly lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private cpu = process.cpuUsage();
  private since = performance.now();

  constructor() {
    this.lag.enable();
  }

  /** What was measured since the last call. */
  take(): SelfSample {
    const { user, system } = process.cpuUsage(this.cpu);
    const at = performance.now();
    const cpu = (user + system) / 1000 / Math.max(1, at - this.since);
    // The monitor counts its own interval as delay.
    const late = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    const [lagP99Ms, lagMaxMs] = [late(this.lag.percentile(99)), late(this.lag.max)];
    this.cpu = process.cpuUsage();
    this.since = at;
    this.lag.reset();
    return { cpu, lagP99Ms, lagMaxMs, rssBytes: process.memoryUsage.rss() };
  }

  stop(): void {
    this.lag.disable();
  }
}
