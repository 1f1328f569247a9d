/** When each ping went out, and from there: how long it took to be seen, and how old what is shown is. */
import { build } from 'hdr-histogram-js';
import type { Eye } from './dialect.ts';

/** Pings of one rider that are remembered. */
const KEPT = 256;
const MAX_MS = 600_000;

/** Milliseconds in three digits. */
export class Times {
  private readonly micros = build({
    highestTrackableValue: MAX_MS * 1000,
    numberOfSignificantValueDigits: 3,
  });

  add(ms: number): void {
    this.micros.recordValue(Math.min(MAX_MS * 1000, Math.max(1, Math.round(ms * 1000))));
  }

  /** ms; null if there are none. */
  percentile(p: number): number | null {
    return this.micros.totalCount === 0 ? null : Math.round(this.micros.getValueAtPercentile(p)) / 1000;
  }

  clear(): void {
    this.micros.reset();
  }
}

/** When each rider's pings were sent, `performance.now()`. */
export class SentTimes {
  private readonly times: Float64Array;

  constructor(riders: number) {
    this.times = new Float64Array(riders * KEPT);
  }

  set(rider: number, seq: number, at: number): void {
    this.times[rider * KEPT + (seq % KEPT)] = at;
  }

  get(rider: number, seq: number): number {
    return this.times[rider * KEPT + (seq % KEPT)]!;
  }
}

/** What one watcher is shown, and since when it could have been. */
export class Sight implements Eye {
  readonly rider: number | undefined;
  readonly refs = new Map<number, number>();
  decode: Eye['decode'];
  /** Positions that came after a newer one of their rider. */
  wentBack = 0;
  private readonly sent: SentTimes;
  private readonly delays: Times;
  /** By rider, or of the one rider: the number shown, and when that ping was sent. */
  private readonly shown: Int32Array;
  private readonly since: Float64Array;
  private now = 0;

  constructor(rider: number | undefined, riders: number, sent: SentTimes, delays: Times) {
    const size = rider === undefined ? riders : 1;
    this.rider = rider;
    this.sent = sent;
    this.delays = delays;
    this.shown = new Int32Array(size);
    this.since = new Float64Array(size);
  }

  /** A frame came. */
  at(now: number): this {
    this.now = now;
    return this;
  }

  saw(rider: number, seq: number): void {
    const place = this.rider === undefined ? rider : 0;
    if (seq <= this.shown[place]!) {
      if (seq < this.shown[place]!) this.wentBack++;
      return;
    }
    this.shown[place] = seq;
    const sentAt = this.sent.get(rider, seq);
    this.since[place] = sentAt;
    this.delays.add(this.now - sentAt);
  }

  /** The ages of all that is shown now, ms. */
  ages(now: number, into: Times): void {
    for (let place = 0; place < this.shown.length; place++) {
      if (this.shown[place]! > 0) into.add(now - this.since[place]!);
    }
  }
}
