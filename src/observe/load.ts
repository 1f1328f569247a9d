/**
 * How much of its time this process is busy, and how far to stretch what can wait because of it.
 *
 * The event loop tells how long it waited for something to do; the rest is work, ours or the garbage collector's. Near
 * all of the time means that it cannot keep up: whatever is put off by a factor of two is then done half as often.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** Shares of a window's time. Half as much stretched may be twice as busy, so CALM is half of BUSY. */
const BUSY = 0.9;
const CALM = 0.45;
/** The most that anything is stretched. */
const MAX_FACTOR = 16;
/** Busy windows before a step up: a garbage collection, or a neighbour's burst, is no overload. */
const BUSY_WINDOWS = 2;
/** Calm windows before a step back: a burst is not over after its first pause. */
const CALM_WINDOWS = 4;

export class Load {
  /** 1: nothing is stretched. Else 2, 4, 8 or 16. */
  factor = 1;
  /** The busy share of the last window, 0..1. */
  utilization = 0;
  private readonly read: (since?: EventLoopUtilization) => EventLoopUtilization;
  private before: EventLoopUtilization;
  private busy = 0;
  private calm = 0;

  constructor(read = (since?: EventLoopUtilization) => performance.eventLoopUtilization(since)) {
    this.read = read;
    this.before = read();
  }

  /** Ends a window and draws the conclusion. Called at even intervals, some hundred ms. */
  sample(): void {
    const now = this.read();
    const { active, idle } = this.since(now);
    this.before = now;
    this.utilization = active + idle > 0 ? active / (active + idle) : 0;
    this.busy = this.utilization > BUSY ? this.busy + 1 : 0;
    this.calm = this.utilization < CALM ? this.calm + 1 : 0;
    if (this.busy >= BUSY_WINDOWS) this.factor = Math.min(MAX_FACTOR, this.factor * 2);
    else if (this.calm >= CALM_WINDOWS && this.factor > 1) {
      this.factor /= 2;
      this.calm = 0;
    }
  }

  private since(now: EventLoopUtilization): { active: number; idle: number } {
    return { active: now.active - this.before.active, idle: now.idle - this.before.idle };
  }
}
