/** The orders of the reference gateway: a log each, the state after every entry, and where each rider is. */
import type { Cursor } from '../../src/types.ts';
import type {
  Block,
  ClientMessage,
  GatewayMessage,
  Message,
  OrderEvent,
  PositionTuple,
  WireOrder,
} from '../../src/wire.ts';
import { type Behaviour, numberOf, positionsOf, type Reference, type Way } from './reference.ts';
import { gatewayNow } from './virtual.ts';

type Reset = NonNullable<Message<'watching'>['reset']>;

interface Log {
  readonly epoch: string;
  /** The entries that are kept; older ones were trimmed. */
  entries: OrderEvent[];
}

/** Who rides, and which ping is the newest. */
interface Ride {
  /** Which of the order's riders it is. */
  readonly ref: number;
  session: number;
  seq: number;
}

export class Orders implements Behaviour {
  /** Every entry there ever was, those that never happened included. */
  readonly entries = new Map<string, OrderEvent>();
  /** Since when the store does not have it. */
  readonly lostAt = new Map<string, number>();
  /** Watchers may stand at entries that never happened. */
  readonly doubtful = new Set<string>();
  /** Something happened that a watcher may have to hear of as a gap. */
  readonly damaged = new Set<string>();
  /** No watch is answered but by `unavailable`. */
  unable = false;
  private readonly logs = new Map<string, Log>();
  readonly rides = new Map<string, Ride>();
  private readonly gateway: Reference;
  private ids = 0;

  constructor(gateway: Reference, names: readonly string[]) {
    this.gateway = gateway;
    gateway.behaviour = this;
    for (const name of names) this.begin(name);
    this.damaged.clear();
  }

  top(name: string): OrderEvent | undefined {
    return this.logs.get(name)?.entries.at(-1);
  }

  cursor(name: string): Cursor | undefined {
    const top = this.top(name);
    return top && { epoch: this.logs.get(name)!.epoch, offset: top.offset, id: top.id };
  }

  /** What a watcher has to be shown: [rider, session, seq]. */
  newest(name: string): [number, number, number] | undefined {
    const { order } = this.top(name)!;
    const ride = this.rides.get(order.rider!);
    return ride && !order.ended ? [Number(order.rider), ride.session, ride.seq] : undefined;
  }

  // ---- what happens to orders ----

  /** A log from its beginning, under a new epoch; those who watch are told. */
  begin(name: string): void {
    this.logs.set(name, { epoch: `k${++this.ids}`, entries: [] });
    this.lostAt.delete(name);
    for (const status of ['created', 'assigned', 'picked_up']) this.append(name, status, false);
    this.reset(name, 'epoch');
  }

  append(name: string, status: string, told = true): void {
    const log = this.logs.get(name);
    const before = log?.entries.at(-1);
    if (!log || before?.order.ended) return;
    const id = `e${++this.ids}`;
    const offset = (before?.offset ?? 0) + 1;
    const was: WireOrder = before?.order ?? {
      id: name,
      status,
      at: 0,
      version: 0,
      assignment: 0,
      ended: false,
    };
    const order = { ...was, status, at: offset, version: was.version + 1, ended: status === 'delivered' };
    if (status === 'assigned') {
      order.assignment++;
      order.rider = String(this.ids);
      // Sessions of different riders say nothing about each other, and are never the same.
      this.rides.set(order.rider, {
        ref: order.assignment,
        session: 100 * ((this.ids * 7919) % 1000) + 1,
        seq: 1,
      });
    }
    const entry = { offset, id, prev: before?.id ?? '', at: offset, type: status, order };
    this.entries.set(id, entry);
    log.entries.push(entry);
    if (!told) return;
    this.tell(name, (c) => ({ t: 'event', c, ...entry }));
    if (order.ended) this.end(name, order);
  }

  private end(name: string, order: WireOrder): void {
    this.each(name, (way, w) => {
      way.down.push({ t: 'closed', w, reason: 'ended', order });
      way.watches.delete(w);
    });
  }

  /** The newest entries never happened, and nobody is told. */
  failOver(name: string, lost: number): void {
    const log = this.logs.get(name);
    if (!log) return;
    log.entries = log.entries.slice(0, Math.max(1, log.entries.length - lost));
    this.doubtful.add(name);
    this.damaged.add(name);
  }

  trim(name: string, kept: number): void {
    const log = this.logs.get(name);
    if (log) log.entries = log.entries.slice(-Math.max(1, kept));
    this.damaged.add(name);
  }

  /** The store no longer has the order. Those who watch it are told what was known last. */
  lose(name: string): void {
    if (!this.logs.has(name)) return;
    this.reset(name, 'lost');
    this.logs.delete(name);
    this.lostAt.set(name, gatewayNow());
  }

