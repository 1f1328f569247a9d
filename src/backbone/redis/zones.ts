import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { Script } from './script.ts';

/** A rider that stays in its zone is noted there again after so many ms, or a third of a position's life. */
const NOTE_EVERY = 10_000;
/** A note younger than this many ms is not taken out: the rider may be coming back this moment. */
const PRUNE_AFTER = 2000;
/** Riders in one command. */
const CHUNK = 1000;

export interface Note {
  readonly rider: string;
  readonly zone: string;
  /** ms since epoch. */
  readonly heardAt: number;
}

interface Noted {
  readonly rider: string;
  /** Last heard, ms, as text. */
  readonly score: string;
}

/**
 * Which riders may be in a zone: a sorted set per zone, rider by last heard. Every entering is noted, leaving is not:
 * whether a rider is still there, its position says. So a ping that changes nothing costs nothing here.
 */
export class Zones {
  private readonly redis: Connection;
  private readonly keys: Keys;
  private readonly ttlMs: number;
  private readonly noteEvery: number;
  private readonly touch = new Script('touch-zone');
  private readonly remove = new Script('prune-zone');
  /** When this node noted a rider last, oldest first. */
  private readonly notes = new Map<string, number>();

  constructor(redis: Connection, keys: Keys, ttlMs: number) {
    this.redis = redis;
    this.keys = keys;
    this.ttlMs = ttlMs;
    this.noteEvery = Math.min(NOTE_EVERY, ttlMs / 3);
  }

  /** Whether a rider that is in a zone is to be noted there. @param entered it was not in that zone before */
  isDue(rider: string, entered: boolean): boolean {
    const noted = this.notes.get(rider);
    return entered || noted === undefined || Date.now() - noted >= this.noteEvery;
  }

  /** Notes that riders are in zones. */
  async note(notes: readonly Note[]): Promise<void> {
    const now = Date.now();
    const due = new Map<string, (string | number)[]>();
    for (const { rider, zone, heardAt } of notes) {
      this.notes.delete(rider); // to the end: the map stays in the order of time
      this.notes.set(rider, now);
      const riders = due.get(zone);
      if (riders === undefined) due.set(zone, [heardAt, rider]);
      else riders.push(heardAt, rider);
    }
    this.trim(now);
    await Promise.all([...due].flatMap(([zone, riders]) => this.write(zone, riders, now)));
  }

  /** The riders noted in a zone, those silent for longer than a position lives left out. */
  async riders(zone: string): Promise<Noted[]> {
    const since = Date.now() - this.ttlMs;
    const reply = await this.redis.run((redis) =>
      redis.zrange(this.keys.zone(zone), since, '+inf', 'BYSCORE', 'WITHSCORES'),
    );
    const flat = (reply as (string | string[])[]).flat(); // pairs in RESP3, flat in RESP2
    const list: Noted[] = [];
    for (let i = 0; i < flat.length; i += 2) list.push({ rider: flat[i]!, score: flat[i + 1]! });
    return list;
  }

  /** Takes out riders that were seen to be elsewhere. In the background: if it fails, the next reader does it. */
  prune(zone: string, gone: readonly Noted[]): void {
    const before = Date.now() - PRUNE_AFTER;
    const old = gone.filter(({ score }) => Number(score) < before);
    for (let from = 0; from < old.length; from += CHUNK) {
      const args = old.slice(from, from + CHUNK).flatMap(({ rider, score }) => [rider, score]);
      this.remove.run(this.redis, [this.keys.zone(zone)], args).catch(() => {});
    }
  }

  private write(zone: string, riders: readonly (string | number)[], now: number): Promise<unknown>[] {
    const writes: Promise<unknown>[] = [];
    for (let from = 0; from < riders.length; from += 2 * CHUNK) {
      const some = riders.slice(from, from + 2 * CHUNK);
      const args = [this.ttlMs, now - this.ttlMs, ...some];
      const write = this.touch.run(this.redis, [this.keys.zone(zone)], args);
      writes.push(
        write.catch((error) => {
          for (const rider of some) this.notes.delete(String(rider)); // to be noted with the next ping
          throw error;
        }),
      );
    }
    return writes;
  }

  private trim(now: number): void {
    for (const [rider, at] of this.notes) {
      if (now - at < this.noteEvery) return;
      this.notes.delete(rider);
    }
  }
}
