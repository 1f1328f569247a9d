/**
 * Packed positions: the rows of a block as bits, told against what the watcher was last sent. PROTOCOL.md has the
 * layout; client-sdk/src/packed.ts reads it. Pure: who was sent what is the caller's to know.
 */
import { Bits } from './packed-bits.ts';
import { HEADING_DEGREES, type Shown, shownAt, toTime } from './packed-history.ts';
import { LIVE, type Position } from './positions.ts';

/** A rider's row as the packer needs it. */
export interface PackedRow {
  readonly ref: number;
  readonly shown: Shown;
}

/** The rows of a channel's block. */
export interface PackedBlock {
  readonly channel: number;
  readonly rows: Uint8Array;
}

/** What is unusual about a row, as bits. Usual: the next ping, live, with the same fields. */
const STEP = 1;
const SKIPPED = 2;
const AGED = 4;
const FIELDS = 8;
/** All of it, and told whole. Never written. */
const KEY = 31;

/** The byte that no MessagePack value begins with. */
const NOT_MESSAGEPACK = 0xc1;

/** Orders of the Golomb codes: the smaller a number is likely to be, the lower. Both ends must agree. */
const K = {
  passed: 6, blocks: 0, channel: 0, length: 7, keys: 0, changes: 1, k: 0, ref: 2, unusual: 0, session: 24, first: 8, step: 1,
  freshness: 0, key: 22, heading: 1, speed: 3, accuracy: 1, verdict: 2,
} as const; // biome-ignore format: a table
const HEADINGS = 360 / HEADING_DEGREES;
/** Pings missed beyond which a rider is not guessed to have gone on any further. */
const MOST_STEPS = 8;
/** Rows whose times lie no further apart are sorted by counting, units of TIME_MS. */
const COUNTED = 4096;

const NOTHING: Position = {
  rider: '', session: 0, seq: 0, lat: 0, lng: 0, fixAt: 0, heardAt: 0, heading: null, speed: null, accuracy: null,
  verdict: 0,
}; // biome-ignore format: a table
const NOWHERE: Shown = {
  clock: 0,
  position: NOTHING,
  freshness: LIVE,
  time: 0,
  north: 0,
  east: 0,
  before: undefined,
};

/** Writes rows and frames; holds buffers only. One serves a whole process. */
export class Packer {
  private readonly bits = new Bits();
  /** Rows that go whole. Arrays are longer than what is in use: they are filled again and again. */
  private readonly keys: PackedRow[] = [];
  private keyCount = 0;
  /** Rows the watcher has, what it has of them, and their order. */
  private readonly known: PackedRow[] = [];
  private readonly knownBases: Shown[] = [];
  private knownCount = 0;
  private order = new Int32Array(64);
  private readonly counts = new Int32Array(COUNTED + 1);
  /** Rows that changed, what the watcher has of them, what is unusual, and how many rows come before that did not. */
  private readonly changed: Shown[] = [];
  private readonly bases: Shown[] = [];
  private readonly whats: number[] = [];
  private readonly gaps: number[] = [];
  private changedCount = 0;
  /** From one row's time to the next one's, zigzag. */
  private readonly passed: number[] = [];

  /**
   * Rows that come whole: for a watcher of which is not known what it has of them.
   * @param at ms since epoch, as the frame says
   */
  whole(rows: Iterable<PackedRow>, at: number): Uint8Array {
    this.keyCount = this.knownCount = this.changedCount = 0;
    for (const row of rows) this.keys[this.keyCount++] = row;
    return this.write(toTime(at));
  }

  /**
   * What changed for a watcher that has everything up to the group's clock `since`, and will then have everything.
   * @param rows all rows of the group, in ascending order of ref
   * @param at ms since epoch, as the frame says
   */
  changes(rows: Iterable<PackedRow>, since: number, at: number): Uint8Array {
    const { keys, known, knownBases } = this;
    let keyCount = 0;
    let count = 0;
    for (const row of rows) {
      const { shown } = row;
      const base = shown.clock <= since ? shown : shownAt(shown, since);
      if (base === undefined || base.position.session !== shown.position.session) keys[keyCount++] = row;
      else {
        known[count] = row;
        knownBases[count++] = base;
      }
    }
    this.keyCount = keyCount;
    this.knownCount = count;
    this.sort();
    this.pick();
    return this.write(toTime(at));
  }

