/** A thing that is measured: how it is started, and how the load speaks to it. */
import type { Target } from '../load/messages.ts';

/** What it has to be ready for. */
export interface Shape {
  readonly channel: 'zone' | 'order';
  /** Riders, each with an order where those are watched. */
  readonly riders: number;
  /** Pings a second of one rider, at most. */
  readonly hz: number;
  /** Bytes of a position in a frame of many, for those that can be told: as many as ours took. */
  readonly recordBytes: number;
}

/** Ready to be loaded. */
export interface Stand {
  readonly target: Target;
  /** By name; `server` is the one that stands on the core of its own. */
  readonly pids: Readonly<Record<string, number>>;
  /** Anything a row needs beyond sockets. */
  readonly company?: { tell(orders: readonly number[], status: string): Promise<void> };
  stop(): Promise<void>;
}

export interface System {
  readonly name: string;
  /** One line: what it is and how it does it. */
  readonly what: string;
  /** Why it cannot be run here; undefined: it can. */
  missing?(): string | undefined;
  start(shape: Shape): Promise<Stand>;
}
