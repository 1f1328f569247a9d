/**
 * A group: the newest position of every rider on one channel, as one audience may see it, on this node.
 *
 * Each change gets the next number of the group's clock. A watcher is described by one number, the clock of what it
 * was last sent, however slow it is: what it gets next is whatever changed since. That is the position lane's one
 * sentence, *send the newest per rider*, for ticks, late joiners, slow watchers and rate limits alike.
 */
import type { Codec } from '../protocol/codec.ts';
import type { Block, Order, OutReason } from '../protocol/messages.ts';
import { type PackedRow, Packer } from '../protocol/packed.ts';
import { type Shown, show } from '../protocol/packed-history.ts';
import {
  type Ages,
  type Freshness,
  freshnessOf,
  isNewer,
  LIVE,
  type Position,
  toTuple,
} from '../protocol/positions.ts';
import { motion, predictionError } from '../protocol/predict.ts';

interface Row {
  readonly ref: number;
  /** Of the newest position taken. */
  session: number;
  seq: number;
  /** What watchers are shown. */
  position: Position;
  /** The newest known; another than `position` only where an error is allowed. */
  latest: Position;
  freshness: Freshness;
  orders: readonly string[];
  /** Clock of the last change; unique within the group. */
  changed: number;
  /** Clock at which the ref was introduced or its orders changed. */
  introduced: number;
  /** What packed positions are told against; undefined while no watcher is sent any. */
  shown: Shown | undefined;
}

/** What goes to one watcher for one channel. */
export interface BlockBytes {
  readonly bytes: Uint8Array;
  /** There is nothing in it but packed rows, and `bytes` are just these. */
  readonly bare: boolean;
  /** The clock it brings a watcher to. */
  readonly upTo: number;
  /** The group's clock when it was made. */
  readonly clock: number;
  /** More changed than one block may hold. */
  readonly more: boolean;
  /** It replaces all the watcher knew. */
  readonly full: boolean;
  /** The frame of this round that holds this block alone, kept by whoever made it first. */
  alone?: Uint8Array;
}

/** Where a watcher stands in a group. */
export interface Standing {
  /** The clock of what it was last sent; 0: nothing yet. */
  readonly since: number;
  /** The clock at its last full block: departures before it do not concern the watcher. */
  readonly known: number;
  /** The last block was cut: whoever is in the next may have come in before it, and must be introduced. */
  readonly filling: boolean;
}

/** Where a watcher stands that knows nothing. */
export const NOWHERE: Standing = { since: 0, known: 0, filling: false };

let last = NOWHERE;

/** Where a watcher stands after a block, at the clock the block was made. Those who are brought there in turn share it. */
export function advanced(
  before: Standing,
  block: Pick<BlockBytes, 'upTo' | 'more' | 'full'>,
  clock: number,
): Standing {
  const [since, known, filling] = [block.upTo, block.full ? clock : before.known, block.more];
  if (last.since !== since || last.known !== known || last.filling !== filling)
    last = { since, known, filling };
  return last;
}

const packer = new Packer();
/** A block of packed changes may hold so many times the positions of another. */
const PACKED_MORE = 8;
const MAX_GONE = 1000;
/** ms after which a position is sent though the predicted dot is right: silence must not look like a lost link. */
const KEEP_ALIVE_MS = 10_000;

export class Group {
  /** The channel's short number on the wire. */
  readonly number: number;
  /** Above that of who knows nothing: a watcher of an empty group knows all of it. */
  clock = 1;
  private readonly rows = new Map<string, Row>();
  private readonly orders = new Map<string, { view: Order; changed: number; gone?: true }>();
  /** Riders that left and by which ping: an older one that arrives late must not bring them back. */
  private readonly departed = new Map<string, { session: number; seq: number; heardAt: number }>();
  private gone: { ref: number; reason: OutReason; changed: number }[] = [];
  /** Departures up to this clock are no longer known: who stands before it gets everything anew. */
  private goneFloor = 0;
  /** Departures so far: who has left must not be shown by what was encoded before. */
  departures = 0;
  private lastRef = 0;
  private readonly limit: number;
  private readonly named: boolean;
  /** Metres by which the dot a watcher predicts may be wrong; 0: every position is shown. */
  private readonly bound: number;
  /** A watcher is sent packed positions, so what was shown before is kept. */
  private packing = false;

  /** @param named whether refs are introduced with the rider's id (zones and partners) or stay bare (orders) */
  constructor(number: number, named: boolean, limit: number, bound = 0) {
    this.number = number;
    this.named = named;
    this.limit = limit;
    this.bound = bound;
  }

