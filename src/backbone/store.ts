import type { LogEntry } from '../protocol/bus-messages.ts';
import type { Cursor } from '../protocol/messages.ts';
import type { ZonedPosition } from '../protocol/positions.ts';
import type { Missed } from './log.ts';

/** A change to an order's log. `next` is the whole order record after it, as JSON, and the entry's data too. */
export interface Append {
  readonly order: string;
  /** The same key gives the same cursor and no second entry, for `ttl` ms and while this log (its epoch) lives. */
  readonly key: string;
  /** The offset the change was computed on (0: none yet). Another top offset: `conflict`. */
  readonly expect: number;
  /** The entry, JSON. */
  readonly data: string;
  /** The snapshot after it, JSON. */
  readonly snapshot: string;
  /** ms the log, its snapshot and this key are kept from now on. */
  readonly ttl: number;
}

export type Appended =
  | { readonly result: 'appended' | 'duplicate'; readonly cursor: Cursor }
  | { readonly result: 'conflict'; readonly offset: number };

/** Where an order's log stands, and its snapshot at that point. */
export interface LogState {
  readonly cursor: Cursor;
  readonly snapshot: string;
}

/** The same with the last entries, oldest first, chaining to the cursor. */
export interface LogTail extends LogState {
  readonly entries: readonly LogEntry[];
}

export interface Recovered extends Missed<LogEntry> {
  readonly state: LogState;
}

/**
 * The store: what outlives a node.
 *
 * Positions: newest per rider, kept for minutes; last (session, seq) wins, atomically per rider.
 * Orders: a log per order with a snapshot. `append` is atomic: idempotency, offset, entry, snapshot and the message on
 * the order's bus channel happen together or not at all. Indexes (a rider's and a partner's orders) are written after
 * the append and are idempotent; a caller that failed in between repeats the whole call with the same key.
 * Failure: every method rejects when the store does not answer in time. A write may then have happened.
 */
export interface Store {
  /**
   * Stores each position unless a newer one of that rider is there; those of one call travel together. They are read before
   * it returns: the caller may write them anew.
   */
  putPositions(positions: readonly ZonedPosition[]): Promise<void>;
  /** Newest positions, in the order asked; undefined where none is kept. */
  getPositions(riders: readonly string[]): Promise<(ZonedPosition | undefined)[]>;
  /** The newest position of every rider whose newest position is in that zone, in no order. */
  zonePositions(zone: string): Promise<ZonedPosition[]>;

  /**
   * A rider session number greater than any given for this rider, also after the store lost its memory: it is
   * never below the seconds since 2025-01-01.
   */
  nextSession(rider: string): Promise<number>;
  /** The last number given, 0 if none is known. */
  currentSession(rider: string): Promise<number>;

  /** Appends to an order's log and publishes the entry on `order:ID`. */
  append(change: Append): Promise<Appended>;
  /** The order's log state, undefined if there is none. Reads where it is written (the master). */
  readOrder(order: string): Promise<LogState | undefined>;
  /** The same with its last entries: `tail` of them, or fewer if fewer are kept. Reads where it is written. */
  readLog(order: string, tail: number): Promise<LogTail | undefined>;
  /** Where each order's log stands, in the order asked; undefined where there is none. Reads where it is written. */
  heads(orders: readonly string[]): Promise<(Cursor | undefined)[]>;
  /** What happened since the cursor; undefined if there is no such order. At most `limit` entries. */
  recover(order: string, since: Cursor, limit: number): Promise<Recovered | undefined>;

  /**
   * Puts or removes (record undefined) an order in an index; a lower version than the stored one is ignored. A removal
   * is remembered for ten minutes, so that a write that was late does not bring the order back.
   */
  indexOrder(index: OrderIndex, order: string, version: number, record: string | undefined): Promise<void>;
  /** The records in an index, in no order. */
  indexedOrders(index: OrderIndex): Promise<string[]>;

  /** Keeps a revocation for seven days; one of the same subject that is later wins. */
  revoke(revocation: Revocation): Promise<void>;
  /** All that are kept, in no order. */
  revocations(): Promise<Revocation[]>;
}

/** Tokens of that subject issued before that moment are void. */
export interface Revocation {
  /** Role and subject, `customer:ann`. */
  readonly subject: string;
  /** ms since epoch. */
  readonly before: number;
}

/** All active orders of one rider or of one partner. */
export interface OrderIndex {
  readonly of: 'rider' | 'partner';
  readonly id: string;
}
