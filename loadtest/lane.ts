/** What one way of watching amounts to: the order lane (one socket an order) or the zone lane (one for all). */
import { build } from 'hdr-histogram-js';

const MAX_MS = 600_000;

export class Lane {
  /** `positions` frames and their payload. */
  frames = 0;
  bytes = 0;
  /** Positions newer than the one shown before, and those that were not. */
  shown = 0;
  duplicates = 0;
  regressions = 0;
  /** µs from just before the ping was sent to when the frame with it came. */
  private readonly micros = build({
    highestTrackableValue: MAX_MS * 1000,
    numberOfSignificantValueDigits: 3,
  });

  latency(ms: number): void {
    this.micros.recordValue(Math.min(MAX_MS * 1000, Math.max(1, Math.round(ms * 1000))));
  }

  /** ms; null if nothing was shown. */
  percentile(p: number): number | null {
    if (this.micros.totalCount === 0) return null;
    return Math.round(this.micros.getValueAtPercentile(p) / 10) / 100;
  }
}
