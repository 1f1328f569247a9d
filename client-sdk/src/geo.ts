/** Places on Earth, in degrees. */
interface Place {
  readonly lat: number;
  readonly lng: number;
}

const METRES_PER_DEGREE = 111_195;

/** Metres from `a` to `b`, also over the date line; good for short ways. */
export function metres(a: Place, b: Place): number {
  return (
    Math.hypot(turn(b.lng - a.lng) * Math.cos((a.lat * Math.PI) / 180), b.lat - a.lat) * METRES_PER_DEGREE
  );
}

/** The same angle in -180..180 degrees. */
export function turn(degrees: number): number {
  return degrees - 360 * Math.round(degrees / 360);
}
