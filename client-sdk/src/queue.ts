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

const RANGES = {
  lat: [-90, 90],
  lng: [-180, 180],
  heading: [0, 360],
  speed: [0, 1000],
  accuracy: [0, 1e6],
  battery: [0, 1],
} as const;

/**
 * The ping with only what is known, and no digits that say nothing: phones tell a place to the width of an atom. What
 * they say when they do not know (null, NaN, -1) would cost the whole frame. Undefined: it is at no place on Earth.
 */
export function clean(ping: Ping | null | undefined, now = Date.now()): Waiting['fix'] | undefined {
  const at = ping?.at;
  const known: { [key: string]: unknown } = { at: at && at > 0 ? at : now };
  if (ping?.mocked) known.mocked = true;
  for (const [key, [min, max]] of Object.entries(RANGES)) {
    const value = ping?.[key as keyof typeof RANGES];
    if (typeof value === 'number' && value >= min && value <= max) known[key] = Math.round(value * 1e6) / 1e6;
  }
  return 'lat' in known && 'lng' in known ? (known as Waiting['fix']) : undefined;
}
