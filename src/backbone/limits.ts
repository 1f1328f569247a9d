const EPOCH = Date.UTC(2025, 0, 1);

/**
 * The least session number a rider may be given at that time: seconds since 2025-01-01. A store that lost its counters
 * goes on above what it gave before, unless a rider took more than one number a second all along.
 */
export function sessionFloor(now: number): number {
  return Math.floor((now - EPOCH) / 1000);
}

/** ms a session counter is kept: long after the floor has passed it. */
export const SESSION_TTL = 7 * 86_400_000;
/** ms an order stays in an index that nobody takes it out of: the longest an order may be kept. */
export const INDEX_TTL = 30 * 86_400_000;
/** ms a removal from an index is remembered. */
export const TOMBSTONE_TTL = 600_000;
/** ms a revocation is kept: tokens should not live longer. */
export const REVOCATION_TTL = 7 * 86_400_000;
/** ms a position is kept, unless configured. */
export const POSITION_TTL = 300_000;
/** Entries of an order's log that are kept, at least. */
export const LOG_ENTRIES = 200;
