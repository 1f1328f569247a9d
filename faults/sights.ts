/** What an app sees of its orders, as one process of apps tells another. */
import type { TokenPlan } from './short-tokens.ts';

/** One app: an SDK client that watches orders. */
export interface AppSpec {
  readonly id: number;
  /** Dialled in turn, beginning with `first`: what a load balancer would do. */
  readonly urls: readonly string[];
  readonly first: number;
  readonly token: string;
  /** Mints a new token whenever one is due, instead of `token`. */
  readonly tokens?: TokenPlan;
  readonly orders: readonly string[];
  /** What this app does without: the protections on its side that a twin switches off. */
  readonly without?: readonly ClientProtection[];
  readonly maxHz?: number;
}

/** What an app of a twin may lack. */
export const clientProtections = {
  credit: 'it never says how many position frames it has handled',
  resume: 'it never says where it stood',
  watchdog: 'it does not mind silence',
  'gap-check': 'it takes whatever events come for the next ones, and hides resets from the app',
} as const;

export type ClientProtection = keyof typeof clientProtections;

export type Order =
  | { readonly do: 'open'; readonly apps: readonly AppSpec[] }
  /** Closes the watches; opens them again from where they stood. */
  | { readonly do: 'unwatch' | 'rewatch'; readonly ids: readonly number[] }
  /** Stops and goes on reading the socket there is; ends. */
  | { readonly do: 'pause' | 'resume' | 'close'; readonly ids: readonly number[] }
  /** The fault comes: a light watcher tells of the first position from after that, ms since epoch. */
  | { readonly do: 'mark'; readonly at: number }
  /** Every sight so far is to be sent, then `told`. */
  | { readonly do: 'tell'; readonly call: number };

/**
 * app, ms since epoch, what, order, number:
 * - `link` 1: live, 0: not
 * - `dial`: a light watcher opens a socket
 * - `degraded` 1: the gateway said that it lost its backbone, 0: that it is back
 * - `paused` 1: it stopped reading, 0: it goes on
 * - `fresh` 1: the watch claims to be live, 0: it says it is not
 * - `snapshot`: the first state, `reset`: a state announced by `gap`, `event`: the state after an event; the number is the order's
 * - `jump`: the state changed to that number although nothing was announced
 * - `position`: the number of the rider's fix
 * - `ended`: the watch is over; `refused`: the watch was refused, the number is 0
 */
export type Sight = readonly [app: number, at: number, what: SightKind, order: string, n: number];

export type SightKind =
  | 'link'
  | 'dial'
  | 'degraded'
  | 'paused'
  | 'fresh'
  | 'snapshot'
  | 'reset'
  | 'event'
  | 'jump'
  | 'position'
  | 'ended'
  | 'refused';

export type Report = { readonly sights: readonly Sight[] } | { readonly told: number };

/** Fixes are numbered by their latitude: one step of the wire's resolution each. */
const STEP = 1e-5;
const SOUTH = 10;

/** The fix that carries a number, 0 up to five million. */
export function fixNumbered(n: number): { lat: number; lng: number } {
  return { lat: SOUTH + n * STEP, lng: 13.4 };
}

export function numberOfFix(lat: number): number {
  return Math.round((lat - SOUTH) / STEP);
}
