/** A ping's life on this node: taken in order, then stored and published, then acknowledged. */
import type { Bus } from '../backbone/bus.ts';
import type { Store } from '../backbone/store.ts';
import { type Counts, tally } from '../observe/metrics.ts';
import { realTimers } from '../observe/timers.ts';
import type { OrderRecord } from '../orders/order.ts';
import { decodeBus, encodeBus } from '../protocol/bus-messages.ts';
import { channelName, parseChannel } from '../protocol/channel.ts';
import type { Ping, Refusal } from '../protocol/messages.ts';
import { Batches } from './batches.ts';
import { Rider, type RiderRules } from './rider.ts';

export interface IngestParts {
  readonly bus: Bus;
  readonly store: Store;
  readonly counts: Counts;
  readonly rules: RiderRules;
  /** A rider's running orders. */
  readonly activeOrders: (rider: string) => Promise<OrderRecord[]>;
  /** Whether the order's partner may see the rider now. */
  readonly partnerSees: (order: OrderRecord) => boolean;
  readonly groupTickMs: number;
  readonly now: () => number;
}

/** The session of a rider, as ingest needs it. */
export interface RiderLink {
  /** Every ping up to `seq` is dealt with. */
  pinged(seq: number, refused: [number, Refusal][]): void;
  /** A newer session of this rider took over. */
  replaced(): void;
}

/** A rider who may now send pings. */
export interface Opened {
  readonly session: number;
  /** Highest ping number dealt with. */
  readonly seq: number;
  ping(pings: readonly Ping[]): void;
  close(): void;
}

export interface Received {
  readonly seq: number;
  readonly accepted: number;
  readonly refused: [number, Refusal][];
}

interface Link {
  readonly held: Held;
  readonly session: number;
  readonly to: RiderLink;
  /** Highest number dealt with, and the highest that may be acknowledged: its position is stored. */
  seq: number;
  stored: number;
  /** What was refused and not told yet. */
  refused: [number, Refusal][];
  /** When the next acknowledgement is due, `performance.now()`; 0: there is nothing to acknowledge. */
  ackAt: number;
}

interface Held {
  readonly rider: Rider;
  readonly links: Set<Link>;
  readonly ready: Promise<void>;
  /** Its newest position is not on its way to the store yet. */
  dirty: boolean;
  /** Writes to the store that are not confirmed yet. */
  inFlight: number;
  /** Reading its orders failed: read them again on the tick. */
  outdated: boolean;
  /** Calls that wait for the store. */
  waiting: { done: () => void; failed: (error: Error) => void }[];
  /** ms since epoch of its last use without a link. */
  usedAt: number;
}

const ACK_MS = 1000;
/** ms between looks at what is to be acknowledged, and links in one of them: not all in one turn. */
const ACK_LOOK_MS = 20;
const ACK_SLICE = 64;
/** How long a rider without a socket is held after a ping over HTTP. */
const HOLD_MS = 60_000;
const MAX_REFUSED = 100;

export class Ingest {
  private readonly parts: IngestParts;
  private readonly riders = new Map<string, Held>();
  private readonly batches: Batches;
  private dirty: Held[] = [];
  /** In the order they are due. Those of links that have gone are skipped. */
  private toAck: Link[] = [];
  private scheduled = false;
  private readonly undo: (() => void)[];

  constructor(parts: IngestParts) {
    this.parts = parts;
    this.batches = new Batches(parts.bus, () => tally(parts.counts.busDrops, 'publish failed'));
    this.undo = [
      realTimers.beat(parts.groupTickMs, 0, () => this.tick()),
      realTimers.every(ACK_LOOK_MS, () => this.acknowledge()),
    ];
  }

  get size(): number {
    return this.riders.size;
  }

  stop(): void {
    for (const undo of this.undo) undo();
  }

