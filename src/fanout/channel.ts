/** What the hub needs of a channel; order-channel.ts and fleet-channel.ts are the two kinds. */
import type { BusMessage } from '../protocol/bus-messages.ts';
import type { Cursor, GatewayMessages } from '../protocol/messages.ts';
import { advanced, NOWHERE } from './groups.ts';
import type { Subscriber, Subscription } from './subscription.ts';
import type { Grant } from './visibility.ts';

export interface WatchOptions {
  readonly w: number;
  readonly grant: Grant;
  readonly since?: Cursor;
  readonly minIntervalMs: number;
  /** Metres by which the predicted dot may be wrong, one of `BOUNDS`. */
  readonly bound: number;
}

/** The errors a watch may allow, metres: watchers of one bound share what is encoded. */
export const BOUNDS = [0, 1, 2, 5, 10, 20, 50, 100] as const;

/** The largest bound that is not above what was asked for. */
export function boundOf(maxError = 0): number {
  return BOUNDS.findLast((bound) => bound <= maxError) ?? 0;
}

export type Watching = GatewayMessages['watching'];

export interface Channel {
  readonly name: string;
  /** How long what it has to send may wait: 0 not at all, 1 only where the node is overloaded, 2 until the tick. */
  readonly patience: 0 | 1 | 2;
  readonly subscriptions: Set<Subscription>;
  /** Reads the store. Called when the bus acknowledged the subscription, and whenever something may have been missed. */
  load(): Promise<void>;
  /** A new generation of the bus began: what came before it must not be merged with what is read after it. */
  fence(): void;
  /** A message of the bus. What comes while the store is read is kept and merged. */
  take(message: BusMessage): void;
  /** Adds a watcher and sends its `watching`; undefined: there is nothing this watcher may see. */
  join(subscriber: Subscriber, options: WatchOptions): Promise<Subscription | undefined>;
  /** Sends events, and marks every subscription whose group changed. */
  emit(): void;
  /** Ages what is silent. */
  sweep(now: number): void;
}

/** What a channel asks of the hub it is in. */
export interface InHub {
  /** It has something to send. */
  readonly dirty: (channel: Channel) => void;
  /** It has missed something, and must be read again. */
  readonly missed: (channel: Channel) => void;
  /** Resolves when it has been read, now or just before. Rejects if the store does not answer. */
  readonly reread: (channel: Channel) => Promise<void>;
}

/** A new subscription that has been sent nothing, and the `watching` frame that starts it. */
export function begin(
  name: string,
  subscriber: Subscriber,
  options: WatchOptions,
  group: Subscription['group'],
  extra: Partial<Watching>,
  at: number,
): { subscription: Subscription; watching: Watching } {
  const subscription: Subscription = {
    subscriber,
    group,
    w: options.w,
    minIntervalMs: options.minIntervalMs,
    standing: NOWHERE,
    marked: false,
    dueAt: at + options.minIntervalMs,
    offset: extra.cursor?.offset ?? 0,
  };
  return { subscription, watching: restart(name, subscription, extra, at) };
}

/** The `watching` frame that (re)starts a subscription with all the group holds. */
export function restart(name: string, watch: Subscription, extra: Partial<Watching>, at: number): Watching {
  const { block, ...sent } = watch.group.changes(NOWHERE, at, watch.subscriber.codec.packed);
  watch.standing = advanced(NOWHERE, sent, watch.group.clock);
  watch.subscriber.started?.(watch);
  const message: Watching = {
    t: 'watching',
    w: watch.w,
    channel: name,
    c: watch.group.number,
    ...extra,
    at,
    block,
  };
  return sent.more ? { ...message, more: true } : message;
}

/** Marks every subscription that has not been sent the newest of its group. */
export function markBehind(subscriptions: Iterable<Subscription>): void {
  for (const watch of subscriptions)
    if (watch.standing.since < watch.group.clock) watch.subscriber.mark(watch);
}
