/** A node's copy of one order's log: where it stands, the order there, and the entries that led there. */
import { missedSince } from '../backbone/log.ts';
import type { LogState, Store } from '../backbone/store.ts';
import type { OrderFact, OrderRecord } from '../orders/order.ts';
import { parseOrder } from '../orders/orders.ts';
import type { LogEntry } from '../protocol/bus-messages.ts';
import type { Cursor, ResetReason } from '../protocol/messages.ts';

/** An entry, understood. */
export interface Fact extends Omit<LogEntry, 'data'>, OrderFact {}

/** What the store says beyond this copy. */
export type LogNews =
  /** It goes on from here. */
  | { readonly kind: 'more'; readonly facts: readonly Fact[] }
  /** This copy is to be replaced; `reason` is absent if there was none. */
  | {
      readonly kind: 'anew';
      readonly cursor: Cursor;
      readonly order: OrderRecord;
      readonly facts: readonly Fact[];
      readonly reason: ResetReason | undefined;
    }
  | { readonly kind: 'none' };

export class OrderLog {
  private readonly id: string;
  /** Entries kept, and the most that are replayed to one watcher. */
  private readonly limit: number;
  private tail: readonly Fact[] = [];
  cursor: Cursor | undefined;
  order: OrderRecord | undefined;

  constructor(id: string, limit: number) {
    this.id = id;
    this.limit = limit;
  }

  /** Reads what this copy does not have. Changes nothing: see `adopt`. */
  async news(store: Store): Promise<LogNews> {
    const { cursor, id, limit } = this;
    const recovered = cursor && (await store.recover(id, cursor, limit));
    if (recovered?.verdict === 'ok') {
      const facts = toFacts(recovered.entries);
      if (facts !== undefined) return { kind: 'more', facts };
      return anew(recovered.state, [], 'unknown');
    }
    if (cursor !== undefined && recovered === undefined) return { kind: 'none' };
    const log = await store.readLog(id, limit);
    if (log === undefined) return { kind: 'none' };
    return anew(log, toFacts(log.entries) ?? [], recovered?.verdict);
  }

  /** Replaces this copy. What goes on from it is taken fact by fact, with `take`. */
  adopt(news: Extract<LogNews, { kind: 'anew' }>): void {
    this.cursor = news.cursor;
    this.order = news.order;
    this.tail = news.facts;
  }

  /** 'next': taken. 'known': it is in here already. 'gap': it does not follow from here. */
  take(fact: Fact): 'next' | 'known' | 'gap' {
    const { cursor } = this;
    if (cursor === undefined ? fact.offset !== 1 : !follows(fact, cursor))
      return this.knows(fact) ? 'known' : 'gap';
    this.cursor = { epoch: fact.epoch, offset: fact.offset, id: fact.id };
    this.order = fact.order;
    this.tail = [...this.tail.slice(1 - this.limit), fact];
    return 'next';
  }

  /** What a watcher that stood there has missed, as far as this copy goes. Only after something was taken. */
  missedSince(since: Cursor): { verdict: 'ok' | ResetReason; entries: readonly Fact[] } {
    return missedSince({ cursor: this.cursor!, entries: this.tail }, since, this.limit);
  }

  /** By id: after a failover another entry may have that offset. */
  private knows({ epoch, offset, id }: Fact): boolean {
    const { cursor } = this;
    if (cursor?.epoch !== epoch || offset > cursor.offset) return false;
    const known = this.tail[this.tail.length - 1 - (cursor.offset - offset)];
    return known === undefined ? offset < cursor.offset || id === cursor.id : known.id === id;
  }
}

/** An entry of the log, parsed; undefined if nobody of ours wrote it. */
export function toFact({ data, ...entry }: LogEntry): Fact | undefined {
  try {
    const { type, order } = JSON.parse(data) as OrderFact;
    return typeof order.id === 'string' ? { ...entry, type, order } : undefined;
  } catch {
    return undefined;
  }
}

function toFacts(entries: readonly LogEntry[]): Fact[] | undefined {
  const facts = entries.map(toFact);
  return facts.every((fact) => fact !== undefined) ? facts : undefined;
}

function anew(
  { cursor, snapshot }: LogState,
  facts: readonly Fact[],
  reason: ResetReason | undefined,
): LogNews {
  return { kind: 'anew', cursor, order: parseOrder(snapshot), facts, reason };
}

function follows(fact: Fact, cursor: Cursor): boolean {
  return fact.epoch === cursor.epoch && fact.offset === cursor.offset + 1 && fact.prev === cursor.id;
}
