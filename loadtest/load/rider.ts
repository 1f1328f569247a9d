/** A rider of the load: its pings are numbered by when they are due, and go out then, or together when there is a socket again. */
import type { Codec } from '../../src/protocol/codec.ts';
import type { GatewayMessage, Ping } from '../../src/protocol/messages.ts';
import { now } from './clock.ts';
import { Link } from './link.ts';
import type { Motion } from './motion.ts';
import { dueMs, type Plan } from './plan.ts';
import type { RiderTally, SocketTally } from './tally.ts';

/** A phone keeps so many pings that it could not send. */
const KEPT = 500;
/** Metres: a ping nearer to the one before it may count as one of a rider that has not moved. */
const STILL_M = 2;
const METRES_PER_DEGREE = 111_195;

export interface RiderParts {
  readonly plan: Plan;
  readonly index: number;
  readonly url: string;
  readonly token: string;
  readonly codec: Codec;
  readonly motion: Motion;
  readonly sockets: SocketTally;
  readonly tally: RiderTally;
  /** Wall clock at the start, ms since epoch, and `now()` then. */
  readonly epoch: () => { readonly wall: number; readonly start: number };
}

export class Rider {
  readonly link: Link;
  private readonly parts: RiderParts;
  /** The last ping that was due; 0: none yet. */
  private last = 0;
  /** The last that was ever sent, and that was acknowledged; before its first, both are the one before. */
  private sent = 0;
  private acknowledged = 0;
  private session = 0;
  private perFrame = 1;

  constructor(parts: RiderParts) {
    const { url, token, codec, sockets } = parts;
    this.parts = parts;
    this.link = new Link({
      url,
      token,
      codec,
      tally: sockets,
      hello: () => ({ rider: this.session > 0 ? { session: this.session } : {} }),
      welcomed: ({ rider, limits }) => {
        this.session = rider!.session;
        this.perFrame = Math.min(KEPT, limits.pingsPerFrame);
        this.acknowledge(rider!.seq);
        this.catchUp();
      },
      received: (message) => this.receive(message),
    });
  }

  /** Ping number `seq` is due. They come in order. */
  ping(seq: number): void {
    const { index, plan, tally, epoch } = this.parts;
    if (this.last === 0) this.sent = this.acknowledged = seq - 1;
    this.last = seq;
    if (!this.link.isOpen) return;
    this.send(seq, seq);
    tally.late.add(now() - epoch().start - dueMs(plan, index, seq));
    if (!plan.showsStill && this.stands(seq)) tally.excuse(index, seq, seq);
  }

  /** Whether every ping that was due is acknowledged. */
  get settled(): boolean {
    return this.acknowledged >= this.last;
  }

  /** Pings that were due and wait for a socket. */
  get unsent(): number {
    return this.last === 0 ? 0 : this.last - Math.max(this.sent, this.acknowledged);
  }

  /** The last ping that was sent; 0: none. */
  get newest(): number {
    return this.sent;
  }

  /** The network is back: what is not acknowledged goes out again, then what could not go out before. */
  private catchUp(): void {
    const { index, tally } = this.parts;
    const from = Math.max(this.acknowledged + 1, this.last - KEPT + 1);
    if (this.last === 0 || from > this.last) return;
    const skipped = from - 1 - Math.max(this.sent, this.acknowledged);
    if (skipped > 0) tally.givenUp += skipped;
    if (from > this.acknowledged + 1) {
      tally.excuse(index, this.acknowledged + 1, from - 1);
      this.acknowledged = from - 1; // passed over, but not counted
    }
    tally.excuse(index, from, this.last); // the newest of them too: it is late, and the next may overtake it
    for (let first = from; first <= this.last; first += this.perFrame)
      this.send(first, Math.min(this.last, first + this.perFrame - 1));
  }

  private send(from: number, to: number): void {
    const { tally } = this.parts;
    const pings: Ping[] = [];
    for (let seq = from; seq <= to; seq++) pings.push(this.fix(seq));
    if (!this.link.send({ t: 'ping', pings })) return;
    const fresh = to - Math.max(this.sent, from - 1);
    tally.sent += fresh;
    tally.resent += to - from + 1 - fresh;
    this.sent = Math.max(this.sent, to);
  }

  private fix(seq: number): Ping {
    const { plan, index, motion, epoch } = this.parts;
    const due = dueMs(plan, index, seq);
    const { lat, lng, heading, speed, accuracy } = motion(index, due);
    const ping: Ping = { seq, at: Math.floor(epoch().wall + due), lat, lng };
    if (heading !== undefined) ping.heading = heading;
    if (speed !== undefined) ping.speed = speed;
    if (accuracy !== undefined) ping.accuracy = accuracy;
    return ping;
  }

  private stands(seq: number): boolean {
    const { plan, index, motion } = this.parts;
    const [a, b] = [motion(index, dueMs(plan, index, seq - 1)), motion(index, dueMs(plan, index, seq))];
    const east = (b.lng - a.lng) * Math.cos((a.lat * Math.PI) / 180);
    return Math.hypot(b.lat - a.lat, east) * METRES_PER_DEGREE < STILL_M;
  }

  private receive(message: GatewayMessage): void {
    if (message.t !== 'pinged') return;
    const { tally, index } = this.parts;
    for (const [seq, reason] of message.refused ?? []) {
      tally.refused(reason);
      tally.excuse(index, seq, seq);
    }
    this.acknowledge(message.seq);
  }

  private acknowledge(seq: number): void {
    const reached = Math.min(seq, this.sent);
    if (reached <= this.acknowledged) return;
    this.parts.tally.acknowledged += reached - this.acknowledged;
    this.acknowledged = reached;
  }
}
