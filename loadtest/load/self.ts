/** How a process of the generator fares: if it is the limit, the numbers say nothing of the gateway. */
import type { SelfSample } from './tally.ts';

const EVERY_MS = 5;

export class SelfMeter {
  /** By how much the event loop was late, ms: one value for every EVERY_MS of the time, those it slept through included. */
  private lags: number[] = [];
  private cpu = process.cpuUsage();
  private since = performance.now();
  private due = performance.now() + EVERY_MS;
  private readonly timer = setInterval(() => this.tick(), EVERY_MS);

  /** What was measured since the last call. */
  take(): SelfSample {
    this.tick();
    const { user, system } = process.cpuUsage(this.cpu);
    const at = performance.now();
    const cpu = (user + system) / 1000 / Math.max(1, at - this.since);
    const lags = this.lags.sort((a, b) => a - b);
    const lagP99Ms = lags[Math.ceil(lags.length * 0.99) - 1] ?? 0;
    const lagMaxMs = lags[lags.length - 1] ?? 0;
    this.cpu = process.cpuUsage();
    this.since = at;
    this.lags = [];
    return { cpu, lagP99Ms, lagMaxMs, rssBytes: process.memoryUsage.rss() };
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const now = performance.now();
    for (; this.due <= now; this.due += EVERY_MS) this.lags.push(now - this.due);
  }
}
