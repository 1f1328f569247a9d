/** Channels to sessions, on this node: who watches what, when to join and leave the bus, when to flush. */
import type { Bus } from '../backbone/bus.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { type BusMessage, decodeBus } from '../protocol/bus-messages.ts';
import { parseChannel } from '../protocol/channel.ts';
import type { Cursor, ErrorCode } from '../protocol/messages.ts';
import type { Channel } from './channel.ts';
import { type FleetChannelParts, PartnerChannel, ZoneChannel } from './fleet-channel.ts';
import { OrderChannel, type OrderChannelParts } from './order-channel.ts';
import type { Subscriber } from './subscription.ts';
import { type Grant, mayWatch } from './visibility.ts';

export interface HubParts extends Omit<OrderChannelParts, 'dirty'>, Omit<FleetChannelParts, 'dirty'> {
  readonly bus: Bus;
  readonly counts: Counts;
  readonly lingerMs: number;
  /** ms between flushes of zones and partners. */
  readonly groupTickMs: number;
}

export interface WatchRequest {
  readonly w: number;
  readonly channel: string;
  readonly since?: Cursor;
  readonly maxHz?: number;
}

export type WatchOutcome = { ok: true; leave: () => void } | { ok: false; code: ErrorCode; message: string };

/** A channel's place in the hub. */
interface Entry {
  readonly channel: Channel;
  /** Joined to the bus and read from the store. */
  ready: Promise<void>;
  /** Watches being set up: nobody may linger it away meanwhile. */
  pins: number;
  /** ms since epoch at which it was found empty, or undefined. */
  emptySince: number | undefined;
}

const SWEEP_MS = 1000;

export class Hub {
  private readonly parts: HubParts;
  private readonly entries = new Map<string, Entry>();
  private readonly urgent = new Set<Channel>();
  private readonly ticked = new Set<Channel>();
  /** Subscribers with something left for the next tick. */
  private waiting = new Set<Subscriber>();
  private scheduled = false;
  private lastNumber = 0;
  private readonly timers: NodeJS.Timeout[];

  constructor(parts: HubParts) {
    this.parts = parts;
    this.timers = [
      setInterval(() => this.tick(), parts.groupTickMs),
      setInterval(() => this.sweep(), Math.min(SWEEP_MS, Math.max(50, parts.lingerMs))),
    ];
  }

  get size(): number {
    return this.entries.size;
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.entries.clear();
  }

  /**
   * Lets a session watch a channel. The session gets its `watching` before this resolves; from then on every
   * event once and in order, and the newest positions. `leave` ends it and may be called more than once.
   */
  async watch(subscriber: Subscriber, grant: Grant, request: WatchRequest): Promise<WatchOutcome> {
    const outcome = await this.tryWatch(subscriber, grant, request);
    tally(this.parts.counts.watches, outcome.ok ? 'granted' : outcome.code);
    return outcome;
  }

  /** A message of the bus: for the channel it names, if that is watched here. Bytes nobody wrote are counted. */
  deliver(name: string, payload: Uint8Array): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    let message: BusMessage;
    try {
      message = decodeBus(payload);
      entry.channel.take(message);
    } catch {
      tally(this.parts.counts.busDrops, 'malformed');
    }
  }

  /** Something may have been missed: read everything that is watched again. */
  generation(): void {
    this.parts.counts.generations++;
    for (const entry of this.entries.values()) {
      entry.ready = entry.ready.then(() => entry.channel.load());
      entry.ready.catch(() => this.retire(entry));
    }
  }

  private async tryWatch(subscriber: Subscriber, grant: Grant, request: WatchRequest): Promise<WatchOutcome> {
    const name = parseChannel(request.channel);
    if (!mayWatch(grant, name)) {
      return name.kind === 'order'
        ? { ok: false, code: 'not_found', message: 'no such order' }
        : {
            ok: false,
            code: 'not_allowed',
            message: `a ${grant.role} with this token may not watch ${name.kind}s like this`,
          };
    }
    const entry = this.entry(request.channel);
    entry.pins++;
    try {
      await entry.ready;
      const minIntervalMs = request.maxHz === undefined ? 0 : 1000 / request.maxHz;
      const options = {
        w: request.w,
        grant,
        minIntervalMs,
        ...(request.since ? { since: request.since } : {}),
      };
      const subscription = await entry.channel.join(subscriber, options);
      if (subscription === undefined) return { ok: false, code: 'not_found', message: 'no such order' };
      const leave = () => {
        entry.channel.subscriptions.delete(subscription);
        subscriber.unmark(subscription);
      };
      return { ok: true, leave };
    } catch {
      return {
        ok: false,
        code: 'unavailable',
        message: 'the backbone does not answer: send the watch again in a moment',
      };
    } finally {
      entry.pins--;
    }
  }

  private entry(name: string): Entry {
    const known = this.entries.get(name);
    if (known !== undefined) {
      known.emptySince = undefined;
      return known;
    }
    const channel = this.open(name);
    const ready = this.parts.bus.subscribe(name).then(() => channel.load());
    const entry: Entry = { channel, ready, pins: 0, emptySince: undefined };
    this.entries.set(name, entry);
    ready.catch(() => this.retire(entry));
    return entry;
  }

  private open(name: string): Channel {
    const { kind, id } = parseChannel(name);
    const parts = { ...this.parts, dirty: (channel: Channel) => this.dirty(channel) };
    const number = ++this.lastNumber;
    if (kind === 'order') return new OrderChannel(name, id, number, parts);
    return kind === 'zone'
      ? new ZoneChannel(name, id, number, parts)
      : new PartnerChannel(name, id, number, parts);
  }

  /** A channel that could not be read is given up if nobody is on it, else read again until it can be. */
  private retire(entry: Entry): void {
    if (this.entries.get(entry.channel.name) !== entry) return;
    if (entry.channel.subscriptions.size === 0) {
      this.entries.delete(entry.channel.name);
      this.parts.bus.unsubscribe(entry.channel.name).catch(() => {});
      return;
    }
    const again = new Promise((resolve) => setTimeout(resolve, SWEEP_MS).unref());
    entry.ready = again.then(() => entry.channel.load());
    entry.ready.catch(() => this.retire(entry));
  }

  private dirty(channel: Channel): void {
    if (!channel.urgent) {
      this.ticked.add(channel);
      return;
    }
    this.urgent.add(channel);
    if (this.scheduled) return;
    this.scheduled = true;
    // Never send to others from inside a handler: sockets of others cannot be corked there.
    setImmediate(() => {
      this.scheduled = false;
      this.flush(this.urgent, new Set());
    });
  }

  private tick(): void {
    const waiting = this.waiting;
    this.waiting = new Set();
    this.flush(this.ticked, waiting);
  }

  private flush(channels: Set<Channel>, subscribers: Set<Subscriber>): void {
    const batch = [...channels];
    channels.clear();
    for (const channel of batch) {
      channel.emit();
      for (const watch of channel.subscriptions) subscribers.add(watch.subscriber);
    }
    const at = this.parts.now();
    for (const subscriber of subscribers) if (subscriber.flush(at)) this.waiting.add(subscriber);
  }

  private sweep(): void {
    const now = this.parts.now();
    for (const [name, entry] of this.entries) {
      const { channel } = entry;
      channel.sweep(now);
      if (channel.subscriptions.size > 0 || entry.pins > 0) entry.emptySince = undefined;
      else if (entry.emptySince === undefined) entry.emptySince = now;
      else if (now - entry.emptySince >= this.parts.lingerMs) {
        this.entries.delete(name);
        this.parts.bus.unsubscribe(name).catch(() => {});
      }
    }
  }
}
