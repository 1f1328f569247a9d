import type { Position } from './types.ts';
import type { PositionTuple } from './wire.ts';

/**
 * What orders the positions of one thing shown. `ref` numbers the riders of an order: 0 where riders have ids, -1 where
 * numbers may mean others now, as after a reset.
 */
export type Mark = readonly [ref: number, session: number, seq: number, ...rest: unknown[]];

/** Older than any. */
export const NEVER: Mark = [0, 0, 0];

/** Positive: `a` is newer than `b`. */
export const compare = ([ref, session, seq]: Mark, [r, s, q]: Mark): number =>
  // Another rider in another session: the caller knows that it is the one to be shown now.
  ref !== r && session !== s ? 1 : session - s || seq - q;

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
