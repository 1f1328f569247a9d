/** A watcher of the load: one socket and what it watches. */
import type { Codec } from '../../src/protocol/codec.ts';
import type { Cursor, GatewayMessage, GatewayMessages } from '../../src/protocol/messages.ts';
import { now } from './clock.ts';
import { Link } from './link.ts';
import type { Manner } from './plan.ts';
import type { LaneTally, SocketTally } from './tally.ts';
import { type Riders, View } from './view.ts';

/** What a watcher that reads slowly reads, bytes a second. */
export const SLOW_BYTES_PER_S = 1000;
const AGAIN_MS = 1000;

export interface Watched {
  readonly channel: string;
  /** Order channels: the one rider. */
  readonly rider?: number;
  /** Riders that must be seen here in the end; none where riders come and go. */
  readonly expected: readonly number[];
}

export interface WatcherParts {
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  readonly manner: Manner;
  readonly watch: readonly Watched[];
  readonly riders: Riders;
  readonly lane: LaneTally;
  readonly sockets: SocketTally;
  /** ms within which newer positions may overtake older ones. */
  readonly overtakingMs: number;
}

export class Watcher {
  readonly link: Link;
  /** Watches the gateway refused, and watches it ended. */
  denied = 0;
  ended = 0;
  private readonly parts: WatcherParts;
  /** By the numbers of this socket. */
  private readonly views = new Map<number, View>();
  private readonly cursors = new Map<string, Cursor>();
  /** Channels by the numbers of this socket. */
  private readonly names = new Map<number, string>();
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
      welcomed: () => {
        this.views.clear();
        this.names.clear();
      },
      received: (message, bytes, at) => this.receive(message, bytes, at),
    });
  }

  /** Adds the ages of everything shown at the moment; returns how many. */
  look(at: number): number {
    let looked = 0;
    if (this.link.isOpen && this.parts.manner !== 'dead')
      for (const view of this.views.values()) looked += view.look(at);
    return looked;
  }

  /**
   * It is over: counts what was sent and is not shown.
   * @param newest by rider: the last ping sent; 0: none
   * @returns how many riders it does not show, though it watches them
   */
  judge(newest: ArrayLike<number>): number {
    if (!this.link.isOpen || this.parts.manner !== 'reads') return 0;
    const seen = new Set<number>();
    for (const view of this.views.values()) {
      view.judge(newest);
      for (const rider of view.riders()) seen.add(rider);
    }
    const expected = this.parts.watch.flatMap((watched) => watched.expected);
    return expected.filter((rider) => newest[rider]! > 0 && !seen.has(rider)).length;
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
      case 'event':
        this.event(message);
        break;
      case 'closed':
        this.ended++;
        break;
      case 'error':
        this.refused(message);
    }
    if (this.parts.manner === 'slow') this.readSlowly(bytes, at);
  }

  private positions({ b, more, every }: GatewayMessages['positions'], bytes: number, at: number): void {
    const { lane } = this.parts;
    lane.frames++;
    lane.bytes += bytes;
    for (const block of b)
      this.views.get(block[0])?.take(block, at, more?.includes(block[0]) === true, every);
  }

  private watching({ w, c, cursor, block, more }: GatewayMessages['watching']): void {
    const { riders, lane, overtakingMs, watch, manner } = this.parts;
    const { channel, rider } = watch[w - 1]!;
    if (cursor !== undefined) this.cursors.set(channel, cursor);
    const view = this.views.get(c) ?? new View({ riders, lane, rider, overtakingMs });
    this.views.set(c, view);
    this.names.set(c, channel);
    view.begin(block, more === true);
    if (manner === 'dead') this.link.pause();
  }

  private event({ c, offset, id }: GatewayMessages['event']): void {
    const channel = this.names.get(c);
    const cursor = channel === undefined ? undefined : this.cursors.get(channel);
    if (cursor !== undefined) this.cursors.set(channel!, { epoch: cursor.epoch, offset, id });
  }

  private refused({ of, w, code }: GatewayMessages['error']): void {
    if (of !== 'watch' || w === undefined) return;
    if (code !== 'unavailable') this.denied++;
    else setTimeout(() => this.link.send({ t: 'watch', ...this.request(w - 1) }), AGAIN_MS);
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
