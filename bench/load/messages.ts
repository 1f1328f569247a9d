/** What the load is told to do, and what it answers. */
import type { Crowd } from './dialect.ts';

export type { Crowd };

/** How a system is to be spoken to, and what that needs to know. */
export type Target =
  | {
      readonly speaks: 'ridecast' | 'packed';
      readonly url: string;
      readonly secret: string;
      readonly credit: boolean;
    }
  | { readonly speaks: 'raw' | 'socketio' | 'nats' | 'mqtt'; readonly url: string }
  | { readonly speaks: 'tick'; readonly url: string; readonly recordBytes: number };

export type Order =
  | { readonly do: 'open'; readonly target: Target; readonly crowd: Crowd }
  /** The first so many riders ping at that rate each. */
  | { readonly do: 'ride'; readonly riders: number; readonly hz: number }
  | { readonly do: 'rest' }
  /** Counts for so long. CPU is read at the same moments, of the processes named. */
  | { readonly do: 'measure'; readonly seconds: number; readonly pids: Readonly<Record<string, number>> }
  /** The sockets of these riders send the next event of their orders. */
  | { readonly do: 'tell'; readonly orders: readonly number[] }
  /** The first so many watchers read no more. */
  | { readonly do: 'stall'; readonly watchers: number }
  /** Waits until nothing more comes. */
  | { readonly do: 'settle' }
  | { readonly do: 'close' };

/** Of one stretch of time, or with `settle` of all since the sockets were opened. */
export interface Measured {
  readonly seconds: number;
  /** Pings sent. */
  readonly sent: number;
  readonly frames: number;
  /** Positions that came, over all watchers. */
  readonly shown: number;
  readonly events: number;
  /** Events that did not follow the one before, over all watchers. */
  readonly gaps: number;
  /** When the last event came, ms since epoch; 0: none did. */
  readonly lastEventAt: number;
  /** Payload bytes that came. */
  readonly bytes: number;
  /** CPU-seconds by process; null: it could not be read. */
  readonly cpu: Readonly<Record<string, number | null>>;
  /** From when a ping was sent to when it was seen, ms. */
  readonly delayP50: number | null;
  readonly delayP99: number | null;
  /** How old what is shown was, looked at all the time, ms. */
  readonly ageP50: number | null;
  readonly ageP99: number | null;
  readonly wentBack: number;
  readonly lost: Readonly<Record<string, number>>;
  readonly load: LoadHealth;
}

/** Whether the load itself was the limit. */
export interface LoadHealth {
  /** Share of a core. */
  readonly cpu: number;
  readonly lagP99Ms: number;
  readonly lateP99Ms: number;
}

/** An order and its number, which the answer repeats: one may be given while another is carried out. */
export interface Numbered {
  readonly id: number;
  readonly order: Order;
}

export interface Answer {
  readonly id: number;
  readonly value?: Measured | undefined;
  readonly error?: string;
}
