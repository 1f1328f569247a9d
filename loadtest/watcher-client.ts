/** A customer or an operator that looks at every position it is shown, and judges it. */
import type { Codec } from '../src/protocol/codec.ts';
import type { Block, Cursor, PositionTuple } from '../src/protocol/messages.ts';
import { Connection, type Frame } from './connection.ts';
import type { Lane } from './lane.ts';
import type { RiderClient } from './rider-client.ts';

/** The newest position shown of one rider on one channel. */
interface Shown {
  readonly ref: number;
  readonly session: number;
  readonly seq: number;
  readonly freshness: number;
  /** The rider's ping it was, counted from 0. */
  readonly ordinal: number | undefined;
}

interface Channel {
  /** Order channels: the one rider. Elsewhere refs are introduced. */
  readonly rider: RiderClient | undefined;
  readonly refs: Map<number, RiderClient>;
  readonly shown: Map<RiderClient, Shown>;
}

type Answer = 'beat' | 'watching' | 'closed';

export interface WatcherParts {
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  /** Channels to watch; an order's with its rider. */
  readonly watch: readonly { readonly channel: string; readonly rider?: RiderClient }[];
  /** By id: whose positions count. Others on a zone are somebody else's. */
  readonly riders: ReadonlyMap<string, RiderClient>;
  readonly lane: Lane;
}

export class WatcherClient {
  readonly connection: Connection;
  /** Riders it has seen, ever. */
  readonly seen = new Set<RiderClient>();
  /** Watches the gateway ended, and watches it refused. */
  closed = 0;
  denied = 0;
  private readonly parts: WatcherParts;
  private readonly channels = new Map<number, Channel>();
  private readonly cursors = new Map<string, Cursor>();
  private waiting: { t: Answer; done: () => void } | undefined;
  private watching = 0;

  constructor(parts: WatcherParts) {
    this.parts = parts;
    this.connection = new Connection({
      ...parts,
      // biome-ignore format: one step
      hello: () => ({ watch: parts.watch.map(({ channel }, i) => ({ w: i + 1, channel, since: this.cursors.get(channel) })) }),
      welcomed: () => {
        this.channels.clear();
        this.watching = 0;
      },
      received: (frame) => this.receive(frame),
    });
  }

  /** Resolves when every watch was answered. */
  async start(): Promise<void> {
    const answered = this.awaiting('watching');
    await Promise.all([this.connection.start(), answered]);
    if (this.denied > 0)
      throw new Error(`the gateway refused to let ${this.parts.watch[0]!.channel} be watched`);
  }

  /** A round trip: whatever the gateway sent before has been seen. Resolves at once if the socket is lost. */
  async settle(): Promise<void> {
    const beat = this.awaiting('beat');
    if (this.connection.send({ t: 'beat' })) await beat;
  }

  /** Resolves when the gateway ends a watch, or has ended one. */
  async ended(): Promise<void> {
    if (this.closed === 0) await this.awaiting('closed');
  }

  private awaiting(t: Answer): Promise<void> {
    return new Promise((done) => {
      this.waiting = { t, done };
    });
  }

  private receive({ message, bytes, at }: Frame): void {
    switch (message.t) {
      case 'positions':
        this.parts.lane.frames++;
        this.parts.lane.bytes += bytes;
        for (const block of message.b) this.take(block, at);
        return;
      case 'watching': {
        const { channel, rider } = this.parts.watch[message.w - 1]!;
        if (message.cursor !== undefined) this.cursors.set(channel, message.cursor);
        const known = this.channels.get(message.c);
        this.channels.set(message.c, known ?? { rider, refs: new Map(), shown: new Map() });
        this.take(message.block, at);
        return this.answered('watching');
      }
      case 'closed':
        this.closed++;
        return this.answered('closed');
      case 'error':
        if (message.of !== 'watch') return;
        this.denied++;
        return this.answered('watching');
      case 'beat':
        return this.answered('beat');
    }
  }

  private answered(t: Answer): void {
    if (t === 'watching' && ++this.watching < this.parts.watch.length) return;
    if (this.waiting?.t !== t) return;
    this.waiting.done();
    this.waiting = undefined;
  }

  private take([c, full, positions, riders = []]: Block, at: number): void {
    const channel = this.channels.get(c);
    if (channel === undefined) return;
    for (const [ref, id] of riders) {
      const rider = this.parts.riders.get(id);
      if (rider === undefined) channel.refs.delete(ref);
      else channel.refs.set(ref, rider);
    }
    for (const tuple of positions) {
      const rider = channel.rider ?? channel.refs.get(tuple[0]);
      if (rider !== undefined) this.judge(channel, rider, tuple, full === 1, at);
    }
  }

  /** A full block replaces what is known: it may repeat what was shown, but not go back. */
  private judge(channel: Channel, rider: RiderClient, tuple: PositionTuple, full: boolean, at: number): void {
    const { lane } = this.parts;
    const [ref, session, seq, , , , freshness] = tuple;
    const before = channel.shown.get(rider);
    const ordinal = rider.ordinal(session, seq);
    const order = before === undefined ? 1 : compare(tuple, before, channel.rider !== undefined);
    if (order === 0) {
      if (!full && freshness === before!.freshness) lane.duplicates++;
      channel.shown.set(rider, { ...before!, ref, freshness });
      return;
    }
    const older = ordinal !== undefined && before?.ordinal !== undefined && ordinal < before.ordinal;
    if (order < 0 || older) lane.regressions++;
    else channel.shown.set(rider, { ref, session, seq, freshness, ordinal });
    this.seen.add(rider);
    lane.shown++;
    const sentAt = ordinal === undefined ? undefined : rider.sentTime(ordinal);
    if (sentAt !== undefined) lane.latency(at - sentAt);
  }
}

/** By (ref, session, seq) on an order; elsewhere a ref says nothing of what is newer. */
function compare([ref, session, seq]: PositionTuple, before: Shown, byRef: boolean): number {
  if (byRef && ref !== before.ref) return ref - before.ref;
  return session - before.session || seq - before.seq;
}