  /**
   * A frame of one socket, which has been sent a `watching` or `positions` frame before.
   * @param passed units of TIME_MS since the last of them, 0 or more
   * @param channel the last channel of which it had a block
   * @param blocks at least one
   */
  frame(passed: number, channel: number, blocks: readonly PackedBlock[]): Uint8Array {
    const { bits } = this;
    bits.clear();
    if (blocks.length === 1 && blocks[0]!.channel === channel) {
      bits.put(0, 1);
      bits.number(passed, K.passed);
      bits.append(blocks[0]!.rows);
      return bits.take();
    }
    bits.put(NOT_MESSAGEPACK, 8);
    bits.number(passed, K.passed);
    bits.number(blocks.length - 1, K.blocks);
    let before = channel;
    for (const block of blocks) {
      bits.signed(block.channel - before, K.channel);
      bits.number(block.rows.length, K.length);
      bits.append(block.rows);
      before = block.channel;
    }
    return bits.take();
  }

  /** Puts the known rows in order, longest silent first: those that changed are then likely to be side by side. */
  private sort(): void {
    const { knownBases, knownCount, counts } = this;
    if (this.order.length < knownCount) this.order = new Int32Array(2 * knownCount);
    const { order } = this;
    order[0] = 0;
    if (knownCount < 2) return;
    let oldest = Infinity;
    let newest = -Infinity;
    for (let i = 0; i < knownCount; i++) {
      const { time } = knownBases[i]!;
      if (time < oldest) oldest = time;
      if (time > newest) newest = time;
    }
    const spread = newest - oldest;
    if (spread >= COUNTED) {
      for (let i = 0; i < knownCount; i++) order[i] = i;
      order.subarray(0, knownCount).sort((a, b) => knownBases[a]!.time - knownBases[b]!.time || a - b);
      return;
    }
    counts.fill(0, 0, spread + 2);
    for (let i = 0; i < knownCount; i++) counts[knownBases[i]!.time - oldest + 1]!++;
    for (let time = 1; time <= spread; time++) counts[time]! += counts[time - 1]!;
    for (let i = 0; i < knownCount; i++) order[counts[knownBases[i]!.time - oldest]!++] = i;
  }

  /** Takes the rows that changed out of those known. */
  private pick(): void {
    const { known, knownBases, knownCount, order, changed, bases, whats, gaps } = this;
    let count = 0;
    let skipped = 0;
    for (let i = 0; i < knownCount; i++) {
      const index = order[i]!;
      const { shown } = known[index]!;
      const base = knownBases[index]!;
      if (shown === base) skipped++;
      else {
        changed[count] = shown;
        bases[count] = base;
        whats[count] = unusual(shown, base);
        gaps[count++] = skipped;
        skipped = 0;
      }
    }
    this.changedCount = count;
  }

  private write(time: number): Uint8Array {
    const { bits, keys, keyCount, changed, changedCount, bases, whats, gaps, passed } = this;
    let before = time;
    for (let i = 0; i < keyCount + changedCount; i++) {
      const { time } = i < keyCount ? keys[i]!.shown : changed[i - keyCount]!;
      passed[i] = zigzag(time - before);
      before = time;
    }
    let any = 0;
    for (let i = 0; i < changedCount; i++) any |= whats[i]!;
    const k = bestOrder(gaps, changedCount);
    const timeK = bestOrder(passed, keyCount + changedCount);
    bits.clear();
    bits.number(keyCount, K.keys);
    bits.number(changedCount, K.changes);
    bits.put(any === 0 ? 1 : 0, 1);
    bits.number(k, K.k);
    bits.number(timeK, K.k);
    let next = 0;
    for (let i = 0; i < keyCount; i++) {
      const { ref, shown } = keys[i]!;
      bits.signed(ref - next, K.ref);
      next = ref + 1;
      this.row(shown, NOWHERE, KEY, passed[i]!, timeK);
    }
    for (let i = 0; i < changedCount; i++) {
      const what = whats[i]!;
      bits.number(gaps[i]!, k);
      if (any !== 0) bits.number(what, K.unusual);
      this.row(changed[i]!, bases[i]!, what, passed[keyCount + i]!, timeK);
    }
    return bits.take();
  }