  /** A group of the same riders and orders whose watchers allow an error of so many metres. */
  bounded(bound: number): Group {
    const group = new Group(this.number, this.named, this.limit, bound);
    for (const { ref, latest, orders } of this.rows.values())
      group.take(latest, orders, this.named ? undefined : ref);
    for (const { view } of this.orders.values()) group.putOrder(view);
    return group;
  }

  /** Positions are compared with later ones: what was taken must stay as it is. */
  get remembers(): boolean {
    return this.bound > 0 || this.packing;
  }

  get size(): number {
    return this.rows.size;
  }

  newest(rider: string): Position | undefined {
    return this.rows.get(rider)?.latest;
  }

  riders(): IterableIterator<string> {
    return this.rows.keys();
  }

  /**
   * Takes a position unless one as new is here. Unless the group `remembers`, it may be the object that was taken before,
   * written anew.
   * @param ref fixed by the caller (order channels: the assignment), or given by the group
   * @returns whether anything changed
   */
  take(position: Position, orders: readonly string[], ref?: number): boolean {
    const row = this.rows.get(position.rider);
    if (row === undefined) {
      const departed = this.departed.get(position.rider);
      if (departed !== undefined && isNewer(departed, position)) return false;
      this.departed.delete(position.rider);
      this.lastRef = ref ?? this.lastRef + 1;
      this.rows.set(position.rider, this.enter(position, orders, this.lastRef));
      return true;
    }
    if (!isNewer(position, row)) return false;
    row.session = position.session;
    row.seq = position.seq;
    const before = row.latest;
    row.latest = position;
    const sameOrders = sameList(row.orders, orders);
    if (this.bound > 0 && sameOrders && row.freshness === LIVE && this.isRight(row, position)) return false;
    row.position = this.bound > 0 ? withMotion(position, before) : position;
    row.freshness = LIVE;
    this.changed(row);
    if (!sameOrders) {
      row.orders = orders;
      row.introduced = row.changed;
    }
    return true;
  }

  private enter(position: Position, orders: readonly string[], ref: number): Row {
    const introduced = this.clock + 1;
    const row: Row = {
      ref,
      session: position.session,
      seq: position.seq,
      position,
      latest: position,
      freshness: LIVE,
      orders,
      changed: introduced,
      introduced,
      shown: undefined,
    };
    this.changed(row);
    return row;
  }

  /** What the row shows is new. */
  private changed(row: Row): void {
    row.changed = ++this.clock;
    if (this.packing) row.shown = show(row.position, row.freshness, row.changed, row.shown);
  }

  /** Whether the dot that watchers predict from what they were shown is close enough to where the rider is. */
  private isRight({ position }: Row, latest: Position): boolean {
    if (latest.heardAt - position.heardAt >= KEEP_ALIVE_MS || latest.session !== position.session)
      return false;
    return latest.verdict === position.verdict && predictionError(position, latest) <= this.bound;
  }

  /**
   * Takes a rider out. Every rider that came in goes out once, with its reason.
   * @param by the ping that showed it has left, if it was not the one shown here
   */
  leave(rider: string, reason: OutReason, by?: { session: number; seq: number }): boolean {
    const row = this.rows.get(rider);
    if (row === undefined) return false;
    this.rows.delete(rider);
    this.departures++;
    const { session, seq } = by ?? row;
    this.departed.set(rider, { session, seq, heardAt: row.latest.heardAt });
    this.gone.push({ ref: row.ref, reason, changed: ++this.clock });
    if (this.gone.length > MAX_GONE) this.goneFloor = this.gone.shift()!.changed;
    return true;
  }

  /** Partner channels: an order that changed; one that ended is told once and then forgotten. */
  putOrder(view: Order): boolean {
    const known = this.orders.get(view.id);
    if (known !== undefined && !known.gone && known.view.version >= view.version) return false;
    this.orders.set(view.id, { view, changed: ++this.clock });
    return true;
  }

  /** Partner channels: nobody knows the order any more. It is told as ended, and may come back from version 1. */
  loseOrder(id: string): void {
    const known = this.orders.get(id);
    if (known === undefined || known.view.ended) return;
    this.orders.set(id, { view: { ...known.view, ended: true }, changed: ++this.clock, gone: true });
  }

  orderIds(): IterableIterator<string> {
    return this.orders.keys();
  }

  /** Orders that ended, kept until everybody was told: forget those older than `before` clocks. */
  forgetEnded(before: number): void {
    for (const [id, { view, changed }] of this.orders)
      if (view.ended && changed < before) this.orders.delete(id);
  }

