/** Where a rider is at a time: along a recorded trace, or around blocks of a city that exists nowhere. */
import { type Fix, readTraces, type Trace } from '../traces.ts';
import { draw, type Plan } from './plan.ts';

/** Degrees, m/s. */
export type Place = Pick<Fix, 'lat' | 'lng' | 'heading' | 'speed' | 'accuracy'>;
/** The place of rider number `rider`, `ms` after the start. Pure: asked again, it answers the same. */
export type Motion = (rider: number, ms: number) => Place;

const METRES_PER_DEGREE = 111_195;
/** Of the synthetic city. */
const BLOCK_M = 120;
const BLOCKS = 50;
/** From ping to ping, along the street: round a corner too, nobody would think they had not moved. */
const LEAST_STEP_M = 3;
const HEADINGS = [90, 0, 270, 180] as const;

export async function makeMotion(plan: Plan): Promise<Motion> {
  return plan.traces === undefined ? cityMotion(plan) : traceMotion(plan, await readTraces(plan.traces));
}

/** The square the synthetic city lies in, as a trace: what zones are drawn over. */
export function citySquare({ lat, lng }: Plan['center']): Trace {
  const half = (BLOCKS * BLOCK_M) / 2 / METRES_PER_DEGREE;
  const wide = half / Math.cos((lat * Math.PI) / 180);
  const corner = (sign: number) => ({ t: 0, lat: lat + sign * half, lng: lng + sign * wide });
  return { id: 'city', fixes: [corner(-1), corner(1)] };
}

/** Every rider goes round a rectangle of blocks of its own and never stands still. */
function cityMotion(plan: Plan): Motion {
  const { lat, lng } = plan.center;
  const lngDegree = METRES_PER_DEGREE * Math.cos((lat * Math.PI) / 180);
  return (rider, ms) => {
    const roll = (what: string, low: number, high: number) => low + draw(plan, what, rider) * (high - low);
    const [width, height] = [Math.floor(roll('width', 2, 12)), Math.floor(roll('height', 2, 12))];
    const west = Math.floor(roll('west', 0, BLOCKS - width + 1)) - BLOCKS / 2;
    const south = Math.floor(roll('south', 0, BLOCKS - height + 1)) - BLOCKS / 2;
    const speed = Math.max(roll('speed', 4, 9), LEAST_STEP_M * plan.hz);
    const around = 2 * (width + height) * BLOCK_M;
    const [w, h] = [width * BLOCK_M, height * BLOCK_M];
    let s = (roll('start', 0, around) + (speed * ms) / 1000) % around;
    const sides = [w, h, w, h];
    let side = 0;
    while (s > sides[side]!) s -= sides[side++]!;
    const x = [s, w, w - s, 0][side]! + west * BLOCK_M;
    const y = [0, s, h, h - s][side]! + south * BLOCK_M;
    const heading = HEADINGS[side]!;
    return { lat: lat + y / METRES_PER_DEGREE, lng: lng + x / lngDegree, heading, speed, accuracy: 5 };
  };
}

/** Riders share the traces out, go to and fro on them, and begin at different points. */
function traceMotion(plan: Plan, traces: readonly Trace[]): Motion {
  return (rider, ms) => {
    const { fixes } = traces[rider % traces.length]!;
    const origin = fixes[0]!.t;
    const lasts = fixes[fixes.length - 1]!.t - origin;
    if (lasts === 0) return fixes[0]!;
    const turn = (draw(plan, 'start', rider) * 2 * lasts + ms) % (2 * lasts);
    return between(fixes, origin + (turn <= lasts ? turn : 2 * lasts - turn));
  };
}

/** The place at a time within a trace, on the straight line between two fixes. */
function between(fixes: Trace['fixes'], t: number): Place {
  let [low, high] = [0, fixes.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fixes[middle]!.t <= t) low = middle;
    else high = middle;
  }
  const [a, b] = [fixes[low]!, fixes[high]!];
  const f = b.t === a.t ? 1 : Math.min(1, Math.max(0, (t - a.t) / (b.t - a.t)));
  const { heading, speed, accuracy } = a;
  return { lat: a.lat + (b.lat - a.lat) * f, lng: a.lng + (b.lng - a.lng) * f, heading, speed, accuracy };
}