  private row(shown: Shown, base: Shown, what: number, passed: number, timeK: number): void {
    const { bits } = this;
    const { position, freshness } = shown;
    const from = base.position;
    const pings = position.seq - from.seq;
    if (what === KEY) bits.number(position.session, K.session);
    if (what & STEP) bits.number(pings, what === KEY ? K.first : K.step);
    if (what & AGED) bits.number(freshness, K.freshness);
    bits.number(passed, timeK);
    this.place(what, shown, base, pings);
    this.fields(what, position, from);
  }

  /** Where it is: the way it came, guessed to be nearly the one before, and what that leaves to be said. */
  private place(what: number, shown: Shown, base: Shown, pings: number): void {
    const { bits } = this;
    const { position, north, east } = shown;
    const from = base.position;
    const likelyNorth = base.north - (base.north >> 3);
    const likelyEast = base.east - (base.east >> 3);
    const k = (3 * (32 - Math.clz32(Math.abs(base.north) | Math.abs(base.east)))) >> 2;
    if ((what & SKIPPED) === 0) {
      bits.signed(north - likelyNorth, k);
      bits.signed(east - likelyEast, k);
      return;
    }
    const ways = Math.min(MOST_STEPS, pings);
    const k2 = what === KEY ? K.key : k + 2;
    bits.signed(north - likelyNorth, k);
    bits.signed(position.lat - from.lat - ways * north, k2);
    bits.signed(east - likelyEast, k);
    bits.signed(position.lng - from.lng - ways * east, k2);
  }

  private fields(what: number, { heading, speed, accuracy, verdict }: Position, from: Position): void {
    const { bits } = this;
    const told = what & FIELDS;
    if (told) bits.put(heading === null ? 0 : 1, 1);
    if (heading !== null) bits.signed(turn(steps(heading) - steps(from.heading ?? 0)), K.heading);
    if (told) bits.put(speed === null ? 0 : 1, 1);
    if (speed !== null) bits.signed(speed - (from.speed ?? 0), K.speed);
    if (told) bits.put(accuracy === null ? 0 : 1, 1);
    if (accuracy !== null) bits.signed(accuracy - (from.accuracy ?? 0), K.accuracy);
    if (told) bits.number(verdict, K.verdict);
  }
}

/** What about a row is unusual for a watcher that has `base`. */
function unusual(shown: Shown, base: Shown): number {
  const to = shown.position;
  const from = base.position;
  let what = 0;
  if (to.seq !== from.seq + 1) what = STEP;
  if (shown.before !== base) what |= SKIPPED;
  if (shown.freshness !== LIVE) what |= AGED;
  if (
    to.verdict !== from.verdict ||
    (to.heading === null) !== (from.heading === null) ||
    (to.speed === null) !== (from.speed === null) ||
    (to.accuracy === null) !== (from.accuracy === null)
  )
    what |= FIELDS;
  return what;
}

function steps(heading: number): number {
  return Math.round(heading / HEADING_DEGREES) % HEADINGS;
}

/** The same turn, the short way round. */
function turn(by: number): number {
  return by - HEADINGS * Math.round(by / HEADINGS);
}

/** 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 … */
function zigzag(n: number): number {
  return n < 0 ? -2 * n - 1 : 2 * n;
}

/** The order of Golomb code in which the numbers take the fewest bits. */
function bestOrder(numbers: readonly number[], count: number): number {
  let best = 0;
  let fewest = Infinity;
  for (let k = 0; k < 16; k++) {
    let total = count * (1 - k);
    for (let i = 0; i < count; i++) total += 2 * (31 - Math.clz32(numbers[i]! + (1 << k)));
    if (total >= fewest) break;
    fewest = total;
    best = k;
  }
  return best;
}
