/** What was shown of one rider lately: what a packed position is told against. */
import type { Freshness, Position } from './positions.ts';

/** ms: packed times are multiples of it. */
export const TIME_MS = 125;
/** Degrees: packed headings are multiples of it. */
export const HEADING_DEGREES = 2;
/** A watcher that stands before so many changes of a rider is sent the rider's position whole. */
const KEPT = 4;

/** What a rider's row came to show at one clock of its group. */
export interface Shown {
  /** The group's clock at the change. */
  readonly clock: number;
  readonly position: Position;
  readonly freshness: Freshness;
  /** When the fix was taken, in units of `TIME_MS`. */
  readonly time: number;
  /** The way from what was shown before, 1e-5 degree: whatever comes next is guessed to go on like this. */
  readonly north: number;
  readonly east: number;
  /** What was shown before; undefined at the first, and at the last that is kept. */
  before: Shown | undefined;
}

/** The next thing shown of a rider, or the first. */
export function show(
  position: Position,
  freshness: Freshness,
  clock: number,
  before: Shown | undefined,
): Shown {
  let last = before;
  for (let kept = 2; kept < KEPT; kept++) last = last?.before;
  if (last !== undefined) last.before = undefined;
  return {
    clock,
    position,
    freshness,
    time: toTime(position.fixAt),
    north: before === undefined ? 0 : position.lat - before.position.lat,
    east: before === undefined ? 0 : position.lng - before.position.lng,
    before,
  };
}

/** What a watcher that stands at `since` was last sent; undefined: nothing, or it is not known any more. */
export function shownAt(newest: Shown, since: number): Shown | undefined {
  let shown: Shown | undefined = newest;
  while (shown !== undefined && shown.clock > since) shown = shown.before;
  return shown;
}

/** ms since epoch in units of `TIME_MS`. */
export function toTime(ms: number): number {
  return Math.round(ms / TIME_MS);
}
