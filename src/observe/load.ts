/**
 * How much of its time this process is busy, and how far to stretch what can wait because of it.
 *
 * The event loop tells how long it waited for something to do; the rest is work, ours or the garbage collector's. A loop
 * that never waits cannot keep up: whatever is put off by a factor of two is then done half as often. Back it goes at
 * once where twice the work would fit, and as a trial where it might: a trial that fails makes the next one later.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** Shares of a window's time. Up to BUSY all that came was done, and nothing waits for long. */
const BUSY = 0.98;
/** Half as much stretched may be twice as busy: up to here that fits. */
const CALM = 0.45;
/** Up to here it may fit: part of the work is not stretched. */
const EASY = 0.85;
/** The most that anything is stretched. */
const MAX_FACTOR = 16;
/** Windows that are busy together before a step up: a garbage collection, or a neighbour's burst, is no overload. */
const BUSY_WINDOWS = 2;
/** Windows that are calm or easy together, and windows between steps back: a burst is not over after its first pause. */
const CALM_WINDOWS = 4;
/** Easy windows before a trial: so many at first, and at most when trials failed. */
const TRIAL_WINDOWS = 8;
const MAX_TRIAL_WINDOWS = 128;

/** A window's time, ms. */
interface Window {
  readonly active: number;
  readonly idle: number;
}

export class Load {
  /** 1: nothing is stretched. Else 2, 4, 8 or 16. */
  factor = 1;
  /** The busy share of the last window, 0..1. */
  utilization = 0;
  private readonly read: (since?: EventLoopUtilization) => EventLoopUtilization;
  private before: EventLoopUtilization;
  /** The last MAX_FACTOR of them, newest first: no more are looked at together. */
  private windows: Window[] = [];
  private easy = 0;
  private sinceStep = 0;
  /** The last step was back. */
  private relaxed = false;
  /** Easy windows before the next trial. */
  private patience = TRIAL_WINDOWS;
  /** Windows since a step back that was a trial. */
  private sinceTrial = Number.POSITIVE_INFINITY;

  constructor(read = (since?: EventLoopUtilization) => performance.eventLoopUtilization(since)) {
    this.read = read;
    this.before = read();
  }

  /** Ends a window and draws the conclusion. Called at even intervals, some hundred ms. */
  sample(): void {
    const now = this.read();
    const { active, idle } = this.before;
    this.windows.unshift({ active: now.active - active, idle: now.idle - idle });
    this.windows.length = Math.min(this.windows.length, MAX_FACTOR);
    this.before = now;
    this.utilization = this.share(1);
    this.sinceStep++;
    this.sinceTrial++;
    const bursts = this.bursts();
    const lately = this.share(CALM_WINDOWS);
    this.easy = lately < EASY ? this.easy + 1 : 0;
    if (this.windows.length >= bursts && this.share(bursts) > BUSY) this.stretch();
    else if (this.factor === 1 || this.sinceStep < CALM_WINDOWS) return;
    else if (lately < CALM) this.relax();
    else if (this.easy >= this.patience) {
      this.relax();
      this.sinceTrial = 0;
    }
  }

  /**
   * What is stretched comes in bursts, one in so many windows as it is stretched by: only windows that span one tell how busy
   * it is. The first burst after a step back is still as large as those before it.
   */
  private bursts(): number {
    const first = Math.max(CALM_WINDOWS, 2 * this.factor);
    const settling = this.relaxed && this.sinceStep <= 2 * first;
    return settling ? first : Math.max(BUSY_WINDOWS, this.factor);
  }

  /** The busy share of the last so many windows. */
  private share(count: number): number {
    let active = 0;
    let idle = 0;
    for (const window of this.windows.slice(0, count)) {
      active += window.active;
      idle += window.idle;
    }
    return active + idle > 0 ? active / (active + idle) : 0;
  }

  private stretch(): void {
    // A trial that failed: the next one comes later. One that held for long is forgotten.
    if (this.sinceTrial < this.patience) this.patience = Math.min(MAX_TRIAL_WINDOWS, 2 * this.patience);
    else this.patience = TRIAL_WINDOWS;
    this.sinceTrial = Number.POSITIVE_INFINITY;
    this.easy = 0;
    this.sinceStep = 0;
    this.relaxed = false;
    this.factor = Math.min(MAX_FACTOR, this.factor * 2);
  }

  private relax(): void {
    this.factor /= 2;
    this.relaxed = true;
    this.sinceStep = 0;
    this.easy = 0;
  }
}
