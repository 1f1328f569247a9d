/** One round of frames: all of them are of the same moment, however long it takes to send them. */
import type { Codec } from '../protocol/codec.ts';
import type { BlockBytes, Group, Standing } from './groups.ts';

/** A block, and for whom it is right. */
interface Made {
  readonly since: number;
  readonly filling: boolean;
  readonly full: boolean;
  readonly departures: number;
  readonly codec: Codec;
  readonly block: BlockBytes;
}

/**
 * Blocks are encoded once for all who stand alike, and forgotten with the round: what is kept until the next change
 * outlives the young generation, and is garbage of the expensive kind. What changes while a round is being sent is for the
 * next one: all who stood alike still do afterwards, and share that, too. Only who leaves is shown to nobody any more.
 */
export class Round {
  /** ms since epoch. */
  readonly at: number;
  /** ms between such rounds, where that is longer than it should be: told to the clients. */
  readonly every: number | undefined;
  private readonly made = new Map<Group, Made[]>();

  constructor(at: number, every?: number) {
    this.at = at;
    this.every = every;
  }

  /** The block for a watcher of the group who stands there; made if it is the first. */
  block(group: Group, from: Standing, codec: Codec): BlockBytes {
    const known = this.made.get(group);
    const { departures } = group;
    const { since, filling } = from;
    const full = group.needsFull(from);
    for (const one of known ?? []) {
      const alike = one.since === since && one.filling === filling && one.full === full;
      if (alike && one.codec === codec && one.departures === departures) return one.block;
    }
    const block = group.block(from, codec, this.at);
    const one = { since, filling, full, departures, codec, block };
    if (known === undefined) this.made.set(group, [one]);
    else known.push(one);
    return block;
  }
}
