/** A zone of the reference gateway: riders come, go and move; a large zone is told in parts. */
import type { ClientMessage, PositionTuple } from '../../src/wire.ts';
import { type Behaviour, numberOf, positionsOf, type Reference, type Way } from './reference.ts';
import { gatewayNow } from './virtual.ts';

const CHANNEL = 'zone:7';
/** Riders in one frame. */
const PART = 2;

interface Rider {
  session: number;
  seq: number;
}

/** Pings between two moves: some of them are late. */
const PINGS = 5;

/** What one watch was told. */
interface Told {
  readonly w: number;
  /** Numbers of the riders it was introduced to. */
  readonly refs: Map<string, number>;
  /** Riders whose news it does not have. */
  readonly news: Set<string>;
  /** The last frame was cut. */
  cut: boolean;
}

export class Zone implements Behaviour {
  readonly riders = new Map<string, Rider>();
  private readonly told = new Map<Way, Told>();
  /** Of riders that left: they come back with higher numbers. */
  private readonly gone = new Map<string, Rider>();
  private refs = 0;
  /** Riders that left, or whom nobody asked for any more, since a watcher was last told so. */
  readonly left = new Set<string>();

  constructor(gateway: Reference) {
    gateway.behaviour = this;
    for (const name of ['r0', 'r1', 'r2', 'r3']) this.come(name);
  }

  /** A rider moves, or comes. */
  come(name: string, anew = false): void {
    const { session, seq } = this.riders.get(name) ?? this.gone.get(name) ?? { session: 1, seq: 0 };
    this.riders.set(name, anew ? { session: session + 1, seq: 1 } : { session, seq: seq + PINGS });
    this.gone.delete(name);
    for (const { news } of this.told.values()) news.add(name);
  }

  leave(name: string): void {
    const rider = this.riders.get(name);
    if (!rider) return;
    this.riders.delete(name);
    this.left.add(name);
    this.gone.set(name, rider);
    this.each(({ news, refs, cut }, way, c) => {
      news.delete(name);
      const ref = refs.get(name);
      refs.delete(name);
      if (ref) way.down.push(positionsOf([c, 0, [], [], [[ref, 'left']]], cut ? [c] : []));
    });
  }

  /** The next part of what is new, for everybody. */
  tick(): void {
    this.each((told, way, c) => {
      if (!told.news.size && !told.cut) return;
      const { tuples, named } = this.part(told);
      way.down.push(positionsOf([c, 0, tuples, named], told.cut ? [c] : []));
    });
  }

  /** A position that is older than the newest, of a rider who may only just be back. */
  late(name: string, by: number): void {
    const rider = this.riders.get(name);
    this.each(({ refs, cut, news }, way, c) => {
      if (!rider) return;
      const named: [number, string, string[]][] = refs.has(name) ? [] : [[++this.refs, name, []]];
      for (const [ref] of named) refs.set(name, ref);
      const tuple = tupleOf(refs.get(name)!, { ...rider, seq: Math.max(1, rider.seq - by) });
      way.down.push(positionsOf([c, 0, [tuple], named], cut ? [c] : []));
      news.add(name);
    });
  }

  /** Everything anew, on the same link. */
  refresh(): void {
    for (const [way, { w }] of this.told) this.begin(way, w);
  }

  take(way: Way, m: ClientMessage): void {
    if (m.t === 'unwatch') this.told.delete(way);
    if (m.t === 'watch') this.begin(way, m.w);
  }

  private begin(way: Way, w: number): void {
    const told: Told = { w, refs: new Map(), news: new Set(this.riders.keys()), cut: true };
    this.told.set(way, told);
    way.watches.set(w, CHANNEL);
    const c = numberOf(CHANNEL);
    const { tuples, named } = this.part(told);
    const more = told.cut ? { more: true } : {};
    way.down.push({
      t: 'watching',
      w,
      channel: CHANNEL,
      c,
      at: gatewayNow(),
      block: [c, 1, tuples, named],
      ...more,
    });
  }

  private part(told: Told): { tuples: PositionTuple[]; named: [number, string, string[]][] } {
    const tuples: PositionTuple[] = [];
    const named: [number, string, string[]][] = [];
    const { news, refs } = told;
    for (const name of [...news].slice(0, PART)) {
      news.delete(name);
      if (!refs.has(name)) {
        refs.set(name, ++this.refs);
        named.push([this.refs, name, []]);
      }
      tuples.push(tupleOf(refs.get(name)!, this.riders.get(name)!));
    }
    told.cut = news.size > 0;
    return { tuples, named };
  }

  private each(run: (told: Told, way: Way, c: number) => void): void {
    for (const [way, told] of this.told) {
      if (way.dropped || way.mute) this.told.delete(way);
      else run(told, way, numberOf(CHANNEL));
    }
  }
}

/** Heading and accuracy carry the number of the ping and of the session, to be read back from what is shown. */
const tupleOf = (ref: number, { session, seq }: Rider) =>
  [ref, session, seq, 0, 0, 0, 0, seq, 0, session] as PositionTuple;
