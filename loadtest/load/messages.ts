/** What the conductor and the processes of the generator say to each other. */
import type { Plan, Role } from './plan.ts';
import type { Sample } from './tally.ts';

/** A process plays every `of`-th member of a role, beginning with number `index`. */
export interface Part {
  readonly role: Role;
  readonly index: number;
  readonly of: number;
}

/** What all of a part's members did, known only at the end. */
export interface Judged {
  /** Pairs of a watcher and a rider it never saw, though it should have. */
  readonly blind: number;
  readonly denied: number;
  /** Sockets that should be open and are not. */
  readonly missing: number;
}

/** What riders did, known only at the end. */
export interface Settled {
  /** By rider: the last ping sent; 0 for those of other processes. */
  readonly newest: Uint32Array;
  /** Pings that were due and never sent; sockets that should be open and are not. */
  readonly unsent: number;
  readonly missing: number;
}

export type ToCrew =
  | { readonly t: 'play'; readonly plan: Plan; readonly part: Part }
  /** @param start `now()` of the beginning; wall: ms since epoch at that moment */
  | { readonly t: 'start'; readonly start: number; readonly wall: number }
  /** No more pings from `ms` after the start. */
  | { readonly t: 'stop'; readonly ms: number }
  /** Riders: say when all is acknowledged, or in so many ms at the latest. */
  | { readonly t: 'settle'; readonly within: number }
  /** Watchers: what was the last ping of each rider; judge what you have been shown. */
  | { readonly t: 'judge'; readonly newest: Uint32Array }
  /** Watchers: wait until this many watches were ended, or so many ms. */
  | { readonly t: 'ended'; readonly within: number }
  | { readonly t: 'end' };

export type FromCrew =
  | { readonly t: 'ready' }
  | { readonly t: 'sample'; readonly sample: Sample }
  | ({ readonly t: 'settled' } & Settled)
  | { readonly t: 'judged'; readonly judged: Judged }
  | { readonly t: 'ended'; readonly watchers: number }
  | { readonly t: 'failed'; readonly message: string };
