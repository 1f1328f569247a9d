/** One watch of one session, and what the fan-out needs of a session. */
import type { Audience } from '../orders/order.ts';
import type { Codec } from '../protocol/codec.ts';
import type { GatewayMessage } from '../protocol/messages.ts';
import type { Group, Standing } from './groups.ts';
import type { Round } from './round.ts';

/** A session as the fan-out sees it. Nothing here may be called from inside another socket's handler. */
export interface Subscriber {
  readonly codec: Codec;
  readonly audience: Audience;
  /** Control messages and events: sent in order; if that fails the session closes with its cursor intact. */
  send(message: GatewayMessage): void;
  /** The same, already encoded by this subscriber's codec. */
  sendBytes(bytes: Uint8Array): void;
  /** The watch starts, or starts again: its `watching` is sent next. */
  started?(watch: Subscription): void;
  /** Something changed for this watch. */
  mark(watch: Subscription): void;
  /** Sends one frame with all that is marked, unless the session is lagging. True: come back next tick. */
  flush(round: Round): boolean;
  /** The client left the watch. */
  unmark(watch: Subscription): void;
  /** The watch is over on the gateway's side. */
  forget(watch: Subscription): void;
}

export interface Subscription {
  readonly subscriber: Subscriber;
  /** The client's number for it. */
  readonly w: number;
  /** What the client sees of the channel. */
  readonly group: Group;
  /** Least ms between position frames; 0: every tick. */
  readonly minIntervalMs: number;
  /** What it was last sent; see groups.ts. */
  standing: Standing;
  /** It may have something to send with its subscriber's next flush. */
  marked: boolean;
  /** When the next position frame may go, ms since epoch. */
  dueAt: number;
  /** Order channels: the offset up to which events were sent. */
  offset: number;
}
