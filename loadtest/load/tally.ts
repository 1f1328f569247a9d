/** What a process of the generator counts, and hands over once a second. */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Lane } from './plan.ts';

const MAX_MICROS = 600_000_000;
const COUNTERS = 21 * 1024;

/**
 * Durations in ms, kept to a thousandth of themselves, up to ten minutes: an HDR histogram. Its counters are kept here,
 * because a watcher adds half a million durations a second.
 */
export class Durations {
  /** Below 2048 µs one counter per µs; then 1024 counters for every doubling. */
  private readonly counters = new Uint32Array(COUNTERS);
  private total = 0;

  add(ms: number): void {
    const micros = Math.min(MAX_MICROS, Math.max(1, Math.round(ms * 1000)));
    const doublings = Math.max(0, 21 - Math.clz32(micros));
    this.counters[doublings * 1024 + (micros >>> doublings)]!++;
    this.total++;
  }

  /** All of them as text, and starts anew; undefined if there were none. */
  take(): string | undefined {
    if (this.total === 0) return undefined;
    const histogram = build({ highestTrackableValue: MAX_MICROS, numberOfSignificantValueDigits: 3 });
    for (const [i, count] of this.counters.entries()) {
      if (count === 0) continue;
      const doublings = Math.max(0, (i >>> 10) - 1);
      histogram.recordValueWithCount((i - doublings * 1024) << doublings, count);
    }
    this.counters.fill(0);
    this.total = 0;
    return encodeIntoCompressedBase64(histogram);
  }
}

/** Pings of a rider, both ends included. */
export type Pings = readonly [rider: number, from: number, to: number];
/** Pings that so many watchers never saw, though they saw a later one. */
export type Gap = readonly [...Pings, watchers: number];

export interface LaneSample {
  readonly frames: number;
  /** Payload of those frames. */
  readonly bytes: number;
  /** Positions newer than the one shown before. */
  readonly shown: number;
  readonly duplicates: number;
  readonly regressions: number;
  /** Pings that were not shown because a newer one was there by the time anything was sent. */
  readonly overtaken: number;
  readonly gaps: readonly Gap[];
  /** From when the ping was due to when the frame with it came. */
  readonly latency: string | undefined;
  /** How old what watchers show is: since the ping shown was due. */
  readonly age: string | undefined;
}

export class LaneTally {
  frames = 0;
  bytes = 0;
  shown = 0;
  duplicates = 0;
  regressions = 0;
  overtaken = 0;
  readonly latency = new Durations();
  readonly age = new Durations();
  private gaps = new Map<string, [number, number, number, number]>();

  gap(rider: number, from: number, to: number): void {
    const key = `${rider} ${from} ${to}`;
    const known = this.gaps.get(key);
    if (known === undefined) this.gaps.set(key, [rider, from, to, 1]);
    else known[3]++;
  }

  take(): LaneSample {
    const { frames, bytes, shown, duplicates, regressions, overtaken } = this;
    this.frames = this.bytes = this.shown = this.duplicates = this.regressions = this.overtaken = 0;
    const gaps = [...this.gaps.values()];
    this.gaps = new Map();
    const [latency, age] = [this.latency.take(), this.age.take()];
    return { frames, bytes, shown, duplicates, regressions, overtaken, gaps, latency, age };
  }
}

export interface SocketSample {
  /** Open now. */
  readonly open: number;
  /** Sockets the gateway took, first time or again. */
  readonly connects: number;
  readonly reconnects: number;
  /** Dials that ended before the gateway said welcome. */
  readonly failed: number;
  /** Open sockets that were ended by somebody else, by close code. */
  readonly closes: Readonly<Record<string, number>>;
  /** From when the dial was due to welcome. */
  readonly connect: string | undefined;
}

export class SocketTally {
  open = 0;
  connects = 0;
  reconnects = 0;
  failed = 0;
  readonly connect = new Durations();
  private closes: Record<string, number> = {};

  closed(code: number): void {
    this.closes[code] = (this.closes[code] ?? 0) + 1;
  }

  take(): SocketSample {
    const { open, connects, reconnects, failed, closes } = this;
    this.connects = this.reconnects = this.failed = 0;
    this.closes = {};
    return { open, connects, reconnects, failed, closes, connect: this.connect.take() };
  }
}

export interface RiderSample {
  /** Pings that went out, each counted once. */
  readonly sent: number;
  /** Pings that went out again after a reconnect. */
  readonly resent: number;
  readonly acknowledged: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Pings that were due, but too old by the time there was a socket. */
  readonly givenUp: number;
  /** Pings that need not be shown: refused, sent late or again in a batch, and of riders who stood still. */
  readonly excused: readonly Pings[];
  /** From when a ping was due to when it was written to the socket; without those that had no socket. */
  readonly late: string | undefined;
}

export class RiderTally {
  sent = 0;
  resent = 0;
  acknowledged = 0;
  givenUp = 0;
  readonly late = new Durations();
  private refusals: Record<string, number> = {};
  private pings: Pings[] = [];

  refused(reason: string): void {
    this.refusals[reason] = (this.refusals[reason] ?? 0) + 1;
  }

  excuse(rider: number, from: number, to: number): void {
    this.pings.push([rider, from, to]);
  }

  take(): RiderSample {
    const { sent, resent, acknowledged, givenUp, refusals: refused, pings: excused } = this;
    this.sent = this.resent = this.acknowledged = this.givenUp = 0;
    this.refusals = {};
    this.pings = [];
    return { sent, resent, acknowledged, refused, givenUp, excused, late: this.late.take() };
  }
}

/** How a process of the generator itself fared. */
export interface SelfSample {
  /** Share of one core, 0..1 and a little more. */
  readonly cpu: number;
  /** By how much its event loop was late, ms. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  readonly rssBytes: number;
}

export interface Sample {
  /** Taken when this many seconds of the run were over. */
  readonly second: number;
  readonly lanes: Readonly<Partial<Record<Lane, LaneSample>>>;
  readonly sockets: SocketSample;
  readonly riders: RiderSample | undefined;
  readonly self: SelfSample;
}
