import { emitter } from './emitter.ts';
import { freshness, words } from './freshness.ts';
import { compare, type Mark, NEVER, toPosition, unnumbered } from './position.ts';
import { type Subscription, subscribe } from './subscribe.ts';
import { timer } from './timer.ts';
import type {
  Client,
  Fleet,
  FleetEvents,
  FleetOptions,
  Item,
  OrderInfo,
  Selector,
  WatchEvents,
} from './types.ts';
import type { Block, Core, PositionTuple, WireOrder } from './wire.ts';

/** Takes a block; `more`: the rest of it follows. */
type Take = (at: number, block: Block, more: boolean | undefined) => void;

const BATCH_MS = 16;
/** Riders out of sight whose newest (session, seq) is remembered, so that none comes back in the past. */
const REMEMBERED = 1000;

/**
 * Watches the riders of a zone or a partner, or a list of orders. The newest position of each; none goes back, over
 * any number of reconnects. Changes come as one `batch` per 16 ms, however many riders moved.
 */
export function watchFleet(c: Client, selector: Selector, o: FleetOptions = {}): Fleet {
  const core = c as Core;
  const { on, emit, mute } = emitter<FleetEvents & WatchEvents<ReadonlyMap<string, Item>>>();
  const { maxItems = Infinity } = o;

  const items = new Map<string, Item>();
  const orders = new Map<string, WireOrder>();
  const marks = new Map<string, Mark>();
  /** What the app was last told of: the ids in it, and whose item changed since. */
  let told: ReadonlyMap<string, Item> = new Map();
  let dirty = new Set<string>();
  const flushing = timer();
  let subs: Subscription[] = [];
  /** Something arrived; everything did at least once. */
  let known = false;
  let whole = false;
  let refused = false;
  let open = true;

  // ---- what is shown ----

  function put(id: string, item: Item): void {
    items.set(id, item);
    touch(id);
  }

  function drop(id: string): void {
    if (!items.delete(id)) return;
    touch(id);
    // Forget the one gone longest; map order is age.
    for (const old of marks.keys()) {
      if (marks.size <= items.size + REMEMBERED) break;
      if (!items.has(old)) marks.delete(old);
    }
  }

  function touch(id: string): void {
    if (open && !dirty.size) flushing(flush, BATCH_MS);
    dirty.add(id);
  }

  function flush(): void {
    const before = told;
    const batch = dirty;
    dirty = new Set();
    told = new Map(items);
    for (const id of batch) {
      if (told.has(id) === before.has(id)) continue;
      emit(told.has(id) ? 'enter' : 'leave', id);
    }
    emit('batch', batch);
    emit('change', told);
  }

  function place(id: string, at: number, t: PositionTuple, mark: Mark, of?: readonly string[]): void {
    const shown = items.get(id);
    const newer = compare(mark, marks.get(id) ?? NEVER);
    if (newer < 0 || (!shown && items.size >= maxItems)) return;
    marks.delete(id);
    marks.set(id, mark);
    const position = shown && !newer ? shown.position : toPosition(at, t);
    const status = of && orders.get(of[0]!)?.status;
    put(id, { id, position, freshness: words[t[6] as 0 | 1 | 2] ?? 'lost', status, orders: of });
  }

  /** @param anew it replaces what was known, though its log may have begun again from version 1 */
  function update(order: WireOrder, anew: unknown): void {
    const before = orders.get(order.id);
    if (before && !anew && order.version < before.version) return;
    if (order.ended) orders.delete(order.id);
    else orders.set(order.id, order);
    if (order.status === before?.status) return;
    for (const item of items.values())
      if (item.orders?.[0] === order.id) put(item.id, { ...item, status: order.status });
    // What was already so when the watch began is in `orders`, and no news.
    if (before || whole) emit('status', { id: order.id, status: order.status, at: order.at });
  }

  // ---- where it comes from ----

  /** A zone or a partner: riders, introduced by short numbers. */
  function group(channel: string): Subscription {
    let refs = new Map<number, readonly [id: string, orders: string[]]>();
    /** Known before a full block, and in none of its parts so far. */
    let absent: { riders: Set<string>; orders: Set<string> } | undefined;
    const take: Take = (at, [, full, tuples, riders, out, changed], more) => {
      if (full) {
        refs = new Map();
        absent = { riders: new Set(items.keys()), orders: new Set(orders.keys()) };
      }
      for (const order of changed ?? []) {
        absent?.orders.delete(order.id);
        update(order, full);
      }
      // A listener may have turned elsewhere.
      if (!subs.includes(sub)) return;
      for (const [ref, id, of] of riders ?? []) {
        refs.set(ref, [id, of]);
        const item = items.get(id);
        if (item) put(id, { ...item, orders: of, status: orders.get(of[0]!)?.status });
      }
      for (const t of tuples) {
        const [id, of] = refs.get(t[0]) ?? [];
        if (id === undefined) continue;
        absent?.riders.delete(id);
        place(id, at, t, [0, t[1], t[2]], of);
      }
      for (const [ref] of out ?? []) drop(refs.get(ref)?.[0] ?? '');
      if (more || !absent) return;
      absent.riders.forEach(drop);
      for (const id of absent.orders) orders.delete(id);
      absent = undefined;
      emit('reset', items.size);
    };
    const sub = join(channel, take);
    return sub;
  }

  /** An order of a list: one dot, named by the order. */
  function single(id: string): Subscription {
    const take: Take = (at, [, full, tuples, , out]) => {
      if ((full && !tuples.length) || out?.length) drop(id);
      for (const t of tuples) place(id, at, t, [t[0], t[1], t[2]], [id]);
    };
    return join(`order:${id}`, take, id);
  }

  function join(channel: string, take: Take, id?: string): Subscription {
    const learn = (order: WireOrder | undefined, anew?: unknown) => {
      if (!order) return;
      update(order, anew);
      if (order.ended) drop(order.id);
    };
    const arrived = (more?: boolean) => {
      known = true;
      whole ||= !more && subs.every((other) => other.synced);
      fresh.check();
    };
    const sub = subscribe(core, channel, o.maxHz, {
      watching(m) {
        const mark = id && m.reset && marks.get(id);
        if (mark) marks.set(id, unnumbered(mark));
        learn(m.order, m.reset);
        if (!subs.includes(sub)) return;
        take(m.at, m.block, m.more);
        arrived(m.more);
      },
      block(at, block, more) {
        take(at, block, more);
        if (!whole) arrived(more);
      },
      event(m) {
        learn(m.order);
        return true;
      },
      missing: (error) => emit('error', error),
      over(order, error) {
        learn(order);
        subs = subs.filter((other) => other !== sub);
        if (id) drop(id);
        else {
          for (const gone of items.keys()) drop(gone);
          refused = true;
        }
        arrived();
        if (error) emit('error', error);
      },
      state: () => fresh.check(),
      close,
    });
    return sub;
  }

  function aim(at: Selector): void {
    subs =
      'orders' in at
        ? [...new Set(at.orders)].map(single)
        : [group('zone' in at ? `zone:${at.zone}` : `partner:${at.partner}`)];
  }

  function leave(): void {
    for (const sub of subs) sub.close();
  }

  function close(): void {
    if (!open) return;
    open = false;
    leave();
    flushing();
    o.signal?.removeEventListener('abort', close);
    fresh.end('lost');
    mute();
  }

  const fresh = freshness(
    core,
    o.staleAfterMs,
    () =>
      whole ? [refused ? 2 : 0, Math.min(core.heardAt, ...subs.map((sub) => sub.heardAt()))] : undefined,
    (f) => emit('freshness', f),
  );
  aim(selector);
  if (o.signal?.aborted) close();
  o.signal?.addEventListener('abort', close);

  return {
    get snapshot() {
      return known ? told : undefined;
    },
    get freshness() {
      return fresh.value;
    },
    cursor: undefined,
    orders: orders as ReadonlyMap<string, OrderInfo>,
    on,
    retarget(next) {
      if (!open) return;
      leave();
      for (const id of items.keys()) drop(id);
      orders.clear();
      marks.clear();
      known = whole = refused = false;
      aim(next);
    },
    close,
    [Symbol.dispose]: close,
  };
}
