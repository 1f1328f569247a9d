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
import type { Block, Core, WireOrder, Writable } from './wire.ts';

/**
 * Watches the riders of a zone or a partner, or a list of orders. The newest position of each; none goes back, over
 * any number of reconnects. Changes come as one `batch` per animation frame (per 16 ms where there is none, per 100 ms or
 * what timers are throttled to in a hidden page), however many riders moved.
 */
export function watchFleet(client: Client, selector: Selector, o: FleetOptions = {}): Fleet {
  const core = client as Core;
  const { on, emit, mute } = emitter<FleetEvents & WatchEvents<ReadonlyMap<string, Item>>>();
  const { maxItems = Infinity } = o;

  const orders = new Map<string, WireOrder>();
  /** As they arrive; without the status, which the snapshot has. */
  const items = new Map<string, Item>();
  const marks = new Map<string, Mark>();
  /** Whose item changed since the app was told; undefined: nothing is to be told. */
  let dirty: Set<string> | undefined;
  const flushing = timer();
  let subs: Subscription[] = [];
  /** Everything has arrived once. */
  let whole = false;
  let refused = false;
  let open = true;

  // ---- what is shown ----

  const touch = (id: string): void => {
    soon();
    dirty!.add(id);
  };

  const soon = (): void => {
    if (dirty) return;
    dirty = new Set();
    flushing(flush, globalThis.requestAnimationFrame?.(flush) ? HIDDEN_MS : BATCH_MS);
  };

  const drop = (id: string): void => {
    if (!items.delete(id)) return;
    touch(id);
    if (marks.size <= items.size + REMEMBERED) return;
    // Forget the one gone longest; map order is age.
    for (const old of marks.keys()) if (!items.has(old)) return void marks.delete(old);
  };

  const flush = (): void => {
    if (!dirty) return;
    const before = watch.snapshot;
    const batch = dirty;
    const now = new Map(before);
    dirty = undefined;
    watch.snapshot = now;
    for (const id of batch) {
      const item = items.get(id);
      if (item) now.set(id, { ...item, status: orders.get(item.orders?.[0] as string)?.status });
      else now.delete(id);
    }
    for (const id of batch) {
      const there = now.has(id);
      if (there === !before?.has(id)) emit(there ? 'enter' : 'leave', id);
    }
    if (batch.size) emit('batch', batch);
    emit('change', now);
  };

  /** @param anew it replaces what was known, though its log may have begun again from version 1 */
  const update = (order: WireOrder, anew?: unknown): void => {
    const { id, status, at } = order;
    const before = orders.get(id);
    if (before && !anew && order.version < before.version) return;
    if (order.ended) orders.delete(id);
    else orders.set(id, order);
    if (status === before?.status) return;
    for (const [dot, item] of items) if (item.orders?.[0] === id) touch(dot);
    // What was already so when the watch began is in `orders`, and no news.
    if (before || whole) emit('status', { id, status, at });
  };

  // ---- where it comes from ----

  /** One channel. A zone or a partner introduces its riders by short numbers; an order of a list (`id`) is one dot. */
  const follow = (channel: string, id?: string): Subscription => {
    let refs = new Map<number, readonly [id: string, orders: string[]]>();
    /** Known before a full block, and in none of its parts so far. */
    let absent: Set<string> | undefined;
    let absentOrders = new Set<string>();

    const take = (at: number, [, full, tuples, riders, out, changed]: Block, more: unknown): void => {
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
      for (const [ref] of out ?? []) drop((id ?? refs.get(ref)?.[0]) as string);
      for (const t of tuples) {
        const [dot, of] = id ? [id, [id]] : (refs.get(t[0]) ?? []);
        if (!dot || (id && t[0] !== orders.get(id)?.assignment)) continue;
        absent?.delete(dot);
        const mark: Mark = id ? t : unnumbered(t);
        const shown = items.get(dot);
        const newer = compare(mark, marks.get(dot) ?? NEVER);
        if (newer < 0 || (!shown && items.size >= maxItems)) continue;
        marks.delete(dot);
        marks.set(dot, mark);
        const position = shown && !newer ? shown.position : toPosition(at, t);
        items.set(dot, { id: dot, position, freshness: words[t[6] as 0 | 1 | 2], orders: of });
        touch(dot);
      }
      if (!more && absent) {
        absent.forEach(drop);
        for (const gone of absentOrders) orders.delete(gone);
        absent = undefined;
        if (!id) emit('reset', items.size);
      }
      arrived(more);
    };

    const arrived = (more?: unknown): void => {
      whole ||= !more && subs.every((other) => other.synced);
      if (whole && !watch.snapshot) soon();
      check();
    };

    const sub = subscribe(core, channel, o.maxHz, {
      begin(m) {
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
      over(error, order) {
        if (error?.retryable) return emit('error', error);
        if (!order && !error) return close();
        if (order) update(order);
        subs = subs.filter((other) => other !== sub);
        for (const gone of id ? [id] : items.keys()) drop(gone);
        refused ||= !id;
        arrived();
        if (error) emit('error', error);
      },
      alive: () => check(),
    });
    return sub;
  };

  const aim = (at: Selector): void => {
    if (!open) return;
    for (const sub of subs) sub.quit();
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
  };

  const close = (): void => {
    open = false;
    dirty = undefined;
    for (const sub of subs) sub.quit();
    flushing();
    check('lost');
    mute();
  };

  /** Its snapshot is what the app was last told of: undefined until it is known, be it empty. */
  const watch: Writable<Fleet> = {
    snapshot: undefined,
    freshness: 'catching-up',
    cursor: undefined,
    orders: orders as ReadonlyMap<string, OrderInfo>,
    on,
    retarget: aim,
    close,
    [Symbol.dispose]: close,
  };
  const check = freshness(
    core,
    watch,
    o.staleAfterMs,
    () =>
      whole
        ? [
            refused ? 2 : 0,
            Math.min(...subs.map((sub) => (sub.synced ? core.heardAt : sub.heardAt)), core.heardAt),
          ]
        : undefined,
    emit,
  );
  aim(selector);
  return watch;
}
