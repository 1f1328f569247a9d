import { emitter } from './emitter.ts';
import { freshness } from './freshness.ts';
import { compare, type Mark, toPosition } from './position.ts';
import { subscribe } from './subscribe.ts';
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
  const { on, emit } = emitter<OrderEvents<St> & WatchEvents<Order<St>>>();

  let cursor: Cursor | undefined = o.since;
  let order: WireOrder | undefined;
  let position: Position | undefined;
  /** (ref, session, seq) of the newest position ever shown; outlives the position. */
  let mark: Mark = [0, 0, 0];
  let word = 0;
  let snapshot: Order<St> | undefined;
  let unacked = 0;
  let acking: ReturnType<typeof setTimeout> | undefined;

  function show(): void {
    if (!order) return;
    snapshot = {
      ...order,
      status: order.status as St,
      eta: order.eta ? { at: order.eta } : undefined,
      position,
    };
  }

  /** Takes the state after an event, or of a snapshot. The cursor is already there. */
  function become(next: WireOrder, replayed: boolean, event?: OrderEvent, missed?: number | 'unknown'): void {
    const before = order;
    order = next;
    // Another rider took over: the one shown does not bring it any more.
    if (next.ended || next.assignment > mark[0]!) position = undefined;
    show();
    if (missed) emit('gap', { missed });
    if (event)
      emit('event', { type: event.type, at: event.at, offset: event.offset, order: snapshot!, replayed });
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
    if (!cursor || e.offset <= cursor.offset) return true;
    if (e.offset !== cursor.offset + 1 || e.prev !== cursor.id) return false;
    cursor = { epoch: cursor.epoch, offset: e.offset, id: e.id };
    become(e.order, replayed, e);
    if (++unacked >= ACK_EVERY) ack();
    else acking ??= setTimeout(ack, ACK_MS);
    return true;
  }

  function ack(): void {
    clearTimeout(acking);
    acking = undefined;
    unacked = 0;
    if (cursor) core.send({ t: 'ack', w: sub.w, offset: cursor.offset });
  }

  function follow(m: Message<'watching'>): void {
    for (const e of m.events ?? []) step(e, true);
    const from = cursor;
    const to = m.cursor;
    if (!to || !m.order) return;
    const behind = from?.epoch === to.epoch && to.offset <= from.offset;
    if (behind && !m.reset) {
      // Nothing was missed; after a restart of the app this is the first we see of the order.
      if (!order) become(m.order, true);
      return;
    }
    cursor = to;
    const missed = from && (from.epoch === to.epoch && !behind ? to.offset - from.offset : 'unknown');
    become(m.order, true, undefined, missed);
  }

  function place(at: number, [, full, tuples, , out]: Block): void {
    if (full && !tuples.length) hide();
    for (const t of tuples) {
      const next: Mark = [t[0], t[1], t[2]];
      const newer = compare(next, mark);
      if (newer < 0 || next[0]! < (order?.assignment ?? 0)) continue;
      word = t[6];
      if (!newer && position) continue;
      mark = next;
      position = toPosition(at, t);
      show();
      emit('position', position);
    }
    for (const [ref] of out ?? []) if (ref >= mark[0]!) hide();
  }

  function hide(): void {
    position = undefined;
    word = 0;
    show();
  }

  /** Runs a change, then tells of it. */
  function changing(change: () => void): void {
    const before = snapshot;
    change();
    fresh.check();
    if (snapshot !== before) emit('change', snapshot!);
    if (order?.ended) end();
  }

  function end(): void {
    if (fresh.value === 'ended') return;
    close('ended');
    emit('end', snapshot!);
  }

  function close(last: 'ended' | 'lost'): void {
    clearTimeout(acking);
    sub.close();
    fresh.end(last);
  }

  const sub = subscribe(core, `order:${id}`, o.maxHz, {
    since: () => cursor,
    watching: (m) =>
      changing(() => {
        follow(m);
        place(m.at, m.block);
      }),
    block: (at, block) => changing(() => place(at, block)),
    event: (m) => changing(() => step(m, false) || sub.again()),
    over(last, error) {
      if (last?.ended) changing(() => last.version > (order?.version ?? 0) && become(last, true));
      else close(error ? 'lost' : 'ended');
      if (error) emit('error', error);
    },
    state: () => fresh.check(),
    close: () => close('lost'),
  });

  const fresh = freshness(
    core,
    o.staleAfterMs,
    () => order && [word, sub.synced || !position ? core.heardAt : position.at],
    (f) => emit('freshness', f),
  );
  const stop = () => close('lost');
  o.signal?.addEventListener('abort', stop, { once: true });

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
