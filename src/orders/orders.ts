/** Commands of the backend on orders: each becomes one entry of the order's log, or nothing. */
import type { Bus } from '../backbone/bus.ts';
import type { Appended, LogState, OrderIndex, Store } from '../backbone/store.ts';
import { encodeBus } from '../protocol/bus-messages.ts';
import { channelName } from '../protocol/channel.ts';
import type { Cursor } from '../protocol/messages.ts';
import {
  type Advance,
  advance,
  assign,
  create,
  type Lifecycle,
  type NewOrder,
  OrderConflict,
  type OrderFact,
  type OrderRecord,
} from './order.ts';

export interface OrdersParts {
  readonly store: Store;
  readonly bus: Bus;
  readonly lifecycle: Lifecycle;
  /** ms a running and an ended order is kept after its last event. */
  readonly orderTtlMs: number;
  readonly endedTtlMs: number;
  readonly now: () => number;
}

export interface Outcome {
  readonly order: OrderRecord;
  readonly cursor: Cursor;
  readonly result: 'appended' | 'duplicate' | 'unchanged';
}

/** How often a change is computed anew because another one came first. */
const MAX_CONFLICTS = 8;

/** No earlier try of the same call can have led here. */
class OtherOrder extends OrderConflict {}

export class Orders {
  private readonly parts: OrdersParts;
  constructor(parts: OrdersParts) {
    this.parts = parts;
  }

  /** The order and where its log stands; undefined if there is none. Rejects if the store does not answer. */
  async read(id: string): Promise<{ order: OrderRecord; cursor: Cursor } | undefined> {
    const state = await this.parts.store.readOrder(id);
    return state && { order: parseOrder(state.snapshot), cursor: state.cursor };
  }

  /**
   * Creates the order. The same again: unchanged.
   * @throws OrderConflict if an order of that id has other content
   */
  async create(id: string, order: NewOrder): Promise<Outcome> {
    const outcome = await this.change(id, 'create', 'created', (before) => {
      if (before === undefined) return create(id, order, this.parts.now());
      if (!sameOrder(before, order)) {
        throw new OtherOrder(
          'an order of that id exists with other content',
          'the same customer, partner, zone and places',
        );
      }
      return undefined;
    });
    return outcome!;
  }

  /** Gives the order to a rider. Undefined if there is no such order. @throws OrderConflict if it has ended */
  assign(id: string, rider: string, key: string): Promise<Outcome | undefined> {
    return this.change(
      id,
      `a-${key}`,
      'assigned',
      (before) => before && assign(before, rider, this.parts.now()),
    );
  }

  /** Moves the order on. Undefined if there is no such order. @throws OrderConflict if its state forbids that */
  advance(id: string, to: Advance, key: string): Promise<Outcome | undefined> {
    const { lifecycle, now } = this.parts;
    return this.change(
      id,
      `e-${key}`,
      to.status,
      (before) => before && advance(before, to, lifecycle, now()),
    );
  }

  /** The active orders of a rider or a partner, from the index. Rejects if the store does not answer. */
  async active(of: 'rider' | 'partner', id: string): Promise<OrderRecord[]> {
    const orders = (await this.parts.store.indexedOrders({ of, id })).map(parseOrder);
    const running = await Promise.all(orders.map((order) => this.stillKept({ of, id }, order)));
    return orders.filter((_, i) => running[i]);
  }

  /** An order nobody ever ended leaves the indexes when its log is gone. */
  private async stillKept(index: OrderIndex, order: OrderRecord): Promise<boolean> {
    const { store, now, orderTtlMs } = this.parts;
    if (now() - order.at < orderTtlMs || (await store.readOrder(order.id)) !== undefined) return true;
    await store.indexOrder(index, order.id, order.version, undefined);
    return false;
  }

  private async change(
    id: string,
    key: string,
    type: string,
    next: (before: OrderRecord | undefined) => OrderRecord | undefined,
  ): Promise<Outcome | undefined> {
    for (let attempt = 0; attempt < MAX_CONFLICTS; attempt++) {
      const state = await this.parts.store.readOrder(id);
      const before = state && parseOrder(state.snapshot);
      let after: OrderRecord | undefined;
      try {
        after = next(before);
      } catch (error) {
        if (!(error instanceof OtherOrder) && (await this.seen(id, key, state))) return this.settle(id);
        throw error;
      }
      if (after === undefined) {
        if (before === undefined) return undefined;
        await this.index(before);
        return { order: before, cursor: state!.cursor, result: 'unchanged' };
      }
      const appended = await this.append(id, key, state?.cursor.offset ?? 0, { type, order: after });
      if (appended.result === 'duplicate') return this.settle(id);
      if (appended.result === 'appended') {
        await this.index(after);
        return { order: after, cursor: appended.cursor, result: 'appended' };
      }
    }
    throw new OrderConflict('too many changes to this order at once', 'the same call again');
  }

  private append(id: string, key: string, expect: number, fact: OrderFact): Promise<Appended> {
    const { endedTtlMs, orderTtlMs } = this.parts;
    const ttl = fact.order.ended ? endedTtlMs : orderTtlMs;
    const snapshot = JSON.stringify(fact.order);
    return this.parts.store.append({ order: id, key, expect, data: JSON.stringify(fact), snapshot, ttl });
  }

  /**
   * Whether this key was used before. Asked when the order's state forbids the change: a retry of the call that
   * brought it into this state must get its first answer. No log has offset -1, so nothing is ever appended.
   */
  private async seen(id: string, key: string, state: LogState | undefined): Promise<boolean> {
    if (state === undefined) return false;
    const order = parseOrder(state.snapshot);
    return (await this.append(id, key, -1, { type: 'none', order })).result === 'duplicate';
  }

  /** The first try may have died between the append and the indexes: bring them in line before answering. */
  private async settle(id: string): Promise<Outcome | undefined> {
    const now = await this.read(id);
    if (now === undefined) return undefined;
    await this.index(now.order);
    return { ...now, result: 'duplicate' };
  }

  private async index(order: OrderRecord): Promise<void> {
    const { store, bus } = this.parts;
    const { id, version, rider, formerRider, partner } = order;
    const json = JSON.stringify(order);
    const record = order.ended ? undefined : json;
    const writes = [store.indexOrder({ of: 'partner', id: partner }, id, version, record)];
    if (rider !== undefined) writes.push(store.indexOrder({ of: 'rider', id: rider }, id, version, record));
    if (formerRider !== undefined && formerRider !== rider) {
      writes.push(store.indexOrder({ of: 'rider', id: formerRider }, id, version, undefined));
    }
    await Promise.all(writes);
    const assignments = encodeBus({ kind: 'assignments' });
    const told = [bus.publish(channelName('partner', partner), encodeBus({ kind: 'order', data: json }))];
    for (const who of new Set([rider, formerRider])) {
      if (who !== undefined) told.push(bus.publish(channelName('rider', who), assignments));
    }
    await Promise.all(told);
  }
}

/** The JSON the store keeps, back to a record. */
export function parseOrder(json: string): OrderRecord {
  return JSON.parse(json) as OrderRecord;
}

function sameOrder(before: OrderRecord, order: NewOrder): boolean {
  const content = (o: NewOrder) => JSON.stringify([o.customer, o.partner, o.zone, o.pickup, o.destination]);
  return content(before) === content(order);
}
