/** One order on this node: its log, what watchers were told of it, and its rider's position for each audience. */
import type { Store } from '../backbone/store.ts';
import type { Counts } from '../observe/metrics.ts';
import { tally } from '../observe/metrics.ts';
import { type Audience, type OrderRecord, viewOf } from '../orders/order.ts';
import type { BusMessage } from '../protocol/bus-messages.ts';
import type { Codec } from '../protocol/codec.ts';
import type { Cursor, GatewayMessages, OrderEvent, ResetReason } from '../protocol/messages.ts';
import { type Ages, fromRecord, isNewer, KeptPosition, type Position } from '../protocol/positions.ts';
import { begin, type Channel, type InHub, markBehind, restart, type WatchOptions } from './channel.ts';
import { Group } from './groups.ts';
import { type Fact, type LogNews, OrderLog, toFact } from './order-log.ts';
import { type Adopt, Resume } from './resume.ts';
import type { Subscriber, Subscription } from './subscription.ts';
import { isNear, maySeeOrder, type Windows, windowOpen } from './visibility.ts';

export interface OrderChannelParts extends InHub {
  readonly store: Store;
  readonly windows: Windows;
  readonly ages: Ages;
  /** Entries of the log that are kept here, and the most that are replayed to one watcher. */
  readonly maxReplay: number;
  readonly counts: Pick<Counts, 'eventsSent' | 'resets' | 'gaps' | 'busDrops'>;
  readonly now: () => number;
}

/** Verdicts that may be wrong because this node, not the watcher, is behind: the store is asked again first. */
const DOUBTFUL: ReadonlySet<string> = new Set(['epoch', 'ahead', 'diverged']);

const NO_ORDERS: readonly string[] = [];

/** What was just heard. One for all channels, and read at once. */
const heard = new KeptPosition();

export class OrderChannel implements Channel {
  readonly name: string;
  readonly id: string;
  readonly subscriptions = new Set<Subscription>();
  private readonly number: number;
  private readonly parts: OrderChannelParts;
  /** What each audience sees, per error it allows. */
  private readonly views = new Map<string, View>();
  private readonly resume = new Resume();
  private readonly log: OrderLog;
  /** The store no longer has this order: what is here is the last that was known. */
  private lost = false;
  /** The newest position of the order's rider, shown or not. The groups of the views show this object. */
  private latest: KeptPosition | undefined;
  /** Taken, and not told yet. */
  private facts: Fact[] = [];

  constructor(name: string, id: string, number: number, parts: OrderChannelParts) {
    this.name = name;
    this.id = id;
    this.number = number;
    this.parts = parts;
    this.log = new OrderLog(id, parts.maxReplay);
  }

  /** Events never wait, and neither does the rider who is about to arrive. */
  get patience(): 0 | 1 {
    const { order } = this.log;
    return this.facts.length > 0 || order === undefined || isNear(this.parts.windows, order) ? 0 : 1;
  }

  get rider(): string | undefined {
    return this.log.order?.rider;
  }

  async load(): Promise<void> {
    await this.resume.read(
      () => this.read(),
      (message) => this.apply(message),
    );
    this.sweep(this.parts.now());
  }

  fence(): void {
    this.resume.restart();
  }

  take(message: BusMessage): void {
    if (!this.resume.keep(message)) this.apply(message);
  }

  /** Whether the store's head of this order's log is where this node stands. */
  standsAt(head: Cursor | undefined): boolean {
    const { cursor } = this.log;
    if (head === undefined) return cursor === undefined || this.lost;
    return !this.lost && cursor?.id === head.id && cursor.epoch === head.epoch;
  }

  async join(subscriber: Subscriber, options: WatchOptions): Promise<Subscription | undefined> {
    if (this.log.order === undefined || !maySeeOrder(options.grant, this.log.order)) return undefined;
    const { audience } = subscriber;
    const missed = options.since && (await this.missedSince(options.since));
    // From here on without a pause: what is said is where the channel stands, and what follows is told.
    const order = this.log.order;
    const reset = this.lost ? 'lost' : missed?.verdict === 'ok' ? undefined : missed?.verdict;
    const extra = {
      cursor: this.log.cursor!,
      order: viewOf(order, audience),
      ...(reset === undefined ? {} : resetSince(options.since?.offset, this.log.cursor!, reset)),
      ...(reset === undefined && missed !== undefined && missed.entries.length > 0
        ? { events: missed.entries.map((fact) => toEvent(fact, audience)) }
        : {}),
    };
    const group = this.view(audience, options.bound);
    const at = this.parts.now();
    const { subscription, watching } = begin(this.name, subscriber, options, group, extra, at);
    if (reset !== undefined) tally(this.parts.counts.resets, reset);
    subscriber.send(watching);
    if (order.ended) this.end(subscription, order);
    else this.subscriptions.add(subscription);
    return subscription;
  }

  private async missedSince(since: Cursor): Promise<ReturnType<OrderLog['missedSince']>> {
    const missed = this.log.missedSince(since);
    if (!DOUBTFUL.has(missed.verdict)) return missed;
    await this.parts.reread(this);
    return this.log.missedSince(since);
  }

  emit(): void {
    const facts = this.facts;
    this.facts = [];
    for (const fact of facts) this.tell(fact);
    markBehind(this.subscriptions);
  }

  sweep(now: number): void {
    let changed = false;
    for (const { group } of this.views.values()) changed = group.sweep(now, this.parts.ages) || changed;
    if (changed) this.parts.dirty(this);
  }

  private async read(): Promise<Adopt> {
    const { store } = this.parts;
    const news = await this.log.news(store);
    const rider = riderAfter(news) ?? this.rider;
    const [position] = rider === undefined ? [] : await store.getPositions([rider]);
    return () => {
      this.learn(news);
      if (position !== undefined) this.see(position);
    };
  }

