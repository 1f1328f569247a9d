/** One rider on this node: orders its pings, limits them, and decides which is shown. Pure: no I/O, no clock. */
import type { OrderRecord } from '../orders/order.ts';
import type { Ping, Refusal } from '../protocol/messages.ts';
import { isNewer, type Position, UNITS_PER_DEGREE } from '../protocol/positions.ts';
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
  /** The newest of them, if it is to be shown. */
  readonly shown: Position | undefined;
  /** The zone just left, with the ping that shows it. */
  readonly left: string | undefined;
}

const BURST_S = 4;
/** A batch after a tunnel costs one frame, and one more for every so many pings. */
const PINGS_PER_TOKEN = 50;
const METRES_PER_UNIT = 111_195 / UNITS_PER_DEGREE;

export class Rider {
  readonly id: string;
  /** Newest rider session number seen anywhere. */
  session = 0;
  /** Its running orders. */
  orders: readonly OrderRecord[] = [];
  /** The newest position that was shown, here or elsewhere. */
  newest: Position | undefined;
  private readonly rules: RiderRules;
  /** Highest ping number dealt with in `session`. */
  private top = 0;
  private zone: string | null = null;
  private readonly frames: Bucket;

  constructor(id: string, rules: RiderRules) {
    this.id = id;
    this.rules = rules;
    this.frames = new Bucket(rules.pingsPerSecond, rules.pingsPerSecond * BURST_S);
  }

  /** The highest ping number dealt with in that session. */
  seqOf(session: number): number {
    return session === this.session ? this.top : 0;
  }

  /** What the store knows; ignored if this node knows better. */
  learn(position: Position): void {
    if (!isNewer(position, this.newest)) return;
    this.newest = position;
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
    const before = this.newest;
    const position = this.locate(last, session, now);
    const still = this.isStill(position, now);
    verdicts[verdicts.length - 1]![1] = still ? 'still' : 'taken';
    if (still) return { verdicts, shown: undefined, left: undefined };
    this.newest = position;
    const left =
      before !== undefined && before.zone !== position.zone ? (before.zone ?? undefined) : undefined;
    return { verdicts, shown: position, left };
  }

  private locate(ping: Ping, session: number, now: number): Position {
    this.zone = this.rules.zones?.find(ping.lat, ping.lng, this.zone) ?? null;
    return {
      rider: this.id,
      session,
      seq: ping.seq,
      lat: Math.round(ping.lat * UNITS_PER_DEGREE),
      lng: Math.round(ping.lng * UNITS_PER_DEGREE),
      // A fix from the future must not look fresher than one of now.
      fixAt: Math.round(Math.min(ping.at ?? now, now)),
      heardAt: now,
      heading: ping.heading === undefined ? null : Math.round(ping.heading) % 360,
      speed: ping.speed === undefined ? null : Math.round(ping.speed * 10),
      accuracy: ping.accuracy === undefined ? null : Math.round(ping.accuracy),
      verdict: ping.mocked === true ? 4 : 0,
      zone: this.zone,
    };
  }

  private isStill(position: Position, now: number): boolean {
    const { newest, rules } = this;
    if (newest === undefined || newest.session !== position.session) return false;
    if (newest.zone !== position.zone || newest.verdict !== position.verdict) return false;
    if (now - newest.heardAt >= rules.keepAliveMs) return false;
    const dLat = position.lat - newest.lat;
    const dLng = (position.lng - newest.lng) * Math.cos((position.lat / UNITS_PER_DEGREE) * (Math.PI / 180));
    return Math.hypot(dLat, dLng) * METRES_PER_UNIT < rules.minMoveM;
  }
}
