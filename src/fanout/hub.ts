/** Channels to sessions, on this node: who watches what, when to join and leave the bus, when to flush. */
import type { Bus } from '../backbone/bus.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { realTimers, type Timers } from '../observe/timers.ts';
import { decodeBus } from '../protocol/bus-messages.ts';
import { parseChannel } from '../protocol/channel.ts';
import type { Cursor, ErrorCode } from '../protocol/messages.ts';
import { boundOf, type Channel, type InHub } from './channel.ts';
import { type FleetChannelParts, PartnerChannel, ZoneChannel } from './fleet-channel.ts';
import { OrderChannel, type OrderChannelParts } from './order-channel.ts';
import { Round } from './round.ts';
import type { Subscriber, Subscription } from './subscription.ts';
import { driftedOrders } from './verify.ts';
import { type Grant, mayWatch } from './visibility.ts';

export interface HubParts extends Omit<OrderChannelParts, keyof InHub>, Omit<FleetChannelParts, keyof InHub> {
  readonly bus: Bus;
  readonly counts: Counts;
  readonly lingerMs: number;
  /** ms between flushes of zones and partners. */
  readonly groupTickMs: number;
  /** ms between looks at whether every order still stands where the store says. */
  readonly checkMs: number;
  readonly timers?: Timers;
  /** How far to stretch what can wait: 1, or a power of two where the node cannot keep up. */
  readonly load?: { readonly factor: number };
}

export interface WatchRequest {
  readonly w: number;
  readonly channel: string;
  readonly since?: Cursor;
  readonly maxHz?: number;
  readonly maxError?: number;
}

export type WatchOutcome =
  | { ok: true; subscription: Subscription }
  | { ok: false; code: ErrorCode; message: string };

/** A channel's place in the hub. */
interface Entry {
  readonly channel: Channel;
  /** Joined to the bus and read from the store; the last such read, if there were more. */
  ready: Promise<void>;
  /** A read is to begin, is under way, or ended at that time, ms since epoch (NEVER: it failed). */
  read: 'joining' | 'queued' | 'reading' | number;
  /** Watches being set up: nobody may linger it away meanwhile. */
  pins: number;
  /** ms since epoch at which it was found empty, or undefined. */
  emptySince: number | undefined;
}

const SWEEP_MS = 1000;
const NEVER = -Infinity;
/** A read that ended so many ms ago is as good as a new one to who doubts: many doubt in the same moment. */
const FRESH_MS = 100;
/** Zones and partners are read again with every so many looks at the orders. */
const FLEET_CHECKS = 6;
/** From this factor on, orders whose rider is still far wait for a tick, too. */
const FAR_WAITS = 4;
/** Nodes publish groups on the beat, and what they published is here by this share of a tick later. */
const AFTER_INGEST = 0.2;
/** Sessions sent to in one turn of the event loop: some two milliseconds. */
const SLICE = 256;
/** Orders looked at in one go: a millisecond or two. */
const LOOKS_AT_ONCE = 100;

export class Hub {
  private readonly parts: HubParts;
  private readonly entries = new Map<string, Entry>();
  /** Channels to be flushed at once, and on the tick: far orders of an overloaded node, and groups. */
  private urgent = new Set<Channel>();
  private far = new Set<Channel>();
  private ticked = new Set<Channel>();
  private ticks = 0;
  /** Subscribers with something left for the next tick. */
  private waiting = new Set<Subscriber>();
  /** Subscribers to be flushed at once: they may send again after they could not. */
  private behind = new Set<Subscriber>();
  private scheduled = false;
  private lastNumber = 0;
  private readonly timers: Timers;
  private readonly undo: (() => void)[];
  private checks = 0;
  private checking = false;

  constructor(parts: HubParts) {
    this.parts = parts;
    this.timers = parts.timers ?? realTimers;
    this.undo = [
      this.timers.beat(parts.groupTickMs, parts.groupTickMs * AFTER_INGEST, () => this.tick()),
      this.timers.every(Math.min(SWEEP_MS, Math.max(50, parts.lingerMs)), () => this.sweep()),
      this.timers.every(parts.checkMs, () => this.check()),
    ];
  }

  get size(): number {
    return this.entries.size;
  }

  stop(): void {
    for (const undo of this.undo) undo();
    this.entries.clear();
  }

