/** One session's way out: control messages and events in order, positions as the newest of what is marked. */
import { advanced, type BlockBytes, type Standing } from '../fanout/groups.ts';
import type { Round } from '../fanout/round.ts';
import type { Subscriber, Subscription } from '../fanout/subscription.ts';
import type { Counts } from '../observe/metrics.ts';
import type { Audience } from '../orders/order.ts';
import type { Codec } from '../protocol/codec.ts';
import type { GatewayMessage } from '../protocol/messages.ts';
import type { CreditWindow } from './credit-window.ts';
import { PackedSession } from './packed-session.ts';

/** The socket as the session needs it; ws.ts supplies it. Every call on a closed socket does nothing. */
export interface Socket {
  readonly codec: Codec;
  /** 'buffered': taken, but the client lags. 'dropped': not taken. */
  send(bytes: Uint8Array, binary: boolean): 'sent' | 'buffered' | 'dropped';
  close(code: number, reason: string): void;
  /** Bytes that wait in this process for the client to read. */
  buffered(): number;
}

/** The session, as its outbox needs it. */
export interface Host {
  /** It may send again, and something is left that nobody will mark: a flush is wanted, with all who want one now. */
  later(): void;
  /** A frame went out that the client may answer with a frame of its own. */
  answerable(): void;
  /** A message that must not be lost could not be sent. */
  behind(): void;
  /** A watch is over. */
  forget(w: number): void;
  /** A watch starts, or starts again, with the log up to that offset; zones and partners have none. */
  started(w: number, offset: number | undefined): void;
}

export interface OutboxParts {
  readonly host: Host;
  readonly socket: Socket;
  /** The socket's, or its packed form. */
  readonly codec: Codec;
  readonly audience: Audience;
  /** For a client that sends credit. */
  readonly window: CreditWindow | undefined;
  /** Of the node, the same for all its sessions. */
  readonly node: { readonly counts: Counts; readonly now: () => number };
}

/** A block that is sent now, and where it brings its watch. */
interface Sending {
  readonly watch: Subscription;
  readonly block: BlockBytes;
  readonly standing: Standing;
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
  private readonly host: Host;
  private readonly socket: Socket;
  private readonly node: OutboxParts['node'];
  private readonly window: CreditWindow | undefined;
  /** The watches that are `marked`. */
  private readonly marked: Subscription[] = [];
  /** Of a session with packed positions. */
  private readonly packed: PackedSession | undefined;
  private full = false;

  constructor({ host, socket, codec, audience, window, node }: OutboxParts) {
    this.host = host;
    this.socket = socket;
    this.codec = codec;
    this.audience = audience;
    this.window = window;
    this.node = node;
    this.packed = codec.packed ? new PackedSession() : undefined;
    this.lastSentAt = node.now();
  }

  /** Whether positions are held back: the socket's buffer is not empty, or the credit is used up. */
  get lagging(): boolean {
    return this.full || this.window?.full === true;
  }

  send(message: GatewayMessage): void {
    if (message.t === 'watching') this.host.started(message.w, message.cursor?.offset);
    if (!this.write(this.codec.encode(message))) this.host.behind();
    else if (message.t === 'watching') this.packed?.frames.sent(message.at, message.c);
  }

  started(watch: Subscription): void {
    this.packed?.started(watch);
  }

  sendBytes(bytes: Uint8Array): void {
    this.eventsSent++;
    if (!this.write(bytes)) this.host.behind();
  }

  /** Says that the gateway lives. If it cannot be sent, the client reads nothing and does not wait for it. */
  beat(now: number): void {
    this.write(this.codec.encode({ t: 'beat', now }));
  }

  mark(watch: Subscription): void {
    if (watch.marked) return;
    watch.marked = true;
    this.marked.push(watch);
  }

  unmark(watch: Subscription): void {
    if (watch.marked) {
      watch.marked = false;
      this.sweep();
    }
    this.packed?.left(watch);
  }

  forget(watch: Subscription): void {
    this.unmark(watch);
    this.host.forget(watch.w);
  }

  flush(round: Round): boolean {
    if (this.marked.length === 0) return false;
    if (this.lagging) {
      this.node.counts.laggingFlushes++;
      return false;
    }
    const { at } = round;
    const sending = this.due(round);
    if (sending.length > 0 && this.writePositions(round, sending)) {
      this.node.counts.positionFrames++;
      this.node.counts.positionBlocks += sending.length;
      for (const { watch, block, standing } of sending) {
        watch.standing = standing;
        this.packed?.advanced(watch);
        // A tick that comes a little late does not put off the one after it.
        watch.dueAt = Math.max(
          Math.min(watch.dueAt, at) + watch.minIntervalMs,
          at + watch.minIntervalMs * ON_TIME,
        );
        watch.marked = block.more;
      }
    }
    this.sweep();
    return this.marked.length > 0 && !this.lagging;
  }

  /** Takes out those that are marked no more. By pop: the list is emptied and filled again with every frame. */
  private sweep(): void {
    const { marked } = this;
    let kept = 0;
    for (const watch of marked) if (watch.marked) marked[kept++] = watch;
    while (marked.length > kept) marked.pop();
  }

  /** The blocks of what is marked and may go now. */
  private due(round: Round): Sending[] {
    const sending: Sending[] = [];
    for (const watch of this.marked) {
      if (watch.standing.since >= watch.group.clock) {
        watch.marked = false;
        continue;
      }
      const wait = watch.dueAt - round.at;
      if (wait > 0 && wait <= watch.minIntervalMs) continue; // more: the clock was set back
      if (this.packed?.isTwin(watch, sending)) continue; // has what the other is sent
      const block = round.block(watch.group, watch.standing, this.codec);
      sending.push({ watch, block, standing: advanced(watch.standing, block, block.clock) });
    }
    return sending;
  }

  /** The client has handled so many position frames. More than were sent count as all. */
  credit(n: number): void {
    this.window?.credit(n);
    this.resume();
  }

  /** The socket's buffer is empty again: what is sent now is the newest. */
  drained(): void {
    this.full = false;
    this.resume();
  }

  /** Nobody marks again what a chunk or a rate left over. */
  private resume(): void {
    if (this.marked.length > 0) this.host.later();
  }

  private writePositions(round: Round, sending: readonly Sending[]): boolean {
    const frame = this.frame(round, sending);
    if (!this.write(frame)) return false;
    this.packed?.frames.sent(round.at, sending.at(-1)!.watch.group.number);
    if (this.window !== undefined) {
      this.window.sent(frame.length);
      this.host.answerable();
    }
    return true;
  }

  private frame({ at, every }: Round, sending: readonly Sending[]): Uint8Array {
    const more = sending.filter(({ block }) => block.more).map(({ watch }) => watch.group.number);
    if (this.packed === undefined) {
      const [{ block }] = sending as [Sending];
      // Most sessions have one watch, and stand where many others do: they share the frame, too.
      if (sending.length === 1) {
        block.alone ??= this.codec.positionsFrame(at, [block.bytes], more, every);
        return block.alone;
      }
      const blocks = sending.map(({ block }) => block.bytes);
      return this.codec.positionsFrame(at, blocks, more, every);
    }
    const blocks = sending.map(({ watch, block }) => ({ ...block, channel: watch.group.number }));
    return this.packed.frames.frame(at, blocks, more, every);
  }

  private write(bytes: Uint8Array): boolean {
    const result = this.socket.send(bytes, this.codec.binary);
    if (result !== 'sent') this.full = true;
    if (result === 'dropped') return false;
    this.lastSentAt = this.node.now();
    return true;
  }
}
