/** One order on this node: its state, its events in order, and its rider's position for each audience. */
import type { Store } from '../backbone/store.ts';
import type { Counts } from '../observe/metrics.ts';
import { type Audience, type OrderFact, type OrderRecord, viewOf } from '../orders/order.ts';
import { parseOrder } from '../orders/orders.ts';
import type { BusMessage, LogEntry } from '../protocol/bus-messages.ts';
import type { Codec } from '../protocol/codec.ts';
import type { Cursor, GatewayMessages, OrderEvent, ResetReason } from '../protocol/messages.ts';
import { fromRecord, isNewer, type Position } from '../protocol/positions.ts';
import { begin, type Channel, type Dirty, markBehind, restart, type WatchOptions } from './channel.ts';
import { type Ages, Group } from './groups.ts';
import type { Subscriber, Subscription } from './subscription.ts';
import { maySeeOrder, type Windows, windowOpen } from './visibility.ts';

export interface OrderChannelParts {
  readonly store: Store;
  readonly windows: Windows;
  readonly ages: Ages;
  readonly maxReplay: number;
  readonly counts: Pick<Counts, 'eventsSent'>;
  readonly now: () => number;
  readonly dirty: Dirty;
}

/** Messages kept while the store is being read. More: the read is repeated instead. */
const MAX_EARLY = 256;

/** How often a resume is read again because events kept arriving; then the snapshot is given. */
const MAX_READS = 3;

interface Start {
  readonly cursor: Cursor;
  readonly order: OrderRecord;
  readonly events?: OrderEvent[];
  readonly reset?: ResetReason;
}

interface Fact {
  readonly entry: LogEntry;
  readonly fact: OrderFact;
}

export class OrderChannel implements Channel {
  readonly urgent = true;
  readonly name: string;
  readonly subscriptions = new Set<Subscription>();
  private readonly id: string;
  private readonly number: number;
  private readonly parts: OrderChannelParts;
  private readonly views = new Map<Audience, Group>();
  private cursor: Cursor | undefined;
  private order: OrderRecord | undefined;
  /** The newest position of the order's rider, shown or not. */
  private latest: Position | undefined;
  private facts: Fact[] = [];
  /** Not undefined while the store is being read. */
  private early: BusMessage[] | undefined = [];

  constructor(name: string, id: string, number: number, parts: OrderChannelParts) {
    this.name = name;
    this.id = id;
    this.number = number;
    this.parts = parts;
  }

  async load(): Promise<void> {
    this.early ??= [];
    const { store, maxReplay } = this.parts;
    const since = this.cursor;
    const recovered = since && (await store.recover(this.id, since, maxReplay));
    const state = recovered ? recovered.state : await store.readOrder(this.id);
    const verdict = recovered?.verdict;
    if (verdict === 'ok') for (const entry of recovered!.entries) this.apply(entry);
    else if (state !== undefined) {
      this.cursor = state.cursor;
      this.setOrder(parseOrder(state.snapshot));
      if (verdict !== undefined) this.reset(verdict);
    }
    if (this.order?.rider !== undefined) {
      const [position] = await store.getPositions([this.order.rider]);
      if (position !== undefined) this.position(position);
    }
    const early = this.early ?? [];
    this.early = undefined;
    for (const message of early) this.take(message);
    this.sweep(this.parts.now());
  }

  take(message: BusMessage): void {
    if (this.early !== undefined) {
      if (this.early.length < MAX_EARLY || message.kind === 'event') this.early.push(message);
      return;
    }
    if (message.kind === 'position') this.position(fromRecord(message.position));
    else if (message.kind === 'event' && !this.apply(message.entry)) this.reload();
  }

  async join(subscriber: Subscriber, options: WatchOptions): Promise<Subscription | undefined> {
    if (this.order === undefined || !maySeeOrder(options.grant, this.order)) return undefined;
    const start = await this.resume(options.since, subscriber.audience);
    if (start === undefined) return undefined;
    const { cursor, order, ...outcome } = start;
    const at = this.parts.now();
    const extra = { cursor, order: viewOf(order, subscriber.audience), ...outcome };
    const { subscription, watching } = begin(
      this.name,
      subscriber,
      options,
      this.view(subscriber.audience),
      extra,
      at,
    );
    subscriber.send(watching);
    if (order.ended) this.end(subscription, order);
    else this.subscriptions.add(subscription);
    return subscription;
  }

  /** Where a watcher starts: at the channel's own state, with what it missed if it says where it stood. */
  private async resume(since: Cursor | undefined, audience: Audience): Promise<Start | undefined> {
    for (let attempt = 0; attempt < MAX_READS; attempt++) {
      const here: Start = { cursor: this.cursor!, order: this.order! };
      if (since === undefined || since.id === here.cursor.id) return here;
      const recovered = await this.parts.store.recover(this.id, since, this.parts.maxReplay);
      if (recovered === undefined) return undefined;
      const { state, verdict, entries } = recovered;
      // An event that arrived during the read is in neither: read again.
      if (state.cursor.epoch === this.cursor!.epoch && state.cursor.offset < this.cursor!.offset) continue;
      const start: Start = { cursor: state.cursor, order: parseOrder(state.snapshot) };
      if (verdict !== 'ok') return { ...start, reset: verdict };
      return { ...start, events: entries.map((entry) => toEvent(entry, audience)) };
    }
    return { cursor: this.cursor!, order: this.order!, reset: 'unknown' };
  }

