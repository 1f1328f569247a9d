import type { Position } from './types.ts';
import type { PositionTuple } from './wire.ts';

/**
 * What orders the positions of one thing shown. `ref` is 0 where riders have ids, and -1 after a reset: numbers of riders
 * may mean others now, and only who goes on in the same session is known to be the same.
 */
export type Mark = readonly [ref: number, session: number, seq: number];

/** Older than any. */
export const NEVER: Mark = [0, 0, 0];

/** Positive: `a` is newer than `b`. */
export function compare([ref, session, seq]: Mark, [r, s, q]: Mark): number {
  if (r < 0 && session !== s) return 1;
  return (r < 0 ? 0 : ref - r) || session - s || seq - q;
}

/** The same in spite of a reset. */
export const unnumbered = ([, session, seq]: Mark): Mark => [-1, session, seq];

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
