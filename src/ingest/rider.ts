/** One rider on this node: orders its pings, limits them, and decides which is shown. Pure: no I/O, no clock. */
import type { OrderRecord } from '../orders/order.ts';
import type { Ping, Refusal } from '../protocol/messages.ts';
import { isNewer, KeptPosition, UNITS_PER_DEGREE, type ZonedPosition } from '../protocol/positions.ts';
import { Bucket } from './bucket.ts';
import type { Zones } from './zones.ts';

export interface RiderRules {
  readonly zones: Pick<Zones, 'find'> | undefined;
  /** Ping frames a second, sustained; BURST_S seconds of it at once. */
  readonly pingsPerSecond: number;
  /** ms between shown pings of a rider that has not moved. */
  readonly keepAliveMs: number;
  /** Metres below which a rider has not moved. */
  readonly minMoveM: number;
}

export type Verdict = 'taken' | 'duplicate' | 'still' | 'overtaken' | Refusal;

export interface Taken {
  /** What became of each ping, in the order of `pings` sorted by number. */
  readonly verdicts: readonly [seq: number, verdict: Verdict][];
  /** The newest of them, if it is to be shown. The next is written over it. */
  readonly shown: ZonedPosition | undefined;
  /** The zone just left, with the ping that shows it. */
  readonly left: string | undefined;
}

const BURST_S = 4;
/** A batch after a tunnel costs one frame, and one more for every so many pings. */
const PINGS_PER_TOKEN = 50;
const METRES_PER_UNIT = 111_195 / UNITS_PER_DEGREE;

class KeptHere extends KeptPosition implements ZonedPosition {
  zone: string | null = null;
}

/** The ping that is being taken. One for all riders, like what is kept of each. */
const draft = new KeptHere();

/** As an int32, which V8 keeps in the object itself: every other number is an object of its own. */
const whole = (x: number) => Math.round(x) | 0;

export class Rider {
  readonly id: string;
  /** Newest rider session number seen anywhere. */
  session = 0;
  /** Its running orders. */
  orders: readonly OrderRecord[] = [];
  private readonly rules: RiderRules;
  private kept: KeptHere | undefined;
  /** Highest ping number dealt with in `session`. */
  private top = 0;
  private zone: string | null = null;
  private readonly frames: Bucket;

  constructor(id: string, rules: RiderRules) {
    this.id = id;
    this.rules = rules;
    this.frames = new Bucket(rules.pingsPerSecond, rules.pingsPerSecond * BURST_S);
  }

  /** The newest position that was shown, here or elsewhere. The next is written over it. */
  get newest(): ZonedPosition | undefined {
    return this.kept;
  }

  /** The highest ping number dealt with in that session. */
  seqOf(session: number): number {
    return session === this.session ? this.top : 0;
  }

  /** What the store knows; ignored if this node knows better. */
  learn(position: ZonedPosition): void {
    if (!isNewer(position, this.newest)) return;
    this.keep(position);
    this.zone = position.zone;
    this.enter(position.session);
    if (position.session === this.session) this.top = Math.max(this.top, position.seq);
  }

  /** A session number that exists. Numbering starts anew with a newer one. */
  enter(session: number): void {
    if (session <= this.session) return;
    this.session = session;
    this.top = 0;
  }

  /**
   * Takes pings of one frame, in any order. `now` is ms since epoch. Of a batch only the newest can be shown; a
   * ping of an older session, or not above the highest number taken, is a duplicate.
   */
  take(session: number, pings: readonly Ping[], now: number): Taken {
    this.enter(session);
    const sorted = pings.length === 1 ? pings : [...pings].sort((a, b) => a.seq - b.seq);
    const allowed = this.frames.take(1 + (pings.length - 1) / PINGS_PER_TOKEN, now);
    const verdicts: [number, Verdict][] = [];
    let last: Ping | undefined;
    for (const ping of sorted) {
      if (session < this.session || ping.seq <= this.top) {
        verdicts.push([ping.seq, 'duplicate']);
        continue;
      }
      this.top = ping.seq;
      verdicts.push([ping.seq, allowed ? 'overtaken' : 'rate']);
      last = ping;
    }
    if (last === undefined || !allowed) return { verdicts, shown: undefined, left: undefined };
    this.locate(last, session, now);
    const still = this.isStill(draft, now);
    verdicts[verdicts.length - 1]![1] = still ? 'still' : 'taken';
    if (still) return { verdicts, shown: undefined, left: undefined };
    const zone = this.newest?.zone;
    const left = zone === draft.zone ? undefined : (zone ?? undefined);
    return { verdicts, shown: this.keep(draft), left };
  }

  /** Into the draft. */
  private locate(ping: Ping, session: number, now: number): void {
    this.zone = this.rules.zones?.find(ping.lat, ping.lng, this.zone) ?? null;
    draft.rider = this.id;
    draft.session = session;
    draft.seq = ping.seq;
    draft.lat = whole(ping.lat * UNITS_PER_DEGREE);
    draft.lng = whole(ping.lng * UNITS_PER_DEGREE);
    // A fix from the future must not look fresher than one of now.
    draft.fixAt = Math.round(Math.min(ping.at ?? now, now));
    draft.heardAt = now;
    draft.heading = ping.heading === undefined ? null : whole(ping.heading) % 360;
    draft.speed = ping.speed === undefined ? null : whole(ping.speed * 10);
    draft.accuracy = ping.accuracy === undefined ? null : whole(ping.accuracy);
    draft.verdict = ping.mocked === true ? 4 : 0;
    draft.zone = this.zone;
  }

  private isStill(position: ZonedPosition, now: number): boolean {
    const { newest, rules } = this;
    if (newest === undefined || newest.session !== position.session) return false;
    if (newest.zone !== position.zone || newest.verdict !== position.verdict) return false;
    if (now - newest.heardAt >= rules.keepAliveMs) return false;
    const dLat = position.lat - newest.lat;
    const dLng = (position.lng - newest.lng) * Math.cos((position.lat / UNITS_PER_DEGREE) * (Math.PI / 180));
    return Math.hypot(dLat, dLng) * METRES_PER_UNIT < rules.minMoveM;
  }

  private keep(position: ZonedPosition): ZonedPosition {
    this.kept ??= new KeptHere();
    this.kept.write(position).zone = position.zone;
    return this.kept;
  }
}
