import { emitter } from './emitter.ts';
import { freshness } from './freshness.ts';
import { ACK_MS } from './limits.ts';
import { toPosition } from './position.ts';
import { subscribe } from './subscribe.ts';
import { timer } from './timer.ts';
import type { Client, Order, OrderEvents, OrderOptions, OrderWatch, Position, WatchEvents } from './types.ts';
import type { Block, Core, Message, OrderEvent, WireOrder, Writable } from './wire.ts';

/** An event: with a type of message when it has just happened, without when it is part of a replay. */
type Step = OrderEvent & { t?: 'event' };

/**
 * Watches one order. Events: every one, once and in order, or a `gap` and a whole snapshot. Positions: the newest,
 * never an older one than was shown, over any number of reconnects. An order that does not exist, or is somebody
 * else's, is an `error` with code `not_found`, and the watch is over.
 */
export const watchOrder = (<St extends string>(
  core: Core,
  id: string,
  o: OrderOptions = {},
): OrderWatch<St> => {
  const { handle, emit, mute } = emitter<OrderEvents<St> & WatchEvents<Order<St>>>(() => close('lost'));

  const watch = { freshness: 'catching-up', cursor: o.since, ...handle } as Writable<OrderWatch<St>>;

  let order: WireOrder | undefined;
  let position: Position | undefined;
  /** Of the newest position ever shown, which they outlive: whose it is (-1: numbers may mean others since a reset), and which. */
  let ref = 0;
  let session = 0;
  let seq = 0;
  let word = 0;
  let unacked = 0;
  const acking = timer();
  let open = true;

  const show = (): void => {
    if (!order) return;
    watch.snapshot = {
      ...order,
      eta: order.eta && { at: order.eta },
      position,
    } as Order<St>;
  };

  /** Takes the state after an event, or of a snapshot. The cursor is already there. */
  const become = (next: WireOrder, missed?: number | 'unknown', event?: Step): void => {
    const replayed = !event?.t;
    const before = order;
    order = next;
    // Another rider took over: the one shown does not bring it any more.
    if (next.ended || next.assignment > ref) position = undefined;
    show();
    if (missed) emit('gap', { missed });
    if (event) emit('event', { ...event, order: watch.snapshot!, replayed });
    const { status, at, eta } = next;
    if ((before || event) && (status !== before?.status || at !== before.at))
      emit('status', { status: status as St, at, replayed });
    if (eta && eta !== before?.eta) emit('eta', { at: eta });
  };

  /** One event of the log. False: it does not follow from where we stand. */
  const step = (e: Step): boolean => {
    const cursor = watch.cursor!;
    if (e.id === cursor.id) return true;
    // By id, too, and not ignored below ours: after a failover other events may have our offsets.
    if (e.offset !== cursor.offset + 1 || e.prev !== cursor.id) return false;
    watch.cursor = { ...cursor, offset: e.offset, id: e.id };
    if (!unacked++) acking(ack, ACK_MS);
    become(e.order, undefined, e);
    return true;
  };

  const ack = (): void => {
    acking();
    if (unacked) core.say({ t: 'ack', w: sub.w, offset: watch.cursor!.offset });
    unacked = 0;
  };

  const follow = ({ events, cursor: to, order: state, reset, missed }: Message<'watching'>): void => {
    for (const e of events ?? []) if (open) step(e);
    if (!open) return;
    const from = watch.cursor;
    if (!reset && from?.id === to!.id) {
      // Nothing was missed; after a restart of the app this is the first we see of the order.
      if (!order) become(state!);
      return;
    }
    watch.cursor = to;
    if (reset) ref = -1;
    become(state!, from && (missed ?? 'unknown'));
  };

  const place = (at: number, [, full, tuples, , out]: Block): void => {
    if ((full && !tuples.length) || out?.some(([gone]) => gone >= ref)) {
      position = undefined;
      word = 0;
      show();
    }
    for (const t of tuples) {
      const [r, s, q] = t;
      // Another rider in another session is the one to be shown now, whatever its numbers are.
      const newer = r !== ref && s !== session ? 1 : s - session || q - seq;
      if (newer < 0 || r !== order?.assignment) continue;
      [ref, session, seq, , , , word] = t;
      if (newer || !position) {
        position = toPosition(at, t);
        show();
        emit('position', position);
      }
    }
  };

  /** Runs a change, then tells of it. */
  const changing = <T>(change: () => T): T => {
    const before = watch.snapshot;
    const result = change();
    check();
    if (watch.snapshot !== before) emit('change', watch.snapshot!);
    if (order?.ended) close('ended', () => emit('end', watch.snapshot!));
    return result;
  };

  /** For good: nothing is told after the last word. */
  const close = (last: 'ended' | 'lost', tell?: () => void): void => {
    if (!open) return;
    open = false;
    ack();
    sub.quit();
    check(last);
    tell?.();
    mute();
  };

  const sub = subscribe(core, `order:${id}`, o.maxHz, {
    stand: () => watch.cursor,
    begin: (m) =>
      changing(() => {
        word = 0;
        follow(m);
        if (open) place(m.at, m.block);
      }),
    place: (at, block) => changing(() => place(at, block)),
    follow: (m) => changing(() => step(m)),
    over(error, last) {
      const tell = () => error && emit('error', error);
      if (last) changing(() => become(last, order && 'unknown'));
      if (!error?.retryable) return close(last ? 'ended' : 'lost', tell);
      word = 2;
      check();
      tell();
    },
    alive: () => check(),
  });

  const check = freshness(
    core,
    watch,
    o.staleAfterMs,
    () => (order || word ? [word, sub.synced ? core.heardAt : (position?.at ?? sub.heardAt)] : undefined),
    emit,
  );
  return watch;
}) as <St extends string = string>(client: Client, id: string, o?: OrderOptions) => OrderWatch<St>;
