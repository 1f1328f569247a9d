/** A watcher of the load: looks at every position it is sent, and says how late it is, and what is missing. */
import type { Codec } from '../../src/protocol/codec.ts';
import type {
  Block,
  Cursor,
  GatewayMessage,
  GatewayMessages,
  PositionTuple,
} from '../../src/protocol/messages.ts';
import { now } from './clock.ts';
import { Link } from './link.ts';
import { dueMs, type Manner, type Plan, periodMs } from './plan.ts';
import type { LaneTally, SocketTally } from './tally.ts';

/** What a watcher that reads slowly reads, bytes a second. */
export const SLOW_BYTES_PER_S = 1000;
const AGAIN_MS = 1000;

export interface Watched {
  readonly channel: string;
  /** Order channels: the one rider. Elsewhere riders are introduced. */
  readonly rider?: number;
  /** Riders that must be seen here in the end; none where riders come and go. */
  readonly expected: readonly number[];
}

export interface WatcherParts {
  readonly plan: Plan;
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  readonly manner: Manner;
  readonly watch: readonly Watched[];
  /** By id. Riders that are not here are somebody else's. */
  readonly riders: ReadonlyMap<string, number>;
  readonly lane: LaneTally;
  readonly sockets: SocketTally;
  /** `now()` at the start of the run. */
  readonly start: () => number;
}

/** The newest position shown of one rider on one channel of this socket; `seq` 0: none yet. */
interface Shown {
  rider: number;
  ref: number;
  session: number;
  seq: number;
  freshness: number;
}

interface Channel {
  readonly watched: Watched;
  readonly shown: Map<number, Shown>;
  /** The rest of a large channel is still coming: no news, so nothing is late. */
  loading: boolean;
}

export class Watcher {
  readonly link: Link;
  /** Watches the gateway refused, and watches it ended. */
  denied = 0;
  ended = 0;
  private readonly parts: WatcherParts;
  /** By the numbers of this socket. */
  private readonly channels = new Map<number, Channel>();
  private readonly cursors = new Map<string, Cursor>();
  private readonly seen = new Set<number>();
  /** Slow readers: `now()` when they will have read what came. */
  private readUntil = 0;
  private pausing = false;

  constructor(parts: WatcherParts) {
    const { url, token, codec, sockets } = parts;
    this.parts = parts;
    this.link = new Link({
      url,
      token,
      codec,
      tally: sockets,
      hello: () => ({ watch: parts.watch.map((_, i) => this.request(i)) }),
      welcomed: () => this.channels.clear(),
      received: (message, bytes, at) => this.receive(message, bytes, at),
    });
  }

  /** Adds the age of everything shown now. */
  look(at: number): void {
    const { plan, lane, start } = this.parts;
    if (!this.link.isOpen) return;
    for (const { shown } of this.channels.values()) {
      for (const { rider, seq } of shown.values())
        if (seq > 0) lane.age.add(at - start() - dueMs(plan, rider, seq));
    }
  }

  /**
   * It is over: counts what was sent and is not shown.
   * @param newest by rider: the last ping sent; 0: none
   * @returns riders it never saw, though it watches them
   */
  judge(newest: ArrayLike<number>): number {
    if (!this.link.isOpen || this.parts.manner !== 'reads') return 0;
    for (const { shown } of this.channels.values()) {
      for (const { rider, seq } of shown.values()) {
        if (seq > 0 && seq < newest[rider]!) this.parts.lane.gap(rider, seq + 1, newest[rider]!);
      }
    }
    const expected = new Set(this.parts.watch.flatMap((watched) => watched.expected));
    return [...expected].filter((rider) => newest[rider]! > 0 && !this.seen.has(rider)).length;
  }

  private request(i: number): { w: number; channel: string; since: Cursor | undefined } {
    const { channel } = this.parts.watch[i]!;
    return { w: i + 1, channel, since: this.cursors.get(channel) };
  }

  private receive(message: GatewayMessage, bytes: number, at: number): void {
    switch (message.t) {
      case 'positions':
        this.positions(message, bytes, at);
        break;
      case 'watching':
        this.watching(message);
        break;
      case 'event': {
        const watched = this.channels.get(message.c)?.watched;
        const cursor = watched && this.cursors.get(watched.channel);
        const { offset, id } = message;
        if (cursor !== undefined) this.cursors.set(watched!.channel, { epoch: cursor.epoch, offset, id });
        break;
      }
      case 'closed':
        this.ended++;
        break;
      case 'error':
        this.refused(message);
    }
    if (this.parts.manner === 'slow') this.readSlowly(bytes, at);
  }

