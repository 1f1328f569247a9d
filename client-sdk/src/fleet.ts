import { emitter } from './emitter.ts';
import { freshness, words } from './freshness.ts';
import { BATCH_MS, HIDDEN_MS, REMEMBERED } from './limits.ts';
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
import type { Block, Core, WireOrder } from './wire.ts';

/**
 * Watches the riders of a zone or a partner, or a list of orders. The newest position of each; none goes back, over
 * any number of reconnects. Changes come as one `batch` per animation frame (per 16 ms where there is none, per 100 ms or
 * what timers are throttled to in a hidden page), however many riders moved.
 */
export function watchFleet(c: Client, selector: Selector, o: FleetOptions = {}): Fleet {
  const core = c as Core;
  const { on, emit, mute } = emitter<FleetEvents & WatchEvents<ReadonlyMap<string, Item>>>();
  const { maxItems = Infinity } = o;

  /** As they arrive; without the status, which `told` has. */
  const items = new Map<string, Item>();
  const orders = new Map<string, WireOrder>();
  const marks = new Map<string, Mark>();
  /** What the app was last told of, and whose item changed since. Undefined until it is known, be it empty. */
  let told: ReadonlyMap<string, Item> | undefined;
  let dirty = new Set<string>();
  const flushing = timer();
  let due = false;
  let subs: Subscription[] = [];
  /** Everything has arrived once. */
  let whole = false;
  let refused = false;
  let open = true;

  // ---- what is shown ----

  function touch(id: string): void {
    dirty.add(id);
    soon();
  }

  function soon(): void {
    if (due) return;
    due = true;
    const frame = globalThis.requestAnimationFrame as typeof requestAnimationFrame | undefined;
    flushing(flush, frame ? HIDDEN_MS : BATCH_MS);
    frame?.(flush);
  }

  function drop(id: string): void {
    if (!items.delete(id)) return;
    touch(id);
    if (marks.size <= items.size + REMEMBERED) return;
    // Forget the one gone longest; map order is age.
    for (const old of marks.keys()) if (!items.has(old)) return void marks.delete(old);
  }

  function flush(): void {
    if (!due || !open) return;
    due = false;
    const before = told;
    const batch = dirty;
    const now = new Map(before);
    dirty = new Set();
    told = now;
    for (const id of batch) {
      const item = items.get(id);
      if (item) now.set(id, { ...item, status: orders.get(item.orders?.[0] ?? '')?.status });
      else now.delete(id);
    }
    for (const id of batch) if (now.has(id) === !before?.has(id)) emit(now.has(id) ? 'enter' : 'leave', id);
    if (batch.size) emit('batch', batch);
    emit('change', now);
  }

  /** @param anew it replaces what was known, though its log may have begun again from version 1 */
  function update(order: WireOrder, anew?: unknown): void {
    const { id, status, at } = order;
    const before = orders.get(id);
    if (before && !anew && order.version < before.version) return;
    if (order.ended) orders.delete(id);
    else orders.set(id, order);
    if (status === before?.status) return;
    for (const [dot, item] of items) if (item.orders?.[0] === id) touch(dot);
    // What was already so when the watch began is in `orders`, and no news.
    if (before || whole) emit('status', { id, status, at });
  }

  // ---- where it comes from ----

  /** One channel. A zone or a partner introduces its riders by short numbers; an order of a list (`id`) is one dot. */
  function follow(channel: string, id?: string): Subscription {
    let refs = new Map<number, readonly [id: string, orders: string[]]>();
    /** Known before a full block, and in none of its parts so far. */
    let absent: Set<string> | undefined;
    let absentOrders = new Set<string>();

    function take(at: number, [, full, tuples, riders, out, changed]: Block, more: unknown): void {
      if (full) {
        refs = new Map();
        absent = new Set(id ? [id] : items.keys());
        absentOrders = new Set(id ? [] : orders.keys());
      }
      for (const order of changed ?? []) {
        absentOrders.delete(order.id);
        update(order, full);
      }
      // A listener may have turned elsewhere.
      if (!subs.includes(sub)) return;
      for (const [ref, rider, of] of riders ?? []) {
        refs.set(ref, [rider, of]);
        const item = items.get(rider);
        if (!item) continue;
        items.set(rider, { ...item, orders: of });
        touch(rider);
      }
      for (const [ref] of out ?? []) drop(id ?? refs.get(ref)?.[0] ?? '');
      for (const t of tuples) {
        const [dot, of] = id ? [id, [id]] : (refs.get(t[0]) ?? []);
        if (dot === undefined || (id && t[0] !== orders.get(id)?.assignment)) continue;
        absent?.delete(dot);
        const mark: Mark = [id ? t[0] : 0, t[1], t[2]];
        const shown = items.get(dot);
        const newer = compare(mark, marks.get(dot) ?? NEVER);
        if (newer < 0 || (!shown && items.size >= maxItems)) continue;
        marks.delete(dot);
        marks.set(dot, mark);
        const position = shown && !newer ? shown.position : toPosition(at, t);
        items.set(dot, { id: dot, position, freshness: words[t[6] as 0 | 1 | 2] ?? 'lost', orders: of });
        touch(dot);
      }
      if (!more && absent) {
        absent.forEach(drop);
        for (const gone of absentOrders) orders.delete(gone);
        absent = undefined;
        if (!id) emit('reset', items.size);
      }
      arrived(more);
    }

    function arrived(more?: unknown): void {
      whole ||= !more && subs.every((other) => other.synced);
      if (whole && !told) soon();
      fresh.check();
    }

    const sub = subscribe(core, channel, o.maxHz, {
      watching(m) {
        const mark = id && marks.get(id);
        if (mark) marks.set(id, unnumbered(mark));
        if (m.order) update(m.order, true);
        if (subs.includes(sub)) take(m.at, m.block, m.more);
      },
      place: take,
      follow(m) {
        update(m.order);
        return true;
      },
      over(order, error) {
        if (error?.retryable) return emit('error', error);
        if (!order && !error) return close();
        if (order) update(order);
        subs = subs.filter((other) => other !== sub);
        for (const gone of id ? [id] : items.keys()) drop(gone);
        refused ||= !id;
        arrived();
        if (error) emit('error', error);
      },
      alive: () => fresh.check(),
    });
    return sub;
  }

  function aim(at: Selector): void {
    if (!open) return;
    for (const sub of subs) sub.close();
    whole = refused = false;
    if (!('orders' in at)) {
      // What is not there leaves when it is whole.
      subs = [follow('zone' in at ? `zone:${at.zone}` : `partner:${at.partner}`)];
      return;
    }
    const list = new Set(at.orders);
    for (const id of items.keys()) if (!list.has(id)) drop(id);
    for (const id of orders.keys()) if (!list.has(id)) orders.delete(id);
    subs = [...list].map((id) => follow(`order:${id}`, id));
  }

  function close(): void {
    open = false;
    for (const sub of subs) sub.close();
    flushing();
    fresh.end('lost');
    mute();
  }

  const fresh = freshness(
    core,
    o.staleAfterMs,
    () => (whole ? [refused ? 2 : 0, Math.min(core.heardAt, ...subs.map((sub) => sub.heardAt))] : undefined),
    (f) => emit('freshness', f),
  );
  aim(selector);

  return {
    get snapshot() {
      return told;
    },
    get freshness() {
      return fresh.value;
    },
    cursor: undefined,
    orders: orders as ReadonlyMap<string, OrderInfo>,
    on,
    retarget: aim,
    close,
    [Symbol.dispose]: close,
  };
}
