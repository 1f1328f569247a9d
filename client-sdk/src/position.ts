import type { Position } from './types.ts';
import type { PositionTuple } from './wire.ts';

/** What orders the positions of one thing shown: numbers compared from the left. */
export type Mark = readonly number[];

/** Positive: `a` is newer than `b`. */
export function compare(a: Mark, b: Mark): number {
  for (let i = 0; i < a.length; i++) {
    const d = a[i]! - b[i]!;
    if (d) return d;
  }
  return 0;
}

/** A tuple of a frame stamped `at`, in degrees and m/s. */
export function toPosition(at: number, t: PositionTuple): Position {
  const [, , , lat, lng, age, , heading, speed, accuracy] = t;
  return {
    lat: lat / 1e5,
    lng: lng / 1e5,
    at: at - age,
    heading: heading ?? undefined,
    speed: speed == null ? undefined : speed / 10,
    accuracy: accuracy ?? undefined,
  };
}
