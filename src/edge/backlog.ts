import { arePackedPings } from '../protocol/packed-pings.ts';

/** Frames read in one turn: some milliseconds. */
const SLICE = 128;

/**
 * Ping frames an overloaded node has taken and not read: the newest of each session. A queue of them would only make
 * every position older; what is overwritten here is acknowledged with the one that is read. Each session's moment is its
 * own, so that what is read is spread as evenly as it came.
 */
export class Backlog<Sender> {
  /** In the order in which they are due, `performance.now()`. */
  private readonly frames = new Map<Sender, { read: () => void; readonly due: number }>();
  private readonly dropped: () => void;
  private waiting = false;

  /** @param dropped hears of each frame that was overwritten */
  constructor(dropped: () => void) {
    this.dropped = dropped;
  }

  /** Keeps a frame for about `waitMs`, then calls `read`; a newer one of its sender takes its place. */
  keep(sender: Sender, read: () => void, waitMs: number): void {
    const held = this.frames.get(sender);
    if (held !== undefined) {
      this.dropped();
      held.read = read;
      return;
    }
    this.frames.set(sender, { read, due: performance.now() + waitMs });
    if (!this.waiting) this.wait(waitMs);
  }

  private wait(ms: number): void {
    this.waiting = true;
    setTimeout(() => this.flush(), ms);
  }

  /** Reads what is due, so many in one turn of the event loop: sockets have their turn in between. */
  private flush(): void {
    const now = performance.now();
    let left = SLICE;
    this.waiting = false;
    for (const [sender, { read, due }] of this.frames) {
      if (due > now || left-- === 0) return this.wait(Math.max(1, due - now));
      this.frames.delete(sender);
      read();
    }
  }
}

const JSON_PING = Buffer.from('{"t":"ping"');
/** A map of two whose first key is `t`, with the value `ping`. */
const MSGPACK_PING = Buffer.from('82a174a470696e67', 'hex');

/** Whether the frame is a ping, as far as its first bytes tell: one that says so later is read at once. */
export function isPing(frame: Uint8Array, binary: boolean): boolean {
  if (binary && arePackedPings(frame)) return true;
  const head = binary ? MSGPACK_PING : JSON_PING;
  return frame.length > head.length && head.compare(frame, 0, head.length) === 0;
}