  /** Sends everybody the snapshot. */
  reset(name: string, reason: Reset): void {
    this.doubtful.delete(name);
    this.damaged.add(name);
    if (this.logs.has(name))
      this.each(name, (way, w) => way.down.push({ ...this.whole(name, w), reset: reason }));
  }

  /** Sends an entry of the log again. */
  stray(name: string, n: number): void {
    const entries = this.logs.get(name)?.entries ?? [];
    const entry = entries[n % entries.length];
    if (entry) this.tell(name, (c) => ({ t: 'event', c, ...entry }));
  }

  // ---- positions ----

  /** The rider pings; `anew`: in another session. */
  ping(name: string, anew: boolean): void {
    const ride = this.rides.get(this.top(name)?.order.rider ?? '');
    if (!ride) return;
    ride.seq = anew ? 1 : ride.seq + 1;
    if (anew) ride.session++;
  }

  /** Shows where the rider is, or was so many pings ago. */
  show(name: string, ago: number): void {
    if (this.logs.has(name)) this.tell(name, (c) => positionsOf(this.block(name, c, 0, ago)));
  }

  /** A late frame about the rider before. */
  former(name: string): void {
    const ref = (this.top(name)?.order.assignment ?? 0) - 1;
    const before = this.logs.get(name)?.entries.find(({ order }) => order.assignment === ref);
    const { rider } = before?.order ?? {};
    if (rider) this.tell(name, (c) => positionsOf([c, 0, [this.tuple(rider, 0)]]));
  }

  hide(name: string): void {
    const ref = this.top(name)?.order.assignment;
    if (ref !== undefined) this.tell(name, (c) => positionsOf([c, 0, [], [], [[ref, 'hidden']]]));
  }

  private block(name: string, c: number, full: 0 | 1, ago = 0): Block {
    const { rider, ended } = this.top(name)!.order;
    return [c, full, rider && !ended ? [this.tuple(rider, ago)] : []];
  }

  private tuple(rider: string, ago: number): PositionTuple {
    const { ref, session, seq } = this.rides.get(rider)!;
    const at = Math.max(1, seq - ago);
    // The fields nobody computes with carry who and when, to be read back from what is shown.
    return [ref, session, at, 0, 0, 0, 0, Number(rider), 10 * at, session];
  }

  // ---- those who watch ----

  take(way: Way, m: ClientMessage): void {
    if (m.t === 'unwatch') way.watches.delete(m.w);
    if (m.t !== 'watch') return;
    way.watches.delete(m.w);
    const name = m.channel.slice('order:'.length);
    if (!this.unable && this.logs.has(name)) return this.answer(way, m.w, name, m.since);
    const code = this.unable ? 'unavailable' : 'not_found';
    way.down.push({ t: 'error', code, message: '', of: 'watch', w: m.w, retryable: this.unable });
  }

  private answer(way: Way, w: number, name: string, since: Cursor | undefined): void {
    const missed = since && this.missedSince(this.logs.get(name)!, since);
    const counted = missed === 'trimmed' ? { missed: this.cursor(name)!.offset - since!.offset } : {};
    const extra =
      typeof missed === 'string' ? { reset: missed, ...counted } : missed?.length ? { events: missed } : {};
    const whole: Message<'watching'> = { ...this.whole(name, w), ...extra };
    way.down.push(whole);
    if (whole.order!.ended) way.down.push({ t: 'closed', w, reason: 'ended', order: whole.order });
    else way.watches.set(w, whole.channel);
  }

  private missedSince({ epoch, entries }: Log, since: Cursor): OrderEvent[] | Reset {
    const first = entries[0]!;
    const top = entries.at(-1)!;
    if (since.epoch !== epoch) return 'epoch';
    if (since.offset > top.offset) return 'ahead';
    if (since.offset < first.offset - 1) return 'trimmed';
    const missed = entries.slice(since.offset + 1 - first.offset);
    return (missed[0]?.prev ?? top.id) === since.id ? missed : 'diverged';
  }

  private whole(name: string, w: number): Message<'watching'> {
    const channel = `order:${name}`;
    const c = numberOf(channel);
    const { order } = this.top(name)!;
    const block = this.block(name, c, 1);
    return { t: 'watching', w, channel, c, cursor: this.cursor(name)!, order, at: gatewayNow(), block };
  }

  private tell(name: string, message: (c: number) => GatewayMessage): void {
    this.each(name, (way, _, c) => way.down.push(message(c)));
  }

  private each(name: string, run: (way: Way, w: number, c: number) => void): void {
    this.gateway.each(`order:${name}`, run);
  }
}
