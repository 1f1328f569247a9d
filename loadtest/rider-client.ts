/** A rider that plays a trace: one ping a frame, numbered, and remembered by when it was sent. */
import type { Codec } from '../src/protocol/codec.ts';
import type { Ping, Refusal } from '../src/protocol/messages.ts';
import { Connection, type Frame } from './connection.ts';

/** How many of the last pings are remembered. An older one that is still shown is very late: its time is not known. */
const REMEMBERED = 512;

export class RiderClient {
  readonly id: string;
  sent = 0;
  acknowledged = 0;
  /** Due while the socket was lost. */
  skipped = 0;
  readonly refused = new Map<Refusal, number>();
  readonly connection: Connection;
  private session = 0;
  private lastSeq = 0;
  /** The ping before the first of this rider session, as counted by `sent`. */
  private base = 0;
  private firstSeq = 0;
  private readonly sentAt = new Float64Array(REMEMBERED);
  private settled: (() => void) | undefined;

  constructor(id: string, url: string, token: string, codec: Codec) {
    this.id = id;
    this.connection = new Connection({
      url,
      token,
      codec,
      hello: () => ({ rider: this.session > 0 ? { session: this.session } : {} }),
      welcomed: ({ rider }) => this.enter(rider!.session, rider!.seq),
      received: (frame) => this.receive(frame),
    });
  }

  /** Sends a ping whose fix is of now. */
  ping(fix: Omit<Ping, 'seq' | 'at'>): void {
    const { lat, lng, accuracy, heading, speed } = fix;
    const ping: Ping = { seq: this.lastSeq + 1, at: Date.now(), lat, lng };
    if (accuracy !== undefined) ping.accuracy = accuracy;
    if (heading !== undefined) ping.heading = heading;
    if (speed !== undefined) ping.speed = speed;
    const now = performance.now();
    if (!this.connection.send({ t: 'ping', pings: [ping] })) {
      this.skipped++;
      return;
    }
    this.lastSeq++;
    this.sentAt[this.sent % REMEMBERED] = now;
    this.sent++;
  }

  /** Which of this rider's pings that is, counted from 0; undefined if none of this replay. */
  ordinal(session: number, seq: number): number | undefined {
    if (session !== this.session || seq < this.firstSeq || seq > this.lastSeq) return undefined;
    return this.base + seq - this.firstSeq;
  }

  /** `performance.now()` when ping number `ordinal` went out; undefined if that is long ago. */
  sentTime(ordinal: number): number | undefined {
    return ordinal >= this.sent - REMEMBERED ? this.sentAt[ordinal % REMEMBERED] : undefined;
  }

  /** Resolves when every ping is acknowledged, or refused. */
  allDealtWith(): Promise<void> {
    return new Promise((resolve) => {
      this.settled = resolve;
      this.checkSettled();
    });
  }

  /** Whether a watcher has something to see: a ping that was not refused. */
  get visible(): boolean {
    let refused = 0;
    for (const count of this.refused.values()) refused += count;
    return this.sent > refused;
  }

  private enter(session: number, seq: number): void {
    if (session === this.session) return;
    this.session = session;
    this.lastSeq = seq;
    this.firstSeq = seq + 1;
    this.base = this.sent;
  }

  private receive({ message }: Frame): void {
    if (message.t !== 'pinged') return;
    for (const [, reason] of message.refused ?? [])
      this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
    if (message.seq >= this.firstSeq)
      this.acknowledged = Math.max(this.acknowledged, this.base + message.seq - this.firstSeq + 1);
    this.checkSettled();
  }

  private checkSettled(): void {
    if (this.acknowledged >= this.sent) this.settled?.();
  }
}
