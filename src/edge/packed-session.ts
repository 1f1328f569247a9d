/** What the client of a packed session has: packed positions are told against that. */
import type { Subscription } from '../fanout/subscription.ts';
import { PackedFrames } from '../protocol/packed-frames.ts';

export class PackedSession {
  readonly frames = new PackedFrames();
  private readonly watches: Subscription[] = [];
  /** Some are of one group. What the client has goes by channel, so these stand where the last of them was brought to. */
  private twins = false;

  /** The watch was sent everything. */
  started(watch: Subscription): void {
    if (!this.watches.includes(watch)) this.watches.push(watch);
    this.look();
    this.advanced(watch);
  }

  left(watch: Subscription): void {
    const index = this.watches.indexOf(watch);
    if (index !== -1) this.watches.splice(index, 1);
    this.look();
  }

  /** The watch was sent something. */
  advanced(watch: Subscription): void {
    if (!this.twins) return;
    for (const other of this.watches) if (other.group === watch.group) other.standing = watch.standing;
  }

  /** Whether one of these watches is of the same group. */
  isTwin(watch: Subscription, of: readonly { readonly watch: Subscription }[]): boolean {
    return this.twins && of.some((other) => other.watch.group === watch.group);
  }

  private look(): void {
    this.twins = new Set(this.watches.map((watch) => watch.group)).size < this.watches.length;
  }
}
