import type { Ping } from './types.ts';
import type { WirePing } from './wire.ts';

/** A ping that is not acknowledged. It has a number once it was sent in this rider session. */
export interface Waiting {
  readonly fix: Omit<WirePing, 'seq' | 'at'> & { at: number };
  seq?: number;
  /** Sent on the link of now. */
  sent?: boolean;
}

/** Every other one of the older half goes: the route keeps its shape. */
export function thin(queue: readonly Waiting[]): Waiting[] {
  const half = queue.length / 2;
  return queue.filter((_, i) => i >= half || i % 2);
}

/** Rough metres between two points; good for short ways. */
export function metres(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
  const x = (b.lng - a.lng) * Math.cos((a.lat * Math.PI) / 180);
  return Math.hypot(x, b.lat - a.lat) * 111_195;
}

/** Whether it is a ping, and at a place on Earth. */
export function onEarth(ping: Partial<Ping> | null | undefined): boolean {
  return Math.abs(ping?.lat ?? NaN) <= 90 && Math.abs(ping?.lng ?? NaN) <= 180;
}

// What phones say when they do not know: null, NaN, -1. One such field would cost the whole frame.
const UP_TO = { heading: 360, speed: 1000, accuracy: 1e6, battery: 1 } as const;

/** The ping with only what is known, and no digits that say nothing: phones tell a place to the width of an atom. */
export function clean(ping: Ping, now: number): Waiting['fix'] {
  const { lat, lng, at, mocked } = ping;
  const known: Waiting['fix'] = { lat: round(lat), lng: round(lng), at: at && at > 0 ? at : now };
  if (mocked) known.mocked = true;
  for (const key of Object.keys(UP_TO) as (keyof typeof UP_TO)[]) {
    const value = ping[key];
    if (typeof value === 'number' && value >= 0 && value <= UP_TO[key]) known[key] = round(value);
  }
  return known;
}

const round = (value: number) => Math.round(value * 1e6) / 1e6;