  emit(): void {
    const facts = this.facts;
    this.facts = [];
    for (const { entry, fact } of facts) this.tell(entry, fact);
    markBehind(this.subscriptions);
  }

  sweep(now: number): void {
    let changed = false;
    for (const group of this.views.values()) changed = group.sweep(now, this.parts.ages) || changed;
    if (changed) this.parts.dirty(this);
  }

  private tell(entry: LogEntry, fact: OrderFact): void {
    const encoded: { audience: Audience; codec: Codec; bytes: Uint8Array }[] = [];
    for (const watch of this.subscriptions) {
      if (entry.offset <= watch.offset) continue;
      const { audience, codec } = watch.subscriber;
      let made = encoded.find((e) => e.audience === audience && e.codec === codec);
      if (made === undefined) {
        const message: GatewayMessages['event'] = { t: 'event', c: this.number, ...toEvent(entry, audience) };
        made = { audience, codec, bytes: codec.encode(message) };
        encoded.push(made);
      }
      watch.offset = entry.offset;
      watch.subscriber.sendBytes(made.bytes);
      this.parts.counts.eventsSent++;
      if (fact.order.ended) this.end(watch, fact.order);
    }
  }

  private end(watch: Subscription, order: OrderRecord): void {
    const { subscriber, w } = watch;
    this.subscriptions.delete(watch);
    subscriber.send({ t: 'closed', w, reason: 'ended', order: viewOf(order, subscriber.audience) });
    subscriber.forget(watch);
  }

  /** Takes the next entry of the log. False: it does not follow from where we stand. */
  private apply(entry: LogEntry): boolean {
    const { cursor } = this;
    if (cursor !== undefined) {
      if (entry.epoch === cursor.epoch && entry.offset <= cursor.offset) return true;
      if (entry.epoch !== cursor.epoch || entry.offset !== cursor.offset + 1 || entry.prev !== cursor.id)
        return false;
    } else if (entry.offset !== 1) return false;
    const fact = JSON.parse(entry.data) as OrderFact;
    this.cursor = { epoch: entry.epoch, offset: entry.offset, id: entry.id };
    this.facts.push({ entry, fact });
    this.setOrder(fact.order);
    this.parts.dirty(this);
    return true;
  }

  private reload(): void {
    // A failed read leaves `early` collecting; the hub's next generation, or the next watcher, loads again.
    this.load().catch(() => {
      this.early = undefined;
    });
  }

  /** Everybody starts again from the snapshot. */
  private reset(reason: ResetReason): void {
    const at = this.parts.now();
    this.facts = [];
    for (const watch of this.subscriptions) {
      const order = viewOf(this.order!, watch.subscriber.audience);
      watch.offset = this.cursor!.offset;
      watch.subscriber.send(restart(this.name, watch, { cursor: this.cursor!, order, reset: reason }, at));
      if (this.order!.ended) this.end(watch, this.order!);
    }
  }

  private setOrder(order: OrderRecord): void {
    const before = this.order;
    this.order = order;
    if (this.latest !== undefined && this.latest.rider !== order.rider) this.latest = undefined;
    for (const [audience, group] of this.views) {
      if (before?.rider !== undefined && before.rider !== order.rider) group.leave(before.rider, 'hidden');
      this.show(audience, group);
    }
  }

  private position(position: Position): void {
    if (this.order === undefined || this.order.ended || position.rider !== this.order.rider) return;
    if (!isNewer(position, this.latest)) return;
    this.latest = position;
    for (const [audience, group] of this.views) this.show(audience, group);
  }

  /** Lets one audience see what it may: the newest position, or none. */
  private show(audience: Audience, group: Group): void {
    const order = this.order!;
    if (order.rider === undefined) return;
    let changed: boolean;
    if (!windowOpen(this.parts.windows, audience, order))
      changed = group.leave(order.rider, order.ended ? 'ended' : 'hidden');
    else changed = this.latest !== undefined && group.take(this.latest, [], order.assignment);
    if (changed) this.parts.dirty(this);
  }

  private view(audience: Audience): Group {
    let group = this.views.get(audience);
    if (group === undefined) {
      group = new Group(this.number, false, 1);
      this.views.set(audience, group);
      this.show(audience, group);
      group.sweep(this.parts.now(), this.parts.ages);
    }
    return group;
  }
}

function toEvent(entry: LogEntry, audience: Audience): OrderEvent {
  const { type, order } = JSON.parse(entry.data) as OrderFact;
  return {
    offset: entry.offset,
    id: entry.id,
    prev: entry.prev,
    at: entry.at,
    type,
    order: viewOf(order, audience),
  };
}
