/** How a rider moves along a route: speeds up, slows down for turns, stops at its end. Pure. */
import { bearing, between, metres, type Spot } from './plane.ts';

/** m/s². Riders brake harder than they speed up. */
const SPEED_UP = 1.4;
const BRAKE = 2;
const STEP_S = 0.25;
/** m/s with which a right angle is taken. */
const TURN_SPEED = 3;

export interface Drive {
  readonly spot: Spot;
  /** Degrees clockwise from north. */
  readonly heading: number;
  /** m/s. */
  readonly speed: number;
  /** Metres to the end of the route. */
  readonly left: number;
  /** Moves on by so many seconds. */
  go(seconds: number): void;
}

/** @param cruise m/s on a straight street */
export function drive(route: readonly Spot[], cruise: number): Drive {
  const path = route.filter((spot, i) => i === 0 || metres(route[i - 1]!, spot) > 0.01);
  const marks = [0];
  for (let i = 1; i < path.length; i++) marks.push(marks[i - 1]! + metres(path[i - 1]!, path[i]!));
  const end = marks.at(-1)!;
  const limits = path.map((_, i) => limitAt(path, i, cruise));

  let at = 0;
  let speed = 0;
  /** The stretch from path[leg] to path[leg + 1]. */
  let leg = 0;

  function allowed(): number {
    let most = cruise;
    for (let i = leg + 1; i < path.length && marks[i]! - at < 60; i++) {
      most = Math.min(most, Math.sqrt(limits[i]! ** 2 + 2 * BRAKE * Math.max(0, marks[i]! - at)));
    }
    return most;
  }

  function step(seconds: number): void {
    speed = Math.min(speed + SPEED_UP * seconds, Math.max(0.6, allowed()));
    at = Math.min(end, at + speed * seconds);
    if (at >= end) speed = 0;
    while (leg < path.length - 2 && at >= marks[leg + 1]!) leg++;
  }

  return {
    get spot() {
      if (path.length < 2) return path[0]!;
      return between(path[leg]!, path[leg + 1]!, (at - marks[leg]!) / (marks[leg + 1]! - marks[leg]!));
    },
    get heading() {
      return path.length < 2 ? 0 : bearing(path[leg]!, path[leg + 1]!);
    },
    get speed() {
      return speed;
    },
    get left() {
      return end - at;
    },
    go(seconds) {
      for (let rest = seconds; rest > 0; rest -= STEP_S) step(Math.min(STEP_S, rest));
    },
  };
}

/** m/s at a point of the path: nothing at its end, slow in a turn. */
function limitAt(path: readonly Spot[], i: number, cruise: number): number {
  if (i === path.length - 1) return 0;
  if (i === 0) return cruise;
  const turned = Math.abs(bearing(path[i - 1]!, path[i]!) - bearing(path[i]!, path[i + 1]!));
  const angle = Math.min(turned, 360 - turned);
  return angle < 20 ? cruise : Math.max(TURN_SPEED, cruise * (1 - angle / 120));
}

/** Seconds a route takes, about. */
export function seconds(route: readonly Spot[], cruise: number): number {
  let length = 0;
  for (let i = 1; i < route.length; i++) length += metres(route[i - 1]!, route[i]!);
  return length / (cruise * 0.82);
}
