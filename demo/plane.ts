/** The plane the city lies on: metres east and north of a point in the middle of the Atlantic. */

export interface Spot {
  /** Metres east. */
  readonly x: number;
  /** Metres north. */
  readonly y: number;
}

export type LngLat = [lng: number, lat: number];

/** Nobody lives here: 10° N, 30° W. */
export const ORIGIN = { lat: 10, lng: -30 };

const METRES_PER_LAT = 111_195;
const METRES_PER_LNG = METRES_PER_LAT * Math.cos((ORIGIN.lat * Math.PI) / 180);

export function toDegrees(spot: Spot): { lat: number; lng: number } {
  return { lat: ORIGIN.lat + spot.y / METRES_PER_LAT, lng: ORIGIN.lng + spot.x / METRES_PER_LNG };
}

/** GeoJSON order, rounded to a decimetre. */
export function toLngLat(spot: Spot): LngLat {
  const { lat, lng } = toDegrees(spot);
  return [Math.round(lng * 1e6) / 1e6, Math.round(lat * 1e6) / 1e6];
}

export function metres(a: Spot, b: Spot): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/** The spot a share `f` (0..1) of the way. */
export function between(a: Spot, b: Spot, f: number): Spot {
  return { x: a.x + (b.x - a.x) * f, y: a.y + (b.y - a.y) * f };
}

/** Degrees clockwise from north, 0..360. */
export function bearing(a: Spot, b: Spot): number {
  return ((Math.atan2(b.x - a.x, b.y - a.y) * 180) / Math.PI + 360) % 360;
}

/** A repeatable sequence of numbers in [0, 1): the same seed draws the same city (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(roll: () => number, from: readonly T[]): T {
  return from[Math.floor(roll() * from.length)]!;
}
