/**
 * Where a rider is taken to be when nothing newer was sent: straight on, at the heading and speed of its last shown
 * position, for a while. A watcher that asked for `maxError` draws this dot, and the gateway sends a position when this
 * dot is wrong by more. Both sides must compute the same; PROTOCOL.md has the formula.
 */
import { UNITS_PER_DEGREE } from './positions.ts';

/** ms after the fix beyond which nobody goes on guessing: the dot stands. */
export const PREDICT_MS = 10_000;

/** Metres per degree of latitude, on a sphere of 6,371 km. */
const METRES_PER_DEGREE = 111_195;
const METRES_PER_UNIT = METRES_PER_DEGREE / UNITS_PER_DEGREE;
const RADIANS = Math.PI / 180;

/** What of a position moves a dot. Units as in `Position`: 1e-5 degree, degrees, dm/s. */
export interface Moving {
  readonly lat: number;
  readonly lng: number;
  readonly fixAt: number;
  readonly heading: number | null;
  readonly speed: number | null;
}

/** Metres between the dot that goes on from `shown` and where the rider was at `actual.fixAt`. */
export function predictionError(shown: Moving, actual: Moving): number {
  const seconds = Math.min(Math.max(0, actual.fixAt - shown.fixAt), PREDICT_MS) / 1000;
  const way = shown.heading === null || shown.speed === null ? 0 : (shown.speed / 10) * seconds;
  const heading = (shown.heading ?? 0) * RADIANS;
  const shrink = Math.cos((shown.lat / UNITS_PER_DEGREE) * RADIANS);
  const north = (actual.lat - shown.lat) * METRES_PER_UNIT - way * Math.cos(heading);
  const east = turn(actual.lng - shown.lng) * METRES_PER_UNIT * shrink - way * Math.sin(heading);
  return Math.hypot(north, east);
}

/** The same difference of longitude, in units, the short way round. */
function turn(units: number): number {
  const circle = 360 * UNITS_PER_DEGREE;
  return units - circle * Math.round(units / circle);
}

/** The heading (degrees 0..359) and speed (dm/s) that lead from one fix to the next; null where they stand or are far apart. */
export function motion(from: Moving, to: Moving): { heading: number | null; speed: number | null } {
  const ms = to.fixAt - from.fixAt;
  if (ms <= 0 || ms > PREDICT_MS) return { heading: null, speed: null };
  const shrink = Math.cos((from.lat / UNITS_PER_DEGREE) * RADIANS);
  const north = (to.lat - from.lat) * METRES_PER_UNIT;
  const east = turn(to.lng - from.lng) * METRES_PER_UNIT * shrink;
  const metres = Math.hypot(north, east);
  if (metres < 1) return { heading: null, speed: 0 };
  const heading = (Math.round(Math.atan2(east, north) / RADIANS) + 360) % 360;
  return { heading, speed: Math.round((metres / ms) * 10_000) };
}
