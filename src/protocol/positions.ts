/** Positions as the nodes keep them, and their form on the wire. */
import type { PositionTuple } from './messages.ts';

/** Wire and store units per degree: 1e-5 degree is 1.1 m of latitude. */
export const UNITS_PER_DEGREE = 1e5;

export const LIVE = 0;
export const STALE = 1;
export const LOST = 2;
export type Freshness = typeof LIVE | typeof STALE | typeof LOST;

/** The ages at which a silent rider becomes stale and lost, and is forgotten, ms. */
export interface Ages {
  readonly staleAfterMs: number;
  readonly lostAfterMs: number;
  readonly positionTtlMs: number;
}

/** How fresh a rider is that was last heard so many ms ago. */
export function freshnessOf(silentMs: number, ages: Ages): Freshness {
  if (silentMs > ages.lostAfterMs) return LOST;
  return silentMs > ages.staleAfterMs ? STALE : LIVE;
}

/** The newest known fix of one rider. Ordered by (session, seq), never by a clock. */
export interface Position {
  readonly rider: string;
  /** The rider session number the gateway gave. */
  readonly session: number;
  /** The ping's number within that session. */
  readonly seq: number;
  /** 1e-5 degree, integers. */
  readonly lat: number;
  readonly lng: number;
  /** When the fix was taken, ms since epoch, clamped to the gateway's clock. */
  readonly fixAt: number;
  /** When the gateway got it, ms since epoch. */
  readonly heardAt: number;
  /** Degrees 0..359, or null. */
  readonly heading: number | null;
  /** dm/s, or null. */
  readonly speed: number | null;
  /** Metres, or null. */
  readonly accuracy: number | null;
  /** Bits as in PROTOCOL.md; 0 is plausible. */
  readonly verdict: number;
}

/** A position as ingest and the store know it: with the zone the rider is in, or null. */
export interface ZonedPosition extends Position {
  readonly zone: string | null;
}

/** A position as an array, the form in which it crosses the bus. */
export type PositionRecord = [
  rider: string,
  session: number,
  seq: number,
  lat: number,
  lng: number,
  fixAt: number,
  heardAt: number,
  heading: number | null,
  speed: number | null,
  accuracy: number | null,
  verdict: number,
];

/** Whether `a` supersedes `b`: strictly greater (session, seq). */
export function isNewer(
  a: { session: number; seq: number },
  b: { session: number; seq: number } | undefined,
): boolean {
  return b === undefined || a.session > b.session || (a.session === b.session && a.seq > b.seq);
}

export function toRecord(p: Position): PositionRecord {
  return [
    p.rider, p.session, p.seq, p.lat, p.lng, p.fixAt, p.heardAt, p.heading, p.speed, p.accuracy, p.verdict,
  ]; // biome-ignore format: one line reads as the record's layout
}

/**
 * A position that is written anew, in place. An object for each ping would outlive the young generation, for it is kept until
 * the next ping, and collecting the old one holds a node up for a tenth of a second. Nobody but its owner may keep it.
 */
export class KeptPosition implements Position {
  rider = '';
  session = 0;
  seq = 0;
  lat = 0;
  lng = 0;
  // NaN has V8 reserve room for a double in place: times are no small integers.
  fixAt = Number.NaN;
  heardAt = Number.NaN;
  heading: number | null = null;
  speed: number | null = null;
  accuracy: number | null = null;
  verdict = 0;

  write(by: Position): this {
    if (this.rider !== by.rider) this.rider = by.rider; // of two equal strings the old one stays
    this.session = by.session;
    this.seq = by.seq;
    this.lat = by.lat;
    this.lng = by.lng;
    this.fixAt = by.fixAt;
    this.heardAt = by.heardAt;
    this.heading = by.heading;
    this.speed = by.speed;
    this.accuracy = by.accuracy;
    this.verdict = by.verdict;
    return this;
  }
}

/** @param into what it is written into; by default an object of its own */
export function fromRecord(r: PositionRecord, into = new KeptPosition()): Position {
  into.rider = r[0];
  into.session = r[1];
  into.seq = r[2];
  into.lat = r[3];
  into.lng = r[4];
  into.fixAt = r[5];
  into.heardAt = r[6];
  into.heading = r[7];
  into.speed = r[8];
  into.accuracy = r[9];
  into.verdict = r[10];
  return into;
}

/** The wire form for a frame stamped `at`. Trailing unknowns are left out, as PROTOCOL.md allows. */
export function toTuple(p: Position, ref: number, freshness: Freshness, at: number): PositionTuple {
  const tuple: PositionTuple = [ref, p.session, p.seq, p.lat, p.lng, Math.max(0, at - p.fixAt), freshness];
  if (p.verdict !== 0) tuple.push(p.heading, p.speed, p.accuracy, p.verdict);
  else if (p.accuracy !== null) tuple.push(p.heading, p.speed, p.accuracy);
  else if (p.speed !== null) tuple.push(p.heading, p.speed);
  else if (p.heading !== null) tuple.push(p.heading);
  return tuple;
}
