/** One channel as one socket shows it: judges every position, and finds what is missing between them. */
import type { Block, PositionTuple } from '../../src/protocol/messages.ts';
import type { LaneTally } from './tally.ts';

/** What a view has to know of the riders of the run. */
export interface Riders {
  /** By id; riders that are not here are somebody else's. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly periodMs: number;
  /** By number: `now()` when ping number 0 would have been due. */
  from(rider: number): number;
}

export interface ViewParts {
  readonly riders: Riders;
  readonly lane: LaneTally;
  /** Order channels: the one rider. Elsewhere riders are introduced. */
  readonly rider: number | undefined;
  /** ms within which newer positions may overtake older ones; an overloaded node may say more. */
  readonly overtakingMs: number;
}

/** The newest position shown of one rider. */
interface Shown {
  readonly rider: number;
  readonly from: number;
  ref: number;
  session: number;
  /** 0: introduced, not shown yet. */
  seq: number;
  freshness: number;
  /** The last full block it was part of. */
  round: number;
}

export class View {
  private readonly parts: ViewParts;
  /** By ref; the one rider of an order by 0. */
  private readonly shown = new Map<number, Shown>();
  /** No news is expected: this is what was there before us, or the rest of it. */
  private loading = true;
  private round = 0;
  private sweeping = false;
  /** What an overloaded node said last is between its frames, ms; 0: nothing. */
  private every = 0;

  constructor(parts: ViewParts) {
    this.parts = parts;
  }

  /** Where everyone was when the watch began, or began anew. @param more whether the rest of it follows */
  begin(block: Block, more: boolean): void {
    this.loading = true;
    this.take(block, 0, more, undefined);
  }

  /**
   * @param at `now()` when the frame came
   * @param more whether more of this channel follows
   * @param every what an overloaded node said is between its frames, ms
   */
  take([, full, positions, riders, out]: Block, at: number, more: boolean, every: number | undefined): void {
    if (full === 1) {
      this.round++;
      this.sweeping = true;
    }
    if (riders !== undefined && this.parts.rider === undefined) this.introduce(riders);
    // The first frame of a node that has recovered brings what waited until then.
    const excused = this.excused(Math.max(every ?? 0, this.every));
    this.every = every ?? 0;
    for (const tuple of positions) {
      const known = this.known(tuple);
      if (known !== undefined) this.see(known, tuple, full === 1, at, excused);
    }
    if (out !== undefined) for (const [ref] of out) this.shown.delete(this.key(ref));
    if (more) return;
    this.loading = false;
    if (this.sweeping) this.sweep();
  }

  /** The ages of all that is shown, ms; returns how many. */
  look(at: number): number {
    const { lane, riders } = this.parts;
    for (const { from, seq } of this.shown.values())
      if (seq > 0) lane.age.add(at - from - seq * riders.periodMs);
    return this.shown.size;
  }

  /** It is over: what was sent last should be shown. @param newest by rider: the last ping sent */
  judge(newest: ArrayLike<number>): void {
    for (const { rider, seq } of this.shown.values()) {
      if (seq > 0 && seq < newest[rider]!) this.parts.lane.gap(rider, seq + 1, newest[rider]!);
    }
  }

  private key(ref: number): number {
    return this.parts.rider === undefined ? ref : 0;
  }

  private known([ref]: PositionTuple): Shown | undefined {
    const known = this.shown.get(this.key(ref));
    const { rider } = this.parts;
    return known === undefined && rider !== undefined ? this.add(0, rider, ref) : known;
  }

  private introduce(introduced: NonNullable<Block[3]>): void {
    for (const [ref, id] of introduced) {
      const rider = this.parts.riders.numbers.get(id);
      if (rider === undefined) this.shown.delete(ref);
      else if (this.shown.get(ref)?.rider !== rider) this.add(ref, rider, ref);
    }
  }

  private add(key: number, rider: number, ref: number): Shown {
    const from = this.parts.riders.from(rider);
    const shown = { rider, from, ref, session: 0, seq: 0, freshness: 0, round: this.round };
    this.shown.set(key, shown);
    return shown;
  }

  /** How many pings before a shown one may be missing because it overtook them. */
  private excused(every: number): number {
    if (this.loading) return Number.POSITIVE_INFINITY;
    const { overtakingMs, riders } = this.parts;
    return Math.floor(Math.max(overtakingMs, 2 * every) / riders.periodMs);
  }

  private see(known: Shown, tuple: PositionTuple, full: boolean, at: number, excused: number): void {
    const { lane, riders } = this.parts;
    const ref = tuple[0];
    const session = tuple[1];
    const seq = tuple[2];
    const freshness = tuple[6];
    known.round = this.round;
    const order = ref - known.ref || session - known.session || seq - known.seq;
    if (order === 0) {
      if (!full && freshness === known.freshness) lane.duplicates++;
      known.freshness = freshness;
      return;
    }
    if (order < 0) {
      lane.regressions++;
      return;
    }
    if (known.seq > 0 && seq > known.seq + 1) this.missed(known, seq, excused);
    known.ref = ref;
    known.session = session;
    known.seq = seq;
    known.freshness = freshness;
    lane.shown++;
    if (!this.loading) lane.latency.add(at - known.from - seq * riders.periodMs);
  }

  private missed({ rider, seq: before }: Shown, seq: number, excused: number): void {
    const { lane } = this.parts;
    const overtaken = Math.min(seq - before - 1, excused);
    lane.overtaken += overtaken;
    const last = seq - 1 - overtaken;
    if (last > before) lane.gap(rider, before + 1, last);
  }

  /** A full block is whole: whoever was in none of its parts is gone. */
  private sweep(): void {
    this.sweeping = false;
    for (const [key, { round }] of this.shown) if (round < this.round) this.shown.delete(key);
  }

  /** Riders shown here at some time. */
  *riders(): Generator<number> {
    for (const { rider, seq } of this.shown.values()) if (seq > 0) yield rider;
  }
}