  /**
   * Starts or goes on with a rider session. `claimed` is the number of an earlier welcome.
   * @returns undefined if a newer session of this rider exists
   * Rejects if the backbone does not answer.
   */
  async open(id: string, claimed: number | undefined, to: RiderLink): Promise<Opened | undefined> {
    const held = this.hold(id);
    await held.ready;
    const session = await this.number(held, claimed);
    if (session === undefined) return undefined;
    const link: Link = { held, session, to, seq: 0, stored: 0, refused: [], ackAt: 0 };
    held.links.add(link);
    return {
      session,
      seq: held.rider.seqOf(session),
      ping: (pings) => this.take(held, link, pings),
      close: () => {
        held.links.delete(link);
        held.usedAt = this.parts.now();
      },
    };
  }

  /**
   * Pings that came without a socket. Resolves when stored; undefined if `claimed` is not this rider's newest session.
   * Rejects if the backbone does not answer: the pings may be sent again with the same numbers.
   */
  async receive(
    id: string,
    claimed: number | undefined,
    pings: readonly Ping[],
  ): Promise<(Received & { session: number }) | undefined> {
    const held = this.hold(id);
    await held.ready;
    const session = await this.number(held, claimed);
    if (session === undefined) return undefined;
    const to = { pinged() {}, replaced() {} };
    const link: Link = { held, session, to, seq: 0, stored: 0, refused: [], ackAt: 0 };
    this.take(held, link, pings);
    if (held.dirty) await new Promise<void>((done, failed) => held.waiting.push({ done, failed }));
    const { seq, refused } = link;
    return { session, seq, accepted: pings.length - refused.length, refused };
  }

  /** A message on a `rider:` channel. */
  deliver(name: string, payload: Uint8Array): void {
    const held = this.riders.get(parseChannel(name).id);
    if (held === undefined) return;
    try {
      const message = decodeBus(payload);
      if (message.kind === 'assignments') this.assignments(held);
      else if (message.kind === 'session') this.replace(held, message.session);
    } catch {
      tally(this.parts.counts.busDrops, 'malformed');
    }
  }

  /** Something may have been missed: read what was assigned. */
  generation(): void {
    for (const held of this.riders.values()) this.assignments(held);
  }

  private hold(id: string): Held {
    const known = this.riders.get(id);
    if (known !== undefined) {
      known.usedAt = this.parts.now();
      return known;
    }
    const rider = new Rider(id, this.parts.rules);
    const held: Held = {
      rider,
      links: new Set(),
      ready: this.learn(rider),
      dirty: false,
      inFlight: 0,
      outdated: false,
      waiting: [],
      usedAt: this.parts.now(),
    };
    this.riders.set(id, held);
    held.ready.catch(() => this.forget(held));
    return held;
  }

  private async learn(rider: Rider): Promise<void> {
    await this.parts.bus.subscribe(channelName('rider', rider.id));
    const [orders, [position], session] = await Promise.all([
      this.parts.activeOrders(rider.id),
      this.parts.store.getPositions([rider.id]),
      this.parts.store.currentSession(rider.id),
    ]);
    rider.orders = orders;
    rider.enter(session);
    if (position !== undefined) rider.learn(position);
  }

  private forget(held: Held): void {
    const { id } = held.rider;
    if (this.riders.get(id) !== held || held.links.size > 0) return;
    this.riders.delete(id);
    this.parts.bus.unsubscribe(channelName('rider', id)).catch(() => {});
  }

  private async number(held: Held, claimed: number | undefined): Promise<number | undefined> {
    const { store, bus } = this.parts;
    const { rider } = held;
    if (claimed !== undefined && claimed > 0) {
      if (claimed < rider.session) return undefined;
      if (claimed === rider.session || claimed === (await store.currentSession(rider.id))) {
        rider.enter(claimed);
        return claimed;
      }
    }
    const session = await store.nextSession(rider.id);
    this.replace(held, session);
    await bus.publish(channelName('rider', rider.id), encodeBus({ kind: 'session', session }));
    return session;
  }

  private replace(held: Held, session: number): void {
    held.rider.enter(session);
    for (const link of [...held.links]) if (link.session < session) link.to.replaced();
  }