  private positions(message: GatewayMessages['positions'], bytes: number, at: number): void {
    const { lane } = this.parts;
    lane.frames++;
    lane.bytes += bytes;
    for (const block of message.b) {
      const channel = this.channels.get(block[0]);
      if (channel === undefined) continue;
      this.take(channel, block, at, this.excusedSeqs(channel, message.every));
      if (channel.loading) channel.loading = message.more?.includes(block[0]) === true;
    }
  }

  private watching({ w, c, cursor, block, more }: GatewayMessages['watching']): void {
    const watched = this.parts.watch[w - 1]!;
    if (cursor !== undefined) this.cursors.set(watched.channel, cursor);
    const channel: Channel = { watched, shown: new Map(), loading: true };
    this.channels.set(c, channel);
    this.take(channel, block, 0, 0);
    channel.loading = more === true;
    if (this.parts.manner === 'dead') this.link.pause();
  }

  private refused({ of, w, code }: GatewayMessages['error']): void {
    if (of !== 'watch' || w === undefined) return;
    if (code !== 'unavailable') this.denied++;
    else setTimeout(() => this.link.send({ t: 'watch', ...this.request(w - 1) }), AGAIN_MS);
  }

  /**
   * How many pings before a shown one may be missing because it overtook them: on zones and partners those within two
   * ticks (the rider's node has one, the watcher's another), anywhere those within two intervals of an overloaded node.
   */
  private excusedSeqs({ watched }: Channel, every: number | undefined): number {
    const { plan, manner } = this.parts;
    if (manner !== 'reads') return Number.POSITIVE_INFINITY;
    const tick = watched.rider === undefined ? Math.max(plan.tickMs, every ?? 0) : (every ?? 0);
    return Math.floor((2 * tick) / periodMs(plan));
  }

  private take(channel: Channel, block: Block, at: number, excused: number): void {
    const [, full, positions, riders, out] = block;
    const { shown } = channel;
    if (riders !== undefined) this.introduce(channel, riders);
    for (const tuple of positions) {
      const known = shown.get(channel.watched.rider === undefined ? tuple[0] : 0);
      if (known !== undefined) this.see(known, tuple, full === 1, channel.loading, at, excused);
      else if (channel.watched.rider !== undefined) {
        const first = { rider: channel.watched.rider, ref: 0, session: 0, seq: 0, freshness: 0 };
        shown.set(0, first);
        this.see(first, tuple, true, channel.loading, at, excused);
      }
    }
    if (out !== undefined)
      for (const [ref] of out) shown.delete(channel.watched.rider === undefined ? ref : 0);
  }

  private introduce({ shown, watched }: Channel, riders: NonNullable<Block[3]>): void {
    if (watched.rider !== undefined) return;
    for (const [ref, id] of riders) {
      const rider = this.parts.riders.get(id);
      if (rider === undefined) shown.delete(ref);
      else if (shown.get(ref)?.rider !== rider)
        shown.set(ref, { rider, ref, session: 0, seq: 0, freshness: 0 });
    }
  }

  private see(
    known: Shown,
    tuple: PositionTuple,
    full: boolean,
    loading: boolean,
    at: number,
    excused: number,
  ): void {
    const { lane, plan, start } = this.parts;
    const [ref, session, seq, , , , freshness] = tuple;
    const order = ref - known.ref || session - known.session || seq - known.seq;
    if (order === 0) {
      if (!full && freshness === known.freshness) lane.duplicates++;
      known.freshness = freshness;
      return;
    }
    if (order < 0 && known.seq > 0) {
      lane.regressions++;
      return;
    }
    if (known.seq > 0 && seq > known.seq + 1) this.missed(known, seq, excused);
    known.ref = ref;
    known.session = session;
    known.seq = seq;
    known.freshness = freshness;
    lane.shown++;
    this.seen.add(known.rider);
    if (!loading) lane.latency.add(at - start() - dueMs(plan, known.rider, seq));
  }

  private missed({ rider, seq: before }: Shown, seq: number, excused: number): void {
    const { lane } = this.parts;
    const overtaken = Math.min(seq - before - 1, excused);
    lane.overtaken += overtaken;
    const last = seq - 1 - overtaken;
    if (last > before) lane.gap(rider, before + 1, last);
  }

  private readSlowly(bytes: number, at: number): void {
    this.readUntil = Math.max(this.readUntil, at) + (bytes / SLOW_BYTES_PER_S) * 1000;
    if (this.pausing) return;
    this.pausing = true;
    this.link.pause();
    const read = () => {
      const pause = this.readUntil - now();
      if (pause > 0) setTimeout(read, pause);
      else {
        this.pausing = false;
        this.link.resume();
      }
    };
    read();
  }
}
