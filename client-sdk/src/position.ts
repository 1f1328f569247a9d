import type { Position } from './types.ts';
import type { PositionTuple } from './wire.ts';

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