  /**
   * Lets a session watch a channel. The session gets its `watching` before this resolves; from then on every
   * event once and in order, and the newest positions. `unwatch` ends it.
   */
  async watch(subscriber: Subscriber, grant: Grant, request: WatchRequest): Promise<WatchOutcome> {
    const outcome = await this.tryWatch(subscriber, grant, request);
    tally(this.parts.counts.watches, outcome.ok ? 'granted' : outcome.code);
    return outcome;
  }

  /** Ends a watch of that channel. May be called more than once. */
  unwatch(channel: string, subscription: Subscription): void {
    this.entries.get(channel)?.channel.subscriptions.delete(subscription);
    subscription.subscriber.unmark(subscription);
  }

  /** A message of the bus: for the channel it names, if that is watched here. Bytes nobody wrote are counted. */
  deliver(name: string, payload: Uint8Array): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    try {
      entry.channel.take(decodeBus(payload));
    } catch {
      tally(this.parts.counts.busDrops, 'malformed');
    }
  }

  /** The bus was joined anew: whatever was published before may have been missed, and is looked for in the store. */
  generation(): void {
    this.parts.counts.generations++;
    for (const { channel } of this.entries.values()) channel.fence();
    this.realign();
  }

  /**
   * Has something left to send that nobody will mark again. All who say so in one turn are sent it together: those who
   * fell behind together stand alike, and what each lacks is encoded once.
   */
  later(subscriber: Subscriber): void {
    this.behind.add(subscriber);
    this.soon();
  }

  private realign(): void {
    this.verify(true).catch(() => this.timers.after(SWEEP_MS, () => this.realign()));
  }

  /** A loss without a sign (a flushed store, a message that went nowhere) is found by looking. */
  private check(): void {
    if (this.checking) return;
    this.checking = true;
    this.verify(++this.checks % FLEET_CHECKS === 0, this.parts.checkMs / 2)
      .catch(() => {}) // the next look comes by itself
      .then(() => {
        this.checking = false;
      });
  }

  /**
   * Reads again what does not stand where the store says. Rejects if the store does not answer.
   * @param overMs time over which the looks at many orders are spread: none is in a hurry, and what goes on meanwhile is
   */
  private async verify(fleets: boolean, overMs = 0): Promise<void> {
    const entries = [...this.entries.values()];
    if (fleets) for (const entry of entries) if (!(entry.channel instanceof OrderChannel)) this.reload(entry);
    const orders = entries.map(({ channel }) => channel).filter((channel) => channel instanceof OrderChannel);
    const pauseMs = (overMs * LOOKS_AT_ONCE) / orders.length;
    for (let from = 0; from < orders.length; from += LOOKS_AT_ONCE) {
      if (from > 0 && overMs > 0) await new Promise<void>((next) => this.timers.after(pauseMs, next));
      const drifted = await driftedOrders(this.parts.store, orders.slice(from, from + LOOKS_AT_ONCE));
      await Promise.allSettled(drifted.map((channel) => this.reloadChannel(channel)));
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
        bound: boundOf(request.maxError),
        ...(request.since ? { since: request.since } : {}),
      };
      const subscription = await entry.channel.join(subscriber, options);
      if (subscription === undefined) return { ok: false, code: 'not_found', message: 'no such order' };
      return { ok: true, subscription };
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
    const joined = this.parts.bus.subscribe(name);
    const entry: Entry = {
      channel: this.open(name),
      ready: joined,
      read: 'joining',
      pins: 0,
      emptySince: undefined,
    };
    this.entries.set(name, entry);
    this.reload(entry);
    return entry;
  }

  private open(name: string): Channel {
    const { kind, id } = parseChannel(name);
    const parts: HubParts & InHub = {
      ...this.parts,
      dirty: (channel) => this.dirty(channel),
      missed: (channel) => void this.reloadChannel(channel),
      reread: (channel) => this.reread(channel),
    };
    const number = ++this.lastNumber;
    if (kind === 'order') return new OrderChannel(name, id, number, parts);
    return kind === 'zone'
      ? new ZoneChannel(name, id, number, parts)
      : new PartnerChannel(name, id, number, parts);
  }

  /**
   * Reads the channel again after what it is doing now. One read serves all who ask before it begins. Resolves when
   * it is in line with the store; rejects, and `retire` sees to it, if it could not be read.
   */
  private reload(entry: Entry): Promise<void> {
    if (entry.read === 'queued') return entry.ready;
    const before = entry.read === 'joining' ? entry.ready : entry.ready.catch(() => {});
    entry.read = 'queued';
    const done = before.then(() => {
      entry.read = 'reading';
      return entry.channel.load();
    });
    entry.ready = done;
    done.then(
      () => {
        if (entry.ready === done) entry.read = this.parts.now();
      },
      () => {
        if (entry.ready !== done) return; // the next read is on its way
        entry.read = NEVER;
        this.retire(entry);
      },
    );
    return done;
  }

  private async reloadChannel(channel: Channel): Promise<void> {
    const entry = this.entries.get(channel.name);
    if (entry?.channel === channel) await this.reload(entry).catch(() => {});
  }

  private async reread(channel: Channel): Promise<void> {
    const entry = this.entries.get(channel.name);
    if (entry?.channel !== channel) throw new Error(`${channel.name} was left`);
    const recent = typeof entry.read === 'number' && this.since(entry.read) < FRESH_MS;
    return recent || entry.read === 'reading' ? entry.ready : this.reload(entry);
  }

  /** A channel that could not be read is given up if nobody is on it, else read again until it can be. */
  private retire(entry: Entry): void {
    const { channel } = entry;
    if (this.entries.get(channel.name) !== entry) return;
    if (channel.subscriptions.size === 0) this.leave(channel.name);
    else this.timers.after(SWEEP_MS, () => void this.reloadChannel(channel));
  }

  private leave(name: string): void {
    this.entries.delete(name);
    this.parts.bus.unsubscribe(name).catch(() => {});
  }

  private get stretch(): number {
    return this.parts.load?.factor ?? 1;
  }

  private dirty(channel: Channel): void {
    if (channel.patience === 2) this.ticked.add(channel);
    else if (channel.patience === 1 && this.stretch >= FAR_WAITS) this.far.add(channel);
    else {
      this.urgent.add(channel);
      this.soon();
    }
  }

  /** Never sends to others from inside a handler: sockets of others cannot be corked there. */
  private soon(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.timers.soon(() => {
      this.scheduled = false;
      const { urgent, behind } = this;
      this.urgent = new Set();
      this.behind = new Set();
      this.flush(urgent, behind);
    });
  }

  /** On an overloaded node groups go with every second, fourth … tick, and far orders with a quarter of those. */
  private tick(): void {
    const { stretch } = this;
    const { groupTickMs } = this.parts;
    this.ticks++;
    const farEvery = Math.max(1, stretch / FAR_WAITS);
    const { far } = this;
    if (far.size > 0 && this.ticks % farEvery === 0) {
      this.far = new Set();
      this.flush(far, new Set(), stretch >= FAR_WAITS ? farEvery * groupTickMs : undefined);
    }
    if (this.ticks % stretch !== 0) return;
    const { ticked, waiting } = this;
    this.ticked = new Set();
    this.waiting = new Set();
    this.flush(ticked, waiting, stretch > 1 ? stretch * groupTickMs : undefined);
  }

  /**
   * Sets are handed over and made anew, never cleared: in V8 the table of a cleared set points to the one after it, and
   * once one of them is old every other grows old, too.
   */
  private flush(channels: Set<Channel>, subscribers: Set<Subscriber>, every?: number): void {
    for (const channel of channels) {
      channel.emit();
      for (const watch of channel.subscriptions) subscribers.add(watch.subscriber);
    }
    this.send([...subscribers], 0, new Round(this.parts.now(), every));
  }

  /** Many watchers take many milliseconds: between slices whatever else is to be done has its turn. */
  private send(subscribers: readonly Subscriber[], from: number, round: Round): void {
    const to = Math.min(from + SLICE, subscribers.length);
    for (let i = from; i < to; i++) if (subscribers[i]!.flush(round)) this.waiting.add(subscribers[i]!);
    if (to < subscribers.length) this.timers.soon(() => this.send(subscribers, to, round));
  }

  /** ms since then; a clock that was set back counts as much time as it was set back by. */
  private since(then: number): number {
    return Math.abs(this.parts.now() - then);
  }

  private sweep(): void {
    const now = this.parts.now();
    for (const [name, entry] of this.entries) {
      const { channel } = entry;
      channel.sweep(now);
      if (channel.subscriptions.size > 0 || entry.pins > 0) entry.emptySince = undefined;
      else if (entry.emptySince === undefined) entry.emptySince = now;
      else if (this.since(entry.emptySince) >= this.parts.lingerMs) this.leave(name);
    }
  }
}
