/** How a system is spoken to: what one says to watch and to ride, a ping, and what a message of its shows. */
import type { Place } from './motion.ts';

/** Who watches what. Order and rider number i belong together. */
export interface Crowd {
  readonly riders: number;
  readonly watchers: number;
  /** Everybody watches the one zone in which all riders are; or watcher j the order number floor(j / perOrder). */
  readonly channel: 'zone' | 'order';
  readonly perOrder: number;
}

export interface Opening {
  readonly path: string;
  readonly subprotocol?: string;
  /** Frames to send once upgraded. */
  readonly first: readonly Buffer[];
  /**
   * Whether this message says that all is set up; undefined: it is with the upgrade.
   * @throws Error if the message says that it will not be
   */
  readonly ready?: (buffer: Buffer, from: number, to: number) => boolean;
}

/** What one watcher knows, for those messages that mean nothing without it. */
export interface Eye {
  /** The rider whose order it watches; undefined on the zone. */
  readonly rider: number | undefined;
  /** Riders by the short numbers this socket was told. */
  readonly refs: Map<number, number>;
  /** Reads what this socket is told, where each message is told against those before it. */
  decode?: (bytes: Uint8Array) => unknown;
  saw(rider: number, seq: number): void;
}

export interface Dialect {
  watcher(index: number): Opening;
  rider(index: number): Opening;
  /** Ping number `seq` of a rider, as a frame. @param at ms since epoch */
  ping(rider: number, seq: number, place: Place, at: number): Buffer;
  /** Event number `n` of an order, as its rider's socket sends it; undefined: events come another way. */
  tell?(n: number): Buffer;
  /** How many positions a message shows; 0: it is about something else. */
  count(buffer: Buffer, from: number, to: number): number;
  /** Names each position of such a message. Costs more than counting: for some watchers only. */
  see(buffer: Buffer, from: number, to: number, eye: Eye): void;
  /** Notes whom a message that says that all is set up introduces. */
  introduce?(buffer: Buffer, from: number, to: number, eye: Eye): void;
  /** The number of the order event that a message is; 0: it is none. */
  event(buffer: Buffer, from: number, to: number): number;
  /** What a watcher sends back when it had so many frames, or bytes of them. */
  readonly credit?: {
    readonly frames: number;
    readonly bytes: number;
    frame(handled: number): Buffer;
  };
}

/** The number in a name like `r17`. */
export const numberIn = (name: string): number => Number(name.slice(1));
