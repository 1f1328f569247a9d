/**
 * Ping frames an overloaded node has taken and not read: the newest of each session. A queue of them would only make
 * every position older; what is overwritten here is acknowledged with the one that is read.
 */
export class Backlog<Sender> {
  private frames = new Map<Sender, Uint8Array>();
  private readonly read: (sender: Sender, frame: Uint8Array) => void;
  private readonly dropped: () => void;

  /**
   * @param read reads a frame when its moment has come
   * @param dropped hears of each frame that was overwritten
   */
  constructor(read: (sender: Sender, frame: Uint8Array) => void, dropped: () => void) {
    this.read = read;
    this.dropped = dropped;
  }

  /** Keeps the frame for `waitMs` at most, or until a newer one of its sender comes. */
  keep(sender: Sender, frame: Uint8Array, waitMs: number): void {
    if (this.frames.size === 0) setTimeout(() => this.flush(), waitMs);
    if (this.frames.has(sender)) this.dropped();
    this.frames.set(sender, frame);
  }

  private flush(): void {
    const { frames } = this;
    this.frames = new Map();
    for (const [sender, frame] of frames) this.read(sender, frame);
  }
}

const JSON_PING = Buffer.from('{"t":"ping"');
/** A map of two whose first key is `t`, with the value `ping`. */
const PACKED_PING = Buffer.from('82a174a470696e67', 'hex');

/** Whether the frame is a ping, as far as its first bytes tell: one that says so later is read at once. */
export function isPing(frame: Uint8Array, binary: boolean): boolean {
  const head = binary ? PACKED_PING : JSON_PING;
  return frame.length > head.length && head.compare(frame, 0, head.length) === 0;
}