  private assignments(held: Held): void {
    const { rider } = held;
    held.outdated = false;
    this.parts.activeOrders(rider.id).then(
      (orders) => {
        rider.orders = orders;
        // Whoever may see the rider from now on should not wait for the next ping.
        this.publish(rider);
      },
      () => {
        held.outdated = true;
      },
    );
  }

  private take(held: Held, link: Link, pings: readonly Ping[]): void {
    const { verdicts, shown, left } = held.rider.take(link.session, pings, this.parts.now());
    for (const [seq, verdict] of verdicts) {
      tally(this.parts.counts.pings, verdict);
      if (verdict === 'rate' && link.refused.length < MAX_REFUSED) link.refused.push([seq, verdict]);
      if (seq > link.seq) link.seq = seq;
    }
    if (link.ackAt === 0) this.ackLater(link);
    if (shown === undefined) {
      if (!held.dirty && held.inFlight === 0) link.stored = link.seq;
      return;
    }
    this.publish(held.rider, left);
    if (held.dirty) this.parts.counts.shed++;
    this.soil(held);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** @param left the zone it is in no more */
  private publish(rider: Rider, left?: string): void {
    const position = rider.newest;
    if (position === undefined) return;
    for (const order of rider.orders) {
      this.batches.order(order.id, position);
      if (this.parts.partnerSees(order)) this.batches.partner(order.partner, rider);
    }
    if (position.zone !== null) this.batches.zone(position.zone, rider);
    if (left !== undefined) this.batches.left(left, rider);
  }

  /** Its newest position is to be stored. */
  private soil(held: Held): void {
    if (!held.dirty) this.dirty.push(held);
    held.dirty = true;
  }

  /** Stores and publishes the newest of every rider that moved; a failed write is tried again on the tick. */
  private flush(): void {
    this.batches.flushNow();
    const batch = this.dirty;
    this.dirty = [];
    const waiting: Held['waiting'] = [];
    const links: Link[] = [];
    const reached: number[] = [];
    for (const held of batch) {
      held.dirty = false;
      held.inFlight++;
      if (held.waiting.length > 0) waiting.push(...held.waiting.splice(0));
      for (const link of held.links) {
        links.push(link);
        reached.push(link.seq);
      }
    }
    this.parts.store.putPositions(batch.map((held) => held.rider.newest!)).then(
      () => {
        for (const held of batch) held.inFlight--;
        links.forEach((link, i) => {
          const settled = !link.held.dirty && link.held.inFlight === 0;
          link.stored = Math.max(link.stored, settled ? link.seq : reached[i]!);
        });
        for (const { done } of waiting) done();
      },
      (error: Error) => {
        this.parts.counts.storeFailures++;
        for (const held of batch) {
          held.inFlight--;
          this.soil(held);
        }
        for (const { failed } of waiting) failed(error);
      },
    );
  }

  private tick(): void {
    this.batches.flushTick();
    if (this.dirty.length > 0 && !this.scheduled) this.flush();
    const now = this.parts.now();
    for (const held of this.riders.values()) {
      if (held.outdated) this.assignments(held);
      if (held.links.size === 0 && !held.dirty && now - held.usedAt > HOLD_MS) this.forget(held);
    }
  }

  private ackLater(link: Link): void {
    link.ackAt = performance.now() + ACK_MS;
    this.toAck.push(link);
  }

  /** Pings whose position is not stored yet stay unacknowledged: the phone may have to send them again. */
  private acknowledge(): void {
    const now = performance.now();
    // A share of all, so that however many there are, each has its turn in time.
    const most = Math.max(ACK_SLICE, this.toAck.length / (ACK_MS / ACK_LOOK_MS / 2));
    let due = 0;
    while (due < this.toAck.length && due < most && this.toAck[due]!.ackAt <= now) due++;
    for (const link of this.toAck.splice(0, due)) {
      link.ackAt = 0;
      if (!link.held.links.has(link)) continue;
      if (link.stored < link.seq) this.ackLater(link);
      if (link.stored === 0) continue;
      link.to.pinged(link.stored, link.refused);
      link.refused = [];
    }
  }
}
