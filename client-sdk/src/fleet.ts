import { emitter } from './emitter.ts';
import { freshness, words } from './freshness.ts';
import { compare, type Mark, toPosition } from './position.ts';
import { type Subscription, subscribe } from './subscribe.ts';
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
import type { Block, Core, Message, PositionTuple, WireOrder } from './wire.ts';

const BATCH_MS = 16;
/** How long the rest of a large fleet may take, ms; who is not in it by then has gone. */
const REST_MS = 5000;
/** Riders out of sight whose newest (session, seq) is remembered, so that none comes back in the past. */
const REMEMBERED = 1000;

/**
 * Watches the riders of a zone or a partner, or a list of orders. The newest position of each; none goes back, over
 * any number of reconnects. Changes come as one `batch` per 16 ms, however many riders moved.
 */
export function watchFleet(c: Client, selector: Selector, o: FleetOptions = {}): Fleet {
  const core = c as Core;
  const { on, emit } = emitter<FleetEvents & WatchEvents<ReadonlyMap<string, Item>>>();
  const { maxItems = Infinity } = o;

  const items = new Map<string, Item>();
  const orders = new Map<string, WireOrder>();
  const marks = new Map<string, Mark>();
  /** What the app was last told of: the ids in it, and whose item changed since. */
  let told: ReadonlyMap<string, Item> = new Map();
  let dirty = new Set<string>();
  let flushing: ReturnType<typeof setTimeout> | undefined;
  let resting: ReturnType<typeof setTimeout> | undefined;
  let subs: Subscription[] = [];
  /** Something arrived; everything did at least once. */
  let known = false;
  let whole = false;
  let refused = false;
  /** When the gateway was last heard on the link before this one. */
  let lostAt = 0;

  const synced = () => subs.every((sub) => sub.synced);

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
    dirty.add(id);
    flushing ??= setTimeout(flush, BATCH_MS);
  }

  function flush(): void {
    clearTimeout(flushing);
    flushing = undefined;
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
    const newer = compare(mark, marks.get(id) ?? [0, 0, 0]);
    if (newer < 0 || (!shown && items.size >= maxItems)) return;
    marks.delete(id);
    marks.set(id, mark);
    const position = shown && !newer ? shown.position : toPosition(at, t);
    const status = of && orders.get(of[0]!)?.status;
    put(id, { id, position, freshness: words[t[6] as 0 | 1 | 2] ?? 'lost', status, orders: of });
  }

  function update(order: WireOrder): void {
    const before = orders.get(order.id);
    if (before && order.version < before.version) return;
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
    /** Shown before a full block, and not in it so far. */
    let absent = new Set<string>();
    const sweep = () => absent.forEach(drop);
    const take = (at: number, [, full, tuples, riders, out, changed]: Block, more?: boolean) => {
      if (full) {
        refs = new Map();
        absent = new Set(items.keys());
        const here = new Set(changed?.map((order) => order.id));
        for (const id of orders.keys()) if (!here.has(id)) orders.delete(id);
      }
      changed?.forEach(update);
      for (const [ref, id, of] of riders ?? []) {
        refs.set(ref, [id, of]);
        const item = items.get(id);
        if (item) put(id, { ...item, orders: of, status: orders.get(of[0]!)?.status });
      }
      for (const t of tuples) {
        const [id, of] = refs.get(t[0]) ?? [];
        if (id === undefined) continue;
        absent.delete(id);
        place(id, at, t, [t[1], t[2]], of);
      }
      for (const [ref] of out ?? []) drop(refs.get(ref)?.[0] ?? '');
      if (!full) return;
      clearTimeout(resting);
      if (more) resting = setTimeout(sweep, REST_MS);
      else sweep();
      emit('reset', items.size);
    };
    return join(channel, take);
  }

  /** An order of a list: one dot, named by the order. */
  function single(id: string): Subscription {
    const take = (at: number, [, full, tuples, , out]: Block) => {
      if ((full && !tuples.length) || out?.length) drop(id);
      for (const t of tuples) place(id, at, t, [t[0], t[1], t[2]], [id]);
    };
    return join(`order:${id}`, take, id);
  }

  function join(
    channel: string,
    take: (at: number, block: Block, more?: boolean) => void,
    id?: string,
  ): Subscription {
    const learn = (order: WireOrder | undefined) => {
      if (!order) return;
      update(order);
      if (order.ended) drop(order.id);
    };
    const sub = subscribe(core, channel, o.maxHz, {
      watching(m: Message<'watching'>) {
        learn(m.order);
        take(m.at, m.block, m.more);
        known = true;
        whole ||= synced();
        fresh.check();
      },
      block: take,
      event: (m) => learn(m.order),
      over(order, error) {
        learn(order);
        subs = subs.filter((other) => other !== sub);
        if (id) drop(id);
        else {
          for (const gone of items.keys()) drop(gone);
          whole = refused = true;
        }
        fresh.check();
        if (error) emit('error', error);
      },
      state() {
        if (!core.welcome) lostAt = core.heardAt;
        fresh.check();
      },
      close: () => fresh.end('lost'),
    });
    return sub;
  }

  function aim(at: Selector): void {
    subs =
      'orders' in at
        ? [...new Set(at.orders)].map(single)
        : [group('zone' in at ? `zone:${at.zone}` : `partner:${at.partner}`)];
  }

  function close(): void {
    for (const sub of subs) sub.close();
    clearTimeout(flushing);
    clearTimeout(resting);
    fresh.end('lost');
  }

  const fresh = freshness(
    core,
    o.staleAfterMs,
    () => (whole ? [refused ? 2 : 0, synced() ? core.heardAt : lostAt] : undefined),
    (f) => emit('freshness', f),
  );
  aim(selector);
  o.signal?.addEventListener('abort', close, { once: true });

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
      for (const sub of subs) sub.close();
      clearTimeout(resting);
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
