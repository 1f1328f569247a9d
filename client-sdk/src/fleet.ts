import { emitter } from './emitter.ts';
import { freshness, words } from './freshness.ts';
import { BATCH_MS, HIDDEN_MS, REMEMBERED } from './limits.ts';
import { toPosition } from './position.ts';
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
import type { Block, Core, PositionTuple, WireOrder, Writable } from './wire.ts';

/**
 * Watches the riders of a zone or a partner, or a list of orders. The newest position of each; none goes back, over
 * any number of reconnects. Changes come as one `batch` per animation frame (per 16 ms where there is none, per 100 ms or
 * what timers are throttled to in a hidden page), however many riders moved.
 */
export const watchFleet = ((core: Core, selector: Selector, o: FleetOptions = {}): Fleet => {
  const { handle, emit, mute } = emitter<FleetEvents & WatchEvents<ReadonlyMap<string, Item>>>(() => close());

  const orders = new Map<string, WireOrder>();
  /** Who is there by the gateway's word, with their orders. The snapshot follows with the next batch. */
  const here = new Map<string, readonly string[]>();
  /** Newest positions, each with the stamp of its frame, by age: also of who left, so that nobody comes back in the past. */
  const newest = new Map<string, readonly [t: PositionTuple, at: number]>();
  /** Orders told since a full block began of which parts are missing: until it is whole, nobody leaves. */
  let told: Set<string> | undefined;
  /** Whose item changed since the app was told; undefined: nothing is to be told. */
  let dirty: Set<string> | undefined;
  const flushing = timer();
  const subs = new Set<Subscription>();
  /** For the freshness: 2 when it was refused; undefined until everything has arrived once. */
  let word: 0 | 2 | undefined;
  let open = true;

  // ---- what is shown ----

  /** There is something to tell, of that item or of none. */
  const touch = (id?: string): void => {
    if (!dirty) {
      dirty = new Set();
      flushing(flush, globalThis.requestAnimationFrame?.(flush) ? HIDDEN_MS : BATCH_MS);
    }
    if (id) dirty.add(id);
  };

  const drop = (id: string): void => {
    if (here.delete(id)) touch(id);
  };

  const flush = (): void => {
    if (!dirty) return;
    const before = watch.snapshot;
    const batch = dirty;
    const now = new Map(before);
    dirty = undefined;
    watch.snapshot = now;
    for (const id of batch) {
      const of = here.get(id);
      if (of) {
        const [t, at] = newest.get(id)!;
        now.set(id, {
          id,
          position: toPosition(at, t),
          freshness: words[t[6] as 0 | 1 | 2],
          status: orders.get(of[0]!)?.status,
          orders: of,
        });
      } else if (!told) now.delete(id);
    }
    // Those gone longest are forgotten.
    for (const id of newest.keys())
      if (newest.size > now.size + REMEMBERED && !now.has(id)) newest.delete(id);
    for (const id of batch) {
      const there = now.has(id);
      if (there === !before?.has(id)) emit(there ? 'enter' : 'leave', id);
    }
    if (batch.size) emit('batch', batch);
    emit('change', now);
  };

  /** Everything is known again, all orders by name: what is not there leaves. */
  const settle = (list: ReadonlySet<string>): void => {
    told = undefined;
    for (const id of orders.keys()) if (!list.has(id)) orders.delete(id);
    for (const id of watch.snapshot?.keys() ?? []) if (!here.has(id)) touch(id);
  };

  /** @param anew it replaces what was known, though its log may have begun again from version 1 */
  const update = (order: WireOrder, anew?: unknown): void => {
    const { id, status, at } = order;
    const before = orders.get(id);
    if (before ? !anew && order.version < before.version : order.ended) return;
    if (order.ended) orders.delete(id);
    else orders.set(id, order);
    if (status === before?.status) return;
    for (const [dot, of] of here) if (of[0] === id) touch(dot);
    // What was already so when the watch began is in `orders`, and no news.
    if (before || word !== undefined) emit('status', { id, status, at });
  };

  // ---- where it comes from ----

  /** One channel: a zone, a partner, or (with its `id`) an order of a list, which is one dot. */
  const follow = (channel: string, id?: string): void => {
    /** What short numbers mean: riders that were introduced; of an order its assignment. */
    let refs = new Map<number, readonly [dot: string, orders: readonly string[]]>();

    const take = (at: number, [, full, tuples, riders, out, changed]: Block, more?: boolean): void => {
      if (full && !id) {
        refs = new Map();
        told = new Set();
        here.clear();
      }
      for (const order of changed ?? []) {
        if (id && !refs.has(order.assignment)) {
          // Another rider took over: the one shown does not bring it any more.
          drop(id);
          refs = new Map([[order.assignment, [id, [id]]]]);
        }
        told?.add(order.id);
        update(order, full || told);
        // A listener may have turned elsewhere.
        if (!subs.has(sub)) return;
      }
      if (full && id) drop(id);
      for (const [ref, ...rider] of riders ?? []) refs.set(ref, rider);
      for (const [ref] of out ?? []) drop(refs.get(ref)?.[0] as string);
      for (const t of tuples) {
        const [ref, session, seq] = t;
        const [dot, of] = refs.get(ref) ?? [];
        if (!dot) continue;
        if (o.maxItems && !here.has(dot)) {
          // Room is for those that are shown, and for newcomers beside them.
          const all = new Map<string, unknown>([...here, ...(watch.snapshot ?? []), [dot, 0]]);
          if (all.size > o.maxItems) continue;
        }
        here.set(dot, of!);
        touch(dot);
        const [[, s, n]] = newest.get(dot) ?? [t];
        // Sessions are a rider's own: in an order's another one means another rider.
        if ((id && session !== s) || session > s || (session === s && seq >= n)) {
          newest.delete(dot);
          newest.set(dot, [t, at]);
        }
      }
      if (!more && told) {
        settle(told);
        emit('reset', here.size);
      }
      arrived();
    };

    const sub = subscribe(core, channel, o.maxHz, {
      begin(m) {
        if (m.order) m.block[5] = [m.order];
        take(m.at, m.block, m.more);
      },
      place: take,
      follow(m) {
        take(0, [0, 0, [], [], [], [m.order]]);
        return true;
      },
      over(error, order) {
        if (!order && !error) return close();
        if (!error?.retryable) {
          if (!id) word = 2;
          // Nothing is there any more.
          take(0, [0, 1, [], [], [], order && [order]]);
          orders.delete(id!);
          subs.delete(sub);
          arrived();
        }
        if (error) emit('error', error);
      },
      alive: arrived,
    });
    subs.add(sub);
  };

  const arrived = (): void => {
    if (!told && [...subs].every((sub) => sub.synced)) {
      word ??= 0;
      if (!watch.snapshot) touch();
    }
    check();
  };

  const quit = (): void => {
    for (const sub of subs) sub.quit();
    subs.clear();
  };

  const close = (): void => {
    open = false;
    dirty = undefined;
    quit();
    flushing();
    check('lost');
    mute();
  };

  /** Its snapshot is what the app was last told of: undefined until it is known, be it empty. */
  const watch = {
    freshness: 'catching-up',
    orders: orders as ReadonlyMap<string, OrderInfo>,
    ...handle,
    retarget(at: Selector): void {
      if (!open) return;
      quit();
      word = undefined;
      if ('orders' in at) {
        const list = new Set(at.orders);
        for (const id of here.keys()) if (!list.has(id)) here.delete(id);
        settle(list);
        for (const id of list) follow(`order:${id}`, id);
      }
      // What is not there leaves when it is whole.
      else follow(Object.entries(at)[0]!.join(':'));
    },
  } as Writable<Fleet>;
  const check = freshness(
    core,
    watch,
    o.staleAfterMs,
    () =>
      word !== undefined
        ? [word, Math.min(...[...subs].map((sub) => (sub.synced ? core.heardAt : sub.heardAt)), core.heardAt)]
        : undefined,
    emit,
  );
  watch.retarget(selector);
  return watch;
}) as (client: Client, selector: Selector, o?: FleetOptions) => Fleet;
