/** One session's way out: control messages and events in order, positions as the newest of what is marked. */
import { advanced, type Standing } from '../fanout/groups.ts';
import type { Subscriber, Subscription } from '../fanout/subscription.ts';
import type { Counts } from '../observe/metrics.ts';
import type { Audience } from '../orders/order.ts';
import type { Codec } from '../protocol/codec.ts';
import type { GatewayMessage } from '../protocol/messages.ts';
import type { CreditWindow } from './credit-window.ts';

/** The socket as the session needs it; ws.ts supplies it. Every call on a closed socket does nothing. */
export interface Socket {
  readonly codec: Codec;
  /** 'buffered': taken, but the client lags. 'dropped': not taken. */
  send(bytes: Uint8Array, binary: boolean): 'sent' | 'buffered' | 'dropped';
  close(code: number, reason: string): void;
  /** Bytes that wait in this process for the client to read. */
  buffered(): number;
}

export interface OutboxParts {
  readonly socket: Socket;
  readonly audience: Audience;
  readonly counts: Counts;
  readonly now: () => number;
  /** For a client that sends credit. */
  readonly window: CreditWindow | undefined;
  /** Something is left for the next tick. */
  readonly later: () => void;
  /** A message that must not be lost could not be sent. */
  readonly behind: () => void;
  readonly forget: (w: number) => void;
  /** A watch starts, or starts again, with the log up to that offset; zones and partners have none. */
  readonly started: (w: number, offset: number | undefined) => void;
}

/** Share of a watch's interval after which its next frame is not too early, if the one before was late. */
const ON_TIME = 0.8;

export class Outbox implements Subscriber {
  readonly codec: Codec;
  readonly audience: Audience;
  /** ms since epoch of the last frame sent: a beat is due some time after it. */
  lastSentAt: number;
  /** Events sent one by one, without those that a `watching` carried. */
  eventsSent = 0;
  private readonly parts: OutboxParts;
  private readonly marked = new Set<Subscription>();
  private full = false;

  constructor(parts: OutboxParts) {
    this.parts = parts;
    this.codec = parts.socket.codec;
    this.audience = parts.audience;
    this.lastSentAt = parts.now();
  }

  /** Whether positions are held back: the socket's buffer is not empty, or the credit is used up. */
  get lagging(): boolean {
    return this.full || this.parts.window?.full === true;
  }

  send(message: GatewayMessage): void {
    if (message.t === 'watching') this.parts.started(message.w, message.cursor?.offset);
    if (!this.write(this.codec.encode(message))) this.parts.behind();
  }

  sendBytes(bytes: Uint8Array): void {
    this.eventsSent++;
    if (!this.write(bytes)) this.parts.behind();
  }

  /** Says that the gateway lives. If it cannot be sent, the client reads nothing and does not wait for it. */
  beat(now: number): void {
    this.write(this.codec.encode({ t: 'beat', now }));
  }

  mark(watch: Subscription): void {
    this.marked.add(watch);
  }

  unmark(watch: Subscription): void {
    this.marked.delete(watch);
  }

  forget(watch: Subscription): void {
    this.unmark(watch);
    this.parts.forget(watch.w);
  }

  flush(at: number, every?: number): boolean {
    if (this.marked.size === 0) return false;
    if (this.lagging) {
      this.parts.counts.laggingFlushes++;
      return false;
    }
    const blocks: Uint8Array[] = [];
    const unfinished: number[] = [];
    const sent: { watch: Subscription; standing: Standing; more: boolean }[] = [];
    for (const watch of this.marked) {
      if (watch.standing.since >= watch.group.clock) {
        this.marked.delete(watch);
        continue;
      }
      const wait = watch.dueAt - at;
      if (wait > 0 && wait <= watch.minIntervalMs) continue; // more: the clock was set back
      const block = watch.group.block(watch.standing, this.codec, at);
      blocks.push(block.bytes);
      if (block.more) unfinished.push(watch.group.number);
      sent.push({ watch, standing: advanced(watch.standing, block, watch.group.clock), more: block.more });
    }
    if (blocks.length > 0 && this.writePositions(this.codec.positionsFrame(at, blocks, unfinished, every))) {
      this.parts.counts.positionFrames++;
      this.parts.counts.positionBlocks += blocks.length;
      for (const { watch, standing, more } of sent) {
        watch.standing = standing;
        // A tick that comes a little late does not put off the one after it.
        watch.dueAt = Math.max(
          Math.min(watch.dueAt, at) + watch.minIntervalMs,
          at + watch.minIntervalMs * ON_TIME,
        );
        if (!more) this.marked.delete(watch);
      }
    }
    return this.marked.size > 0 && !this.lagging;
  }

  /** The client has handled so many position frames. More than were sent count as all. */
  credit(n: number): void {
    this.parts.window?.credit(n);
    this.resume();
  }

  /** The socket's buffer is empty again: what is sent now is the newest. */
  drained(): void {
    this.full = false;
    this.resume();
  }

  /** Nobody marks again what a chunk or a rate left over. */
  private resume(): void {
    if (this.flush(this.parts.now())) this.parts.later();
  }

  private writePositions(frame: Uint8Array): boolean {
    if (!this.write(frame)) return false;
    this.parts.window?.sent(frame.length);
    return true;
  }

  private write(bytes: Uint8Array): boolean {
    const result = this.parts.socket.send(bytes, this.codec.binary);
    if (result !== 'sent') this.full = true;
    if (result === 'dropped') return false;
    this.lastSentAt = this.parts.now();
    return true;
  }
}