  /** Marks silent riders and forgets the expired. `now` is ms since epoch. Returns whether anything changed. */
  sweep(now: number, ages: Ages): boolean {
    const clock = this.clock;
    for (const [rider, row] of this.rows) {
      const silent = now - row.latest.heardAt;
      if (silent > ages.positionTtlMs) {
        this.leave(rider, 'expired');
        continue;
      }
      const freshness = freshnessOf(silent, ages);
      if (freshness > row.freshness) {
        row.freshness = freshness;
        row.position = row.latest; // from here on nobody predicts
        this.changed(row);
      }
    }
    for (const [rider, { heardAt }] of this.departed) {
      if (now - heardAt > 2 * ages.positionTtlMs) this.departed.delete(rider);
    }
    return this.clock !== clock;
  }

  /** What changed for a watcher, encoded. `at` stamps the frame. */
  block(from: Standing, codec: Codec, at: number): BlockBytes {
    const { block, ...rest } = this.changes(from, at, codec.packed);
    const [, , rows, ...others] = block as readonly unknown[];
    const bare = !rest.full && others.length === 0 && rows instanceof Uint8Array;
    return { bytes: bare ? rows : codec.encode(block), bare, clock: this.clock, ...rest };
  }

  /**
   * The same, not encoded.
   * @param packed the positions in it are a byte string, as codecs that are `packed` send them
   */
  changes(
    standing: Standing,
    at: number,
    packed = false,
  ): { block: Block; upTo: number; more: boolean; full: boolean } {
    const full = this.needsFull(standing);
    const from = full ? 0 : standing.since;
    let rows = [...this.rows.values()].filter((row) => row.changed > from);
    // What a packed watcher has of a rider makes its row a tenth as large as a whole one.
    const limit = packed && !full && !standing.filling ? PACKED_MORE * this.limit : this.limit;
    const more = rows.length > limit;
    if (more) rows = rows.sort((a, b) => a.changed - b.changed).slice(0, this.limit);
    const upTo = more ? rows[rows.length - 1]!.changed : this.clock;

    const whole = full || more || standing.filling;
    const tuples =
      packed && rows.length > 0
        ? this.pack(whole ? rows : undefined, from, at)
        : rows.map((row) => toTuple(row.position, row.ref, row.freshness, at));
    const named: NonNullable<Block[3]> = [];
    for (const row of rows) {
      if (this.named && (standing.filling || row.introduced > from))
        named.push([row.ref, row.position.rider, [...row.orders]]);
    }
    const out: NonNullable<Block[4]> = [];
    if (!full)
      for (const g of this.gone) if (g.changed > from && g.changed <= upTo) out.push([g.ref, g.reason]);
    const orders: Order[] = [];
    for (const { view, changed } of this.orders.values()) {
      if (changed > from && changed <= upTo && !(full && view.ended)) orders.push(view);
    }
    return { block: trimmed(this.number, full, tuples, named, out, orders), upTo, more, full };
  }

  /**
   * @param whole those that go whole. What a watcher has of the others while blocks are cut is not what its clock says;
   * undefined: it has everything up to the clock `from`
   */
  private pack(whole: readonly Row[] | undefined, from: number, at: number): Block[2] {
    if (!this.packing) {
      this.packing = true;
      for (const row of this.rows.values()) {
        if (row.latest === row.position) row.latest = row.position = { ...row.latest };
        row.shown = show(row.position, row.freshness, row.changed, undefined);
      }
    }
    const bytes =
      whole === undefined
        ? packer.changes(this.rows.values() as Iterable<PackedRow>, from, at)
        : packer.whole(whole as readonly PackedRow[], at);
    return bytes as unknown as Block[2];
  }

  /** Whether a watcher who stands there has to be told everything anew. */
  needsFull(standing: Standing): boolean {
    return standing.since === 0 || Math.max(standing.since, standing.known) < this.goneFloor;
  }
}

/** Empty lists at the end are left out. */
function trimmed(
  channel: number,
  full: boolean,
  tuples: Block[2],
  named: NonNullable<Block[3]>,
  out: NonNullable<Block[4]>,
  orders: Order[],
): Block {
  const flag = full ? 1 : 0;
  if (orders.length > 0) return [channel, flag, tuples, named, out, orders];
  if (out.length > 0) return [channel, flag, tuples, named, out];
  return named.length > 0 ? [channel, flag, tuples, named] : [channel, flag, tuples];
}

/** With the motion since the position before, where the phone did not tell it: watchers predict from it. */
function withMotion(position: Position, before: Position): Position {
  if (position.heading !== null && position.speed !== null) return position;
  return { ...position, ...motion(before, position) };
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
