/** What may follow a cursor: the one rule of resume, for a log in memory and for a node's copy of a log. */
import type { Cursor, ResetReason } from '../protocol/messages.ts';

/** The end of a log. */
export interface LogEnd<E> {
  readonly cursor: Cursor;
  /** The last entries, oldest first, chaining to the cursor; the older ones may be missing. */
  readonly entries: readonly E[];
}

export interface Missed<E> {
  /** 'ok': `entries` chain from the given cursor to the log's. Otherwise why not, and no entries. */
  readonly verdict: 'ok' | ResetReason;
  readonly entries: readonly E[];
}

/**
 * What happened in a log since a cursor. Epoch and offset are not enough: after an asynchronous failover the same
 * epoch goes on from an earlier offset with other entries, so the id of the entry must match too (as the log matching
 * of Raft does). The Redis form of this rule is redis/recover.lua.
 * @param limit the most entries to give
 */
export function missedSince<E extends { readonly prev: string }>(
  log: LogEnd<E>,
  since: Cursor,
  limit: number,
): Missed<E> {
  const { epoch, offset, id } = log.cursor;
  if (since.epoch !== epoch) return not('epoch');
  if (since.offset > offset) return not('ahead');
  if (since.offset === offset) return since.id === id ? { verdict: 'ok', entries: [] } : not('diverged');
  const count = offset - since.offset;
  if (count > limit) return not('limit');
  if (count > log.entries.length) return not('trimmed');
  const entries = log.entries.slice(-count);
  return entries[0]!.prev === since.id ? { verdict: 'ok', entries } : not('diverged');
}

function not(verdict: ResetReason): Missed<never> {
  return { verdict, entries: [] };
}
