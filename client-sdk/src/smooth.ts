/** @ridecast/client/smooth: a dot that glides between the positions that arrive. */
import { metres, turn } from './geo.ts';
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

/** Positions not reached yet: more of them only come in a burst, whose start nobody needs to see. */
const KEPT = 8;
const SLOWEST_MS = 5000;

/** Between `a` (f = 0) and `b` (f = 1), and beyond. */
function between(a: Place, b: Place, f: number, moving: boolean): Pose {
  const from = a.heading ?? b.heading;
  return {
    lat: a.lat + (b.lat - a.lat) * f,
    lng: turn(a.lng + turn(b.lng - a.lng) * f),
    heading:
      from === undefined ? from : (from + turn((b.heading ?? from) - from) * Math.min(f, 1) + 360) % 360,
    moving,
  };
}

/** Pure: no timers. Plays positions a little late; the dot's path has no jumps, whatever the network does. */
export function smooth(o: SmoothOptions = {}): Smooth {
  const { maxExtrapolateMs = 1000, snapBeyondM = 1000, now = Date.now } = o;
  /** Where the dot was at the newest push, where it is to be afterwards, and where it goes on to if nothing comes. */
  let keys: Key[] = [];
  let onward: Key | undefined;
  let last: Position | undefined;
  /** How far the positions' clock is behind ours, the least seen of late, ms. */
  let lag = Infinity;
  let interval = 1000;

  const delay = () => o.delayMs ?? Math.min(SLOWEST_MS, Math.max(250, interval));
  const played = (t: number) => t - lag - delay();

  const at = (t = now()): Pose | undefined => {
    const time = played(t);
    const next = keys.findIndex((key) => key.t > time);
    // All passed: the last.
    const b = keys.at(next);
    if (!b) return undefined;
    const a = keys[next - 1] ?? b;
    return between(a, b, (time - a.t) / (b.t - a.t || 1), next >= 0 && keys.length > 1);
  };

  const push = (p: Position): void => {
    const before = last;
    if (before && p.at <= before.at) return;
    const t = now();
    const shown = at(t);
    const behind = t - p.at;
    lag = behind < lag ? behind : lag + (behind - lag) / 16;
    last = p;
    const ahead = keys;
    const end = { ...p, t: p.at };
    keys = [end];
    if (!before || !shown) return;
    // A gap is no interval: after a tunnel the dot must not be minutes late.
    const apart = p.at - before.at;
    interval += (Math.min(apart, SLOWEST_MS) - interval) / 4;
    if (metres(shown, p) > snapBeyondM) return;
    // From where it stands, through what it has not reached yet, to the new one; late ones get time to glide.
    const time = played(t);
    const glide = delay() / 2;
    keys = [
      { ...shown, t: time },
      ...ahead.filter((key) => key !== onward && key.t > time + glide).slice(-KEPT),
    ];
    end.t = Math.max(p.at, keys.at(-1)!.t + glide);
    keys.push(end);
    if (apart > 2 * SLOWEST_MS || metres(before, p) < 1) return;
    onward = { ...between(before, p, 1 + maxExtrapolateMs / apart, true), t: end.t + maxExtrapolateMs };
    keys.push(onward);
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
