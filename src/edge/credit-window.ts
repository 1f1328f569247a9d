/**
 * Position frames on their way to one client, bounded by count and by bytes. Kernel buffers hold megabytes before they
 * push back; a client that says what it has handled is never that far behind.
 */
export class CreditWindow {
  private readonly frames: number;
  private readonly bytes: number;
  /** Bytes of the frames not credited, oldest first. */
  private readonly sizes: number[] = [];
  private inFlight = 0;
  private credited = 0;

  /** @param bytes may be overshot by one frame: it is sent if the window was not full before */
  constructor(frames: number, bytes: number) {
    this.frames = frames;
    this.bytes = bytes;
  }

  get full(): boolean {
    return this.sizes.length >= this.frames || this.inFlight >= this.bytes;
  }

  sent(bytes: number): void {
    this.sizes.push(bytes);
    this.inFlight += bytes;
  }

  /** The client has handled so many frames in all. More than were sent count as all. */
  credit(total: number): void {
    while (this.credited < total && this.sizes.length > 0) {
      this.inFlight -= this.sizes.shift()!;
      this.credited++;
    }
  }
}
