/** A zone or a partner on this node: many riders, flushed once a tick. */
import type { Store } from '../backbone/store.ts';
import { type OrderRecord, viewOf } from '../orders/order.ts';
import { type Orders, parseOrder } from '../orders/orders.ts';
import type { BusMessage, Departure, FleetEntry } from '../protocol/bus-messages.ts';
import { type Ages, fromRecord, isNewer } from '../protocol/positions.ts';
import { begin, type Channel, type InHub, markBehind, type WatchOptions } from './channel.ts';
import { FleetGroups } from './fleet-groups.ts';
import { Group } from './groups.ts';
import { type Adopt, Resume } from './resume.ts';
import type { Subscriber, Subscription } from './subscription.ts';
import { type Windows, windowOpen } from './visibility.ts';

export interface FleetChannelParts extends InHub {
  readonly store: Store;
  readonly orders: Pick<Orders, 'active' | 'read'>;
  readonly windows: Windows;
  readonly ages: Ages;
  readonly blockPositions: number;
  readonly now: () => number;
}

abstract class FleetChannel implements Channel {
  readonly patience = 2;
  readonly name: string;
  readonly subscriptions = new Set<Subscription>();
  protected readonly id: string;
  protected readonly parts: FleetChannelParts;
  protected readonly groups: FleetGroups;
  private readonly resume = new Resume();

  constructor(name: string, id: string, number: number, parts: FleetChannelParts) {
    this.name = name;
    this.id = id;
    this.parts = parts;
    this.groups = new FleetGroups(new Group(number, true, parts.blockPositions));
  }

  /** Reads the store; what it resolves to brings the group in line with that. */
  protected abstract read(): Promise<Adopt>;
  protected abstract apply(message: BusMessage): void;

  async load(): Promise<void> {
    await this.resume.read(
      () => this.read(),
      (message) => this.apply(message),
    );
    this.groups.sweep(this.parts.now(), this.parts.ages);
    this.parts.dirty(this);
  }

  fence(): void {
    this.resume.restart();
  }

  take(message: BusMessage): void {
    if (!this.resume.keep(message)) this.apply(message);
  }

  async join(subscriber: Subscriber, options: WatchOptions): Promise<Subscription> {
    const at = this.parts.now();
    const { subscription, watching } = begin(
      this.name,
      subscriber,
      options,
      this.groups.of(options.bound),
      {},
      at,
    );
    subscriber.send(watching);
    this.subscriptions.add(subscription);
    // The rest of it goes with the next tick, and nobody else may have anything to send.
    if (watching.more) this.parts.dirty(this);
    return subscription;
  }

  emit(): void {
    markBehind(this.subscriptions);
    this.groups.tidy(this.subscriptions);
  }

  sweep(now: number): void {
    if (this.groups.sweep(now, this.parts.ages)) this.parts.dirty(this);
  }
}

export class ZoneChannel extends FleetChannel {
  protected async read(): Promise<Adopt> {
    const positions = await this.parts.store.zonePositions(this.id);
    return () => {
      const here = new Set(positions.map((p) => p.rider));
      for (const rider of this.groups.riders()) if (!here.has(rider)) this.groups.leave(rider, 'left');
      for (const position of positions) this.groups.take(position, []);
    };
  }

  protected apply(message: BusMessage): void {
    if (message.kind !== 'fleet') return;
    let changed = false;
    for (const entry of message.entries) changed = this.enter(entry) || changed;
    for (const departure of message.left) changed = this.depart(departure) || changed;
    if (changed) this.parts.dirty(this);
  }

  private enter([record, orders]: FleetEntry): boolean {
    return this.groups.take(fromRecord(record), orders);
  }

  /** A departure seen by an older ping than the one shown here is late news. */
  private depart([rider, session, seq]: Departure): boolean {
    const shown = this.groups.newest(rider);
    if (shown !== undefined && isNewer(shown, { session, seq })) return false;
    return this.groups.leave(rider, 'left', { session, seq });
  }
}

export class PartnerChannel extends FleetChannel {
  /** The partner's running orders. A rider is shown only while one of them is open and is his. */
  private readonly active = new Map<string, OrderRecord>();

  protected async read(): Promise<Adopt> {
    const { orders, store } = this.parts;
    const running = await orders.active('partner', this.id);
    const known = new Set(running.map((order) => order.id));
    const missing = [...this.active.keys()].filter((id) => !known.has(id));
    const ended = await Promise.all(missing.map((id) => orders.read(id)));
    const riders = [...new Set(running.flatMap((order) => order.rider ?? []))];
    const positions = await store.getPositions(riders);
    return () => {
      missing.forEach((id, i) => {
        if (ended[i] === undefined) this.loseOrder(id);
        else this.putOrder(ended[i].order);
      });
      for (const order of running) this.putOrder(order);
      for (const position of positions) {
        if (position !== undefined) this.groups.take(position, this.ordersOf(position.rider));
      }
    };
  }

  protected apply(message: BusMessage): void {
    if (message.kind === 'order') this.putOrder(parseOrder(message.data));
    else if (message.kind === 'fleet') {
      for (const [record] of message.entries) {
        const position = fromRecord(record);
        const orders = this.ordersOf(position.rider);
        if (orders.length > 0 && this.groups.take(position, orders)) this.parts.dirty(this);
      }
    }
  }

  private putOrder(order: OrderRecord): void {
    const before = this.active.get(order.id);
    if (before !== undefined && before.version >= order.version) return;
    if (order.ended) this.active.delete(order.id);
    else this.active.set(order.id, order);
    if (!this.groups.putOrder(viewOf(order, 'partner'))) return;
    for (const rider of new Set([before?.rider, order.rider])) this.hideIdle(rider);
    this.parts.dirty(this);
  }

  /** The store knows nothing of it: it was pruned long after its end, or the store lost its memory. */
  private loseOrder(id: string): void {
    const { rider } = this.active.get(id)!;
    this.active.delete(id);
    this.groups.loseOrder(id);
    this.hideIdle(rider);
  }

  private hideIdle(rider: string | undefined): void {
    if (rider !== undefined && this.ordersOf(rider).length === 0) this.groups.leave(rider, 'ended');
  }

  private ordersOf(rider: string): string[] {
    const ids: string[] = [];
    for (const order of this.active.values()) {
      if (order.rider === rider && windowOpen(this.parts.windows, 'partner', order)) ids.push(order.id);
    }
    return ids;
  }
}
