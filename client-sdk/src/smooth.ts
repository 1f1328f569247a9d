/** @ridecast/client/smooth: a dot that glides between the positions that arrive. */
import type { Off, Order, Position, Watch } from './types.ts';

export interface Pose {
  /** Degrees. */
  lat: number;
  lng: number;
  /** Degrees 0..360, where known. */
  heading?: number;
  /** There is more movement to come: draw again. */
  moving: boolean;
}

export interface SmoothOptions {
  /** ms the dot is behind, so that it has somewhere to go. Default: the observed interval, 250..5,000. */
  delayMs?: number;
  /** ms it goes on when nothing arrives, default 1,000. */
  maxExtrapolateMs?: number;
  /** A longer way than this is jumped, metres, default 1,000. */
  snapBeyondM?: number;
  /** The clock `at()` reads, ms; default `Date.now`. Need not agree with the gateway's. */
  now?: () => number;
}

export interface Smooth {
  push(position: Position): void;
  /** Where to draw the dot at `t` (default now); undefined before the first position. */
  at(t?: number): Pose | undefined;
}

interface Place {
  readonly lat: number;
  readonly lng: number;
  readonly heading?: number;
}

interface Key extends Place {
  readonly t: number;
}

const METRES = 111_195;
/** Positions not reached yet: more of them only come in a burst, whose start nobody needs to see. */
const KEPT = 8;
const SLOWEST_MS = 5000;

function metres(a: Place, b: Place): number {
  return Math.hypot(turn(b.lng - a.lng) * Math.cos((a.lat * Math.PI) / 180), b.lat - a.lat) * METRES;
}

/** The same angle in -180..180. */
function turn(degrees: number): number {
  return degrees - 360 * Math.round(degrees / 360);
}

/** Between `a` (f = 0) and `b` (f = 1), and beyond. */
function between(a: Place, b: Place, f: number, moving: boolean): Pose {
  const from = a.heading ?? b.heading;
  const heading = from === undefined ? from : from + turn((b.heading ?? from) - from) * Math.min(f, 1);
  return {
    lat: a.lat + (b.lat - a.lat) * f,
    lng: turn(a.lng + turn(b.lng - a.lng) * f),
    heading: heading === undefined ? heading : (heading + 360) % 360,
    moving,
  };
}

/** Pure: no timers. Plays positions a little late; the dot's path has no jumps, whatever the network does. */
export function smooth(o: SmoothOptions = {}): Smooth {
  const { maxExtrapolateMs = 1000, snapBeyondM = 1000, now = Date.now } = o;
  /** Where the dot was at the newest push, and where it is to be afterwards. */
  let keys: Key[] = [];
  let last: Position | undefined;
  /** Degrees per ms, between the two newest positions. */
  let speed = { lat: 0, lng: 0 };
  /** How far the positions' clock is behind ours, the least seen of late, ms. */
  let lag = 0;
  let interval = 1000;

  const delay = () => o.delayMs ?? Math.min(SLOWEST_MS, Math.max(250, interval));
  const played = (t: number) => t - lag - delay();

  const at = (t = now()): Pose | undefined => {
    const time = played(t);
    const end = keys.at(-1);
    if (!end) return undefined;
    const next = keys.findIndex((key) => key.t > time);
    const b = keys[next];
    const a = keys[next - 1];
    if (b) return a ? between(a, b, (time - a.t) / (b.t - a.t), true) : between(b, b, 0, keys.length > 1);
    const ahead = Math.min(time - end.t, maxExtrapolateMs);
    const there = { ...end, lat: end.lat + speed.lat * ahead, lng: end.lng + speed.lng * ahead };
    const moving = (!!speed.lat || !!speed.lng) && ahead < maxExtrapolateMs;
    return between(there, there, 0, moving);
  };

  const push = (p: Position): void => {
    const t = now();
    if (last && p.at <= last.at) return;
    const shown = at(t);
    const behind = t - p.at;
    if (last) {
      // A gap is no interval: after a tunnel the dot must not be minutes late.
      const apart = p.at - last.at;
      interval += (Math.min(apart, SLOWEST_MS) - interval) / 4;
      lag = behind < lag ? behind : lag + (behind - lag) / 16;
      const still = apart > 2 * SLOWEST_MS || metres(last, p) < 1;
      speed = still
        ? { lat: 0, lng: 0 }
        : { lat: (p.lat - last.lat) / apart, lng: turn(p.lng - last.lng) / apart };
    } else lag = behind;
    last = p;
    const { lat, lng, heading } = p;
    if (!shown || metres(shown, p) > snapBeyondM) {
      keys = [{ t: p.at, lat, lng, heading }];
      return;
    }
    // From where it stands, through what it has not reached yet, to the new one; late ones get time to glide.
    const time = played(t);
    const glide = delay() / 2;
    keys = [{ ...shown, t: time }, ...keys.filter((key) => key.t > time + glide).slice(-KEPT)];
    keys.push({ t: Math.max(p.at, keys.at(-1)!.t + glide), lat, lng, heading });
  };

  return { push, at };
}

/**
 * Draws an order's dot on every animation frame while it moves; idle while it is parked, and while the page is hidden.
 * Needs `requestAnimationFrame`.
 */
export function animate(
  watch: Watch<Order, { position: Position }>,
  draw: (pose: Pose) => void,
  o?: SmoothOptions,
): Off {
  const dot = smooth(o);
  let frame = 0;
  const step = () => {
    frame = 0;
    const pose = dot.at();
    if (!pose) return;
    draw(pose);
    if (pose.moving) frame = requestAnimationFrame(step);
  };
  const place = (position: Position) => {
    dot.push(position);
    frame ||= requestAnimationFrame(step);
  };
  const off = watch.on('position', place);
  if (watch.snapshot?.position) place(watch.snapshot.position);
  return () => {
    off();
    cancelAnimationFrame(frame);
  };
}
