/** How a channel comes to be in line with the store without a hole: join live, keep what comes, read, merge. */
import type { BusMessage } from '../protocol/bus-messages.ts';

/** Messages kept during one read. With more it begins anew: the next read has what they said. */
const MAX_KEPT = 256;

/** Brings a channel in line with what was read; synchronous. */
export type Adopt = () => void;

/**
 * One channel's way to be in line. The bus must have acknowledged the channel before `read`; from then on a message
 * is either in what is read, or kept and applied after it, or both: applying must know duplicates.
 */
export class Resume {
  /** Not undefined: the channel was not read yet, or is being read. */
  private kept: BusMessage[] | undefined = [];
  private fence = 0;

  /** Takes a message while it may not be applied. False: it may. */
  keep(message: BusMessage): boolean {
    if (this.kept === undefined) return false;
    if (this.kept.length >= MAX_KEPT) this.restart();
    this.kept.push(message);
    return true;
  }

  /** From here on messages are kept: a read is to come. */
  hold(): void {
    this.kept ??= [];
  }

  /**
   * The fence: a new generation of the bus. What was kept came over the link before, perhaps from a master that is
   * none any more, and a read under way may have seen the time before what was missed: both are thrown away.
   */
  restart(): void {
    this.fence += 1;
    if (this.kept !== undefined) this.kept = [];
  }

  /** Reads, adopts, applies what was kept. Rejects as `read` does, still keeping: it must be called again. */
  async read(read: () => Promise<Adopt>, apply: (message: BusMessage) => void): Promise<void> {
    this.hold();
    let adopt: Adopt;
    let fence: number;
    do {
      fence = this.fence;
      adopt = await read();
    } while (fence !== this.fence);
    adopt();
    const kept = this.kept!;
    this.kept = undefined;
    for (const message of kept) if (!this.keep(message)) apply(message);
  }
}
