import { emitter } from './emitter.ts';
import { freshness } from './freshness.ts';
import { compare, type Mark, NEVER, toPosition, unnumbered } from './position.ts';
import { subscribe } from './subscribe.ts';
import { timer } from './timer.ts';
import type {
  Client,
  Cursor,
  Order,
  OrderEvents,
  OrderOptions,
  OrderWatch,
  Position,
  WatchEvents,
} from './types.ts';
import type { Block, Core, Message, OrderEvent, WireOrder } from './wire.ts';

const ACK_EVERY = 32;
const ACK_MS = 5000;
/** Ids kept to know a duplicate by. */
const APPLIED = 64;

/**
 * Watches one order. Events: every one, once and in order, or a `gap` and a whole snapshot. Positions: the newest,
 * never an older one than was shown, over any number of reconnects. An order that does not exist, or is somebody
 * else's, is an `error` with code `not_found`, and the watch is over.
 */
export function watchOrder<St extends string = string>(
  c: Client,
  id: string,
  o: OrderOptions = {},
): OrderWatch<St> {
  const core = c as Core;
  const { on, emit, mute } = emitter<OrderEvents<St> & WatchEvents<Order<St>>>();

  let cursor: Cursor | undefined = o.since;
  /** Ids of the newest events applied, and of the snapshot they go on from. */
  let applied = [cursor?.id];
  let order: WireOrder | undefined;
  let position: Position | undefined;
  /** Of the newest position ever shown; outlives the position. */
  let mark = NEVER;
  let word = 0;
  let snapshot: Order<St> | undefined;
  let unacked = 0;
  const acking = timer();
  let open = true;

  function show(): void {
    if (!order) return;
    snapshot = {
      ...order,
      eta: order.eta ? { at: order.eta } : undefined,
      position,
    } as Order<St>;
  }

  /** Takes the state after an event, or of a snapshot. The cursor is already there. */
  function become(next: WireOrder, replayed: boolean, event?: OrderEvent, missed?: number | 'unknown'): void {
    const before = order;
    order = next;
    // Another rider took over: the one shown does not bring it any more.
    if (next.ended || next.assignment > mark[0]) position = undefined;
    show();
    if (missed) emit('gap', { missed });
    if (event) emit('event', { ...event, order: snapshot!, replayed });
    if (
      event
        ? next.status !== before?.status || next.at !== before.at
        : before && next.status !== before.status
    )
      emit('status', { status: next.status as St, at: next.at, replayed });
    if (next.eta && next.eta !== before?.eta) emit('eta', { at: next.eta });
  }

  /** One event of the log. False: it does not follow from where we stand. */
  function step(e: OrderEvent, replayed: boolean): boolean {
    if (!cursor) return true;
    // By id: after a failover another event may have that offset.
    if (e.offset <= cursor.offset) return applied.includes(e.id);
    if (e.offset !== cursor.offset + 1 || e.prev !== cursor.id) return false;
    cursor = { epoch: cursor.epoch, offset: e.offset, id: e.id };
    if (applied.push(e.id) > APPLIED) applied.shift();
    unacked++;
    become(e.order, replayed, e);
    if (unacked >= ACK_EVERY) ack();
    else if (unacked === 1) acking(ack, ACK_MS);
    return true;
  }

  function ack(): void {
    acking();
    if (unacked) core.send({ t: 'ack', w: sub.w, offset: cursor!.offset });
    unacked = 0;
  }

  function follow({ events, cursor: to, order: state, reset }: Message<'watching'>): void {
    for (const e of events ?? []) if (open) step(e, true);
    if (!open || !to || !state) return;
    const from = cursor;
    if (!reset && from?.id === to.id && from.epoch === to.epoch) {
      // Nothing was missed; after a restart of the app this is the first we see of the order.
      if (!order) become(state, true);
      return;
    }
    cursor = to;
    applied = [to.id];
    if (reset) mark = unnumbered(mark);
    const counted = reset === 'trimmed' || reset === 'limit';
    become(state, true, undefined, from && (counted ? to.offset - from.offset : 'unknown'));
  }

  function place(at: number, [, full, tuples, , out]: Block): void {
    if (full && !tuples.length) hide();
    for (const t of tuples) {
      const next: Mark = [t[0], t[1], t[2]];
      const newer = compare(next, mark);
      if (newer < 0 || next[0] !== order?.assignment) continue;
      word = t[6];
      mark = next;
      if (!newer && position) continue;
      position = toPosition(at, t);
      show();
      emit('position', position);
    }
    for (const [ref] of out ?? []) if (ref >= mark[0]) hide();
  }

  function hide(): void {
    position = undefined;
    word = 0;
    show();
  }

  /** Runs a change, then tells of it. */
  function changing<T>(change: () => T): T {
    const before = snapshot;
    const result = change();
    fresh.check();
    if (snapshot !== before) emit('change', snapshot!);
    if (order?.ended) close('ended', () => emit('end', snapshot!));
    return result;
  }

  /** For good: nothing is told after the last word. */
  function close(last: 'ended' | 'lost', tell?: () => void): void {
    if (!open) return;
    open = false;
    ack();
    sub.close();
    o.signal?.removeEventListener('abort', stop);
    fresh.end(last);
    tell?.();
    mute();
  }

  function stop(): void {
    close('lost');
  }

  const sub = subscribe(core, `order:${id}`, o.maxHz, {
    since: () => cursor,
    watching: (m) =>
      changing(() => {
        word = 0;
        follow(m);
        if (open) place(m.at, m.block);
      }),
    block: (at, block) => changing(() => place(at, block)),
    event: (m) => changing(() => step(m, false)),
    missing(error) {
      word = 2;
      fresh.check();
      emit('error', error);
    },
    over(last, error) {
      if (last) changing(() => become(last, true, undefined, order && 'unknown'));
      close(error ? 'lost' : 'ended', error && (() => emit('error', error)));
    },
    state: () => fresh.check(),
    close: stop,
  });

  const fresh = freshness(
    core,
    o.staleAfterMs,
    () => (order || word ? [word, sub.synced || !position ? sub.heardAt() : position.at] : undefined),
    (f) => emit('freshness', f),
  );
  if (o.signal?.aborted) stop();
  o.signal?.addEventListener('abort', stop);

  return {
    get snapshot() {
      return snapshot;
    },
    get freshness() {
      return fresh.value;
    },
    get cursor() {
      return cursor;
    },
    on,
    close: stop,
    [Symbol.dispose]: stop,
  };
}
