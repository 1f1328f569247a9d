/** Who does what when: every process works it out for itself from the same few numbers. Times are ms since the start. */
import type { clientCodecs } from '../connection.ts';

export interface Drops {
  /** Share of riders and customers whose network comes and goes. */
  readonly share: number;
  readonly offMs: number;
  readonly onMs: number;
}

export interface Plan {
  /** In front of every id, so that other runs, and other people's orders, are not ours. */
  readonly run: string;
  /** Gateways, http://host:port. Sockets are dealt out among them. */
  readonly urls: readonly string[];
  readonly zones: readonly string[];
  readonly secret: string | undefined;
  /** File of tokens, if there is no secret. */
  readonly tokens: string | undefined;
  readonly riders: number;
  /** Pings a second of each rider. */
  readonly hz: number;
  readonly customersPerOrder: number;
  readonly partners: number;
  /** Sockets that watch every zone, and sockets that watch one. */
  readonly operators: number;
  readonly zoneWatchers: number;
  readonly rampMs: number;
  readonly measuredMs: number;
  /** Share of watchers that leave and come back, per minute. */
  readonly churn: number;
  /** Shares of watchers. */
  readonly slow: number;
  readonly dead: number;
  readonly drops: Drops | undefined;
  readonly traces: string | undefined;
  readonly center: { readonly lat: number; readonly lng: number };
  readonly seed: number;
  readonly codec: keyof typeof clientCodecs;
  /** GROUP_TICK_MS of the gateways. */
  readonly tickMs: number;
  /** Every rider is in one of the zones at any time. */
  readonly coversCity: boolean;
  /** The gateways show riders that stand still too. */
  readonly showsStill: boolean;
}

export const ROLES = ['riders', 'customers', 'partners', 'operators'] as const;
/** What a process of the generator plays. */
export type Role = (typeof ROLES)[number];

export const LANES = ['order', 'partner', 'zone', 'slow'] as const;
/** A way of watching; watchers that read slowly have a lane of their own. */
export type Lane = (typeof LANES)[number];

export const LANE_OF = { customers: 'order', partners: 'partner', operators: 'zone' } as const;

/** How many sockets a role has. */
export function headcount(plan: Plan, role: Role): number {
  switch (role) {
    case 'riders':
      return plan.riders;
    case 'customers':
      return plan.riders * plan.customersPerOrder;
    case 'partners':
      return plan.partners;
    case 'operators':
      return plan.zones.length === 0 ? 0 : plan.operators + plan.zoneWatchers;
  }
}

export const orderId = (plan: Plan, rider: number): string => `${plan.run}-${rider}`;

/** Which partner a rider's order is of; 0 if there is none that watches. */
export const partnerOf = (plan: Plan, rider: number): number =>
  plan.partners === 0 ? 0 : rider % plan.partners;

export const periodMs = (plan: Plan): number => 1000 / plan.hz;
export const endMs = (plan: Plan): number => plan.rampMs + plan.measuredMs;

const GOLDEN = 0.618_033_988_749_895;

/** When ping number `seq` of a rider is due. Riders are spread over the period, as far from each other as it goes. */
export function dueMs(plan: Plan, rider: number, seq: number): number {
  return (((rider * GOLDEN) % 1) + seq - 1) * periodMs(plan);
}

/** When member number `index` of a role joins: all of them evenly over the ramp. */
export function joinMs(plan: Plan, role: Role, index: number): number {
  return (plan.rampMs * index) / headcount(plan, role);
}

/** The number of the first ping that is due at or after a time. */
export function firstSeq(plan: Plan, rider: number, ms: number): number {
  return Math.max(1, Math.ceil((ms - dueMs(plan, rider, 1)) / periodMs(plan)) + 1);
}

/** A number in [0, 1) that looks like chance and is the same in every process and run with this seed. */
export function draw(plan: Plan, what: string, index: number): number {
  let h = Math.imul(plan.seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  for (let i = 0; i < what.length; i++) h = Math.imul(h ^ what.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return ((h ^ (h >>> 15)) >>> 0) / 4_294_967_296;
}

export type Manner = 'reads' | 'slow' | 'dead';

/** How a watcher reads what it is sent. */
export function mannerOf(plan: Plan, role: Role, index: number): Manner {
  const roll = draw(plan, `${role} read`, index);
  if (roll < plan.slow) return 'slow';
  return roll < plan.slow + plan.dead ? 'dead' : 'reads';
}

/** Away from `off` to `on`. */
export interface Absence {
  readonly off: number;
  readonly on: number;
}

/** When the network of a rider or customer is gone, if it is one that comes and goes. It is back at the end. */
export function* outages(plan: Plan, role: Role, index: number): Generator<Absence> {
  const { drops } = plan;
  if (drops === undefined || draw(plan, `${role} drops`, index) >= drops.share) return;
  const cycle = drops.offMs + drops.onMs;
  for (let off = draw(plan, `${role} phase`, index) * cycle; off < endMs(plan); off += cycle)
    yield { off, on: Math.min(off + drops.offMs, endMs(plan)) };
}

/** ms a watcher that left stays away. */
const AWAY_MS = { least: 1000, most: 3000 };

/** When a watcher leaves, and comes back. Only those that read do. */
export function* departures(plan: Plan, role: Role, index: number): Generator<Absence> {
  if (plan.churn === 0 || mannerOf(plan, role, index) !== 'reads') return;
  const every = 60_000 / plan.churn;
  let turn = 0;
  for (let off = draw(plan, `${role} churn`, index) * every; off < endMs(plan); off += every) {
    const roll = draw(plan, `${role} away ${turn++}`, index);
    yield { off, on: off + AWAY_MS.least + roll * (AWAY_MS.most - AWAY_MS.least) };
  }
}