  private learn(news: LogNews): void {
    if (news.kind === 'none') {
      if (this.log.cursor !== undefined && !this.lost) {
        this.lost = true;
        this.reset('lost');
      }
      return;
    }
    this.lost = false;
    if (news.kind === 'more') {
      for (const fact of news.facts) this.follow(fact);
      return;
    }
    const before = this.log.order;
    this.log.adopt(news);
    this.showOrder(before);
    if (before !== undefined) this.reset(news.reason ?? 'unknown');
  }

  private apply(message: BusMessage): void {
    if (message.kind === 'position') this.see(fromRecord(message.position, heard));
    else if (message.kind === 'event') {
      const fact = toFact(message.entry);
      if (fact === undefined) tally(this.parts.counts.busDrops, 'malformed');
      else if (this.follow(fact)) return;
      this.parts.counts.gaps++;
      this.resume.hold();
      this.parts.missed(this);
    }
  }

  /** Takes the next entry of the log. False: it does not follow from where we stand. */
  private follow(fact: Fact): boolean {
    const before = this.log.order;
    const taken = this.log.take(fact);
    if (taken !== 'next') return taken === 'known';
    this.facts.push(fact);
    this.showOrder(before);
    this.parts.dirty(this);
    return true;
  }

  private tell(fact: Fact): void {
    const encoded: { audience: Audience; codec: Codec; bytes: Uint8Array }[] = [];
    for (const watch of this.subscriptions) {
      if (fact.offset <= watch.offset) continue;
      const { audience, codec } = watch.subscriber;
      let made = encoded.find((e) => e.audience === audience && e.codec === codec);
      if (made === undefined) {
        const message: GatewayMessages['event'] = { t: 'event', c: this.number, ...toEvent(fact, audience) };
        made = { audience, codec, bytes: codec.encode(message) };
        encoded.push(made);
      }
      watch.offset = fact.offset;
      watch.subscriber.sendBytes(made.bytes);
      this.parts.counts.eventsSent++;
      if (fact.order.ended) this.end(watch, fact.order);
    }
  }

  private end(watch: Subscription, order: OrderRecord): void {
    const { subscriber, w } = watch;
    this.subscriptions.delete(watch);
    subscriber.send({ t: 'closed', w, reason: 'ended', order: viewOf(order, subscriber.audience) });
    subscriber.forget(watch);
  }

  /** Everybody starts again from the snapshot. */
  private reset(reason: ResetReason): void {
    const at = this.parts.now();
    const order = this.log.order!;
    const cursor = this.log.cursor!;
    this.facts = [];
    for (const watch of this.subscriptions) {
      const extra = {
        cursor,
        order: viewOf(order, watch.subscriber.audience),
        ...resetSince(watch.offset, cursor, reason),
      };
      watch.offset = cursor.offset;
      tally(this.parts.counts.resets, reason);
      watch.subscriber.send(restart(this.name, watch, extra, at));
      if (order.ended) this.end(watch, order);
    }
  }

  /** The order is another than before: brings what each audience sees in line. */
  private showOrder(before: OrderRecord | undefined): void {
    const order = this.log.order!;
    if (this.latest !== undefined && this.latest.rider !== order.rider) this.latest = undefined;
    for (const view of this.views.values()) {
      if (before?.rider !== undefined && before.rider !== order.rider)
        view.group.leave(before.rider, 'hidden');
      this.show(view);
    }
  }

  /** A position of the order's rider, if it is the newest. It is copied. */
  see(position: Position): void {
    const { order } = this.log;
    if (order === undefined || order.ended || position.rider !== order.rider) return;
    if (!isNewer(position, this.latest)) return;
    this.latest ??= new KeptPosition();
    this.latest.write(position);
    for (const view of this.views.values()) this.show(view);
  }

  /** Lets one audience see what it may: the newest position, or none. */
  private show({ audience, group }: View): void {
    const order = this.log.order!;
    if (order.rider === undefined) return;
    const { latest } = this;
    let changed = false;
    if (!windowOpen(this.parts.windows, audience, order))
      changed = group.leave(order.rider, order.ended ? 'ended' : 'hidden');
    else if (latest !== undefined)
      changed = group.take(group.remembers ? { ...latest } : latest, NO_ORDERS, order.assignment);
    if (changed) this.parts.dirty(this);
  }

  private view(audience: Audience, bound: number): Group {
    const key = `${audience}/${bound}`;
    let view = this.views.get(key);
    if (view === undefined) {
      view = { audience, group: new Group(this.number, false, 1, bound) };
      this.views.set(key, view);
      this.show(view);
      view.group.sweep(this.parts.now(), this.parts.ages);
    }
    return view.group;
  }
}

interface View {
  readonly audience: Audience;
  readonly group: Group;
}

function riderAfter(news: LogNews): string | undefined {
  if (news.kind === 'none') return undefined;
  return news.kind === 'anew' ? news.order.rider : news.facts.at(-1)?.order.rider;
}

function toEvent({ offset, id, prev, at, type, order }: Fact, audience: Audience): OrderEvent {
  return { offset, id, prev, at, type, order: viewOf(order, audience) };
}

/**
 * What a `watching` says of a reset: how many events were missed, where the old cursor and the new one are of one log.
 * @param offset of the old cursor; undefined: there is none, as for who comes first to an order that is lost
 */
function resetSince(
  offset: number | undefined,
  { offset: now }: Cursor,
  reset: ResetReason,
): Partial<GatewayMessages['watching']> {
  const counted = offset !== undefined && (reset === 'trimmed' || reset === 'limit');
  return counted ? { reset, missed: now - offset } : { reset };
}
