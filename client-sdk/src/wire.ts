/** What parts of the SDK say to each other. Internal: nothing exported to apps may reach this file. */
import type {
  ClientMessage,
  ClientMessages,
  GatewayMessage,
  GatewayMessages,
} from '../../src/protocol/messages.ts';
import type { Client, ClientError, Info, Reason } from './types.ts';

export type {
  Block,
  ClientMessage,
  Cursor as WireCursor,
  Order as WireOrder,
  OrderEvent,
  Ping as WirePing,
  PositionTuple,
} from '../../src/protocol/messages.ts';
export type Message<T extends keyof GatewayMessages> = GatewayMessages[T];
export type Hello = ClientMessages['hello'];
export type { GatewayMessage };

/**
 * What parts hear: every message, our own hello, to add to, before it is sent, `lost` when there is no link any more
 * (with the code of its close, or without), and `bye` when the client closes, while a last word can still be sent.
 */
export type Word = GatewayMessage | Hello | { t: 'lost'; code?: number } | { t: 'bye' };

/**
 * Something that lives on a client over whatever links come and go: a watch, a rider. It has a method for each word that it
 * cares for; with a `w` it does not hear what is said of other watches.
 */
export type Part = { readonly w?: number } & {
  readonly [T in Word['t']]?: (word: Extract<Word, { t: T }>) => void;
};

/** The client as the roles see it. */
export interface Core extends Client {
  info: Info;
  readonly parts: Set<Part>;
  /** Of the live link; undefined while there is none. */
  greeting?: Message<'welcome'> | undefined;
  /** `now()` when the last frame of the live link arrived; not there before the first. */
  heardAt: number;
  /** Of the frame that is being handled: bytes, or UTF-16 units; not there before the first. */
  frameSize: number;
  /** The gateway's clock minus this device's, ms. Wall clock on purpose: it goes on while the device sleeps. */
  skew: number;
  /** Newest measured round trip, ms. */
  roundTrip?: number;
  /** The highest number given to a watch of this client. */
  lastWatch: number;
  /** Does nothing without a live link. */
  say(message: ClientMessage): unknown;
  /** Bytes handed over and not yet on the network. */
  backlog(): number;
}

/** What the app may only read, as its owner has it. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** An error for the app; without a message it says reason and code. */
export function fault(
  code: number | string,
  reason: Reason,
  message = `${reason} ${code}`,
  retryable = false,
): ClientError {
  return Object.assign(new Error(message), { name: 'ClientError', code, reason, retryable });
}
