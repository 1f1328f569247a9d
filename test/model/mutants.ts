/** The design with one protection taken out, by name. Each must be falsified, or the schedules prove nothing. */
import { MemoryStore } from '../../src/backbone/memory-store.ts';
import { OrderChannel } from '../../src/fanout/order-channel.ts';
import { type Fact, OrderLog } from '../../src/fanout/order-log.ts';
import type { LogEntry } from '../../src/protocol/bus-messages.ts';
import type { Cursor } from '../../src/protocol/messages.ts';
import { MAX_REPLAY } from './limits.ts';

export interface Mutant {
  readonly name: string;
  /** Changes the real classes; gives its undo. */
  readonly install?: () => () => void;
  readonly readsFirst?: boolean;
  readonly noGeneration?: boolean;
  readonly generationOnReady?: boolean;
  readonly publishesLater?: boolean;
  readonly noIdempotency?: boolean;
  readonly clientChecksNothing?: boolean;
  readonly noLooking?: boolean;
  /** Layers in which it must die. */
  readonly dies: readonly ('strict' | 'full')[];
}

/** Replaces methods of a class until the undo. */
function patched<T extends object>(target: T, methods: Partial<T>): () => void {
  const before = Object.fromEntries(Object.keys(methods).map((key) => [key, (target as never)[key]]));
  Object.assign(target, methods);
  return () => void Object.assign(target, before);
}

type Taken = 'next' | 'known' | 'gap';
interface Inside {
  cursor: Cursor | undefined;
  order: unknown;
  tail: readonly Fact[];
}
const inside = (log: OrderLog) => log as unknown as Inside;

/** Takes a fact as the next one, whatever it follows. */
function takeAnyway(log: OrderLog, fact: Fact): Taken {
  const all = inside(log);
  all.cursor = { epoch: fact.epoch, offset: fact.offset, id: fact.id };
  all.order = fact.order;
  all.tail = [...all.tail.slice(1 - MAX_REPLAY), fact];
  return 'next';
}

/** The usual rule: epoch and offset, and no look at the ids. */
function byOffset(entries: readonly { offset: number }[], cursor: Cursor, since: Cursor) {
  if (since.epoch !== cursor.epoch) return 'epoch';
  if (since.offset > cursor.offset) return 'ahead';
  const missed = entries.filter(({ offset }) => offset > since.offset);
  return missed.length === cursor.offset - since.offset ? missed : 'trimmed';
}

const take = OrderLog.prototype.take;

const offsetsOnly = () => {
  const undo = [
    patched(OrderLog.prototype, {
      take(this: OrderLog, fact: Fact): Taken {
        const { cursor } = this;
        if (cursor === undefined) return take.call(this, fact);
        if (fact.epoch !== cursor.epoch) return 'gap';
        if (fact.offset <= cursor.offset) return 'known';
        return fact.offset === cursor.offset + 1 ? takeAnyway(this, fact) : 'gap';
      },
      missedSince(this: OrderLog, since: Cursor) {
        const missed = byOffset(inside(this).tail, this.cursor!, since);
        return typeof missed === 'string'
          ? { verdict: missed, entries: [] }
          : { verdict: 'ok', entries: missed as Fact[] };
      },
    } as Partial<OrderLog>),
    patched(OrderChannel.prototype, {
      standsAt(this: OrderChannel, head: Cursor | undefined) {
        const { cursor } = (this as unknown as { log: OrderLog }).log;
        return head?.epoch === cursor?.epoch && head?.offset === cursor?.offset;
      },
    }),
    patched(MemoryStore.prototype, {
      async recover(this: MemoryStore, order: string, since: Cursor) {
        const log = await this.readLog(order, 1000);
        if (log === undefined) return undefined;
        const { cursor, snapshot, entries } = log;
        const missed = byOffset(entries, cursor, since);
        const state = { cursor, snapshot };
        return typeof missed === 'string'
          ? { state, verdict: missed, entries: [] }
          : { state, verdict: 'ok' as const, entries: missed as LogEntry[] };
      },
    } as Partial<MemoryStore>),
  ];
  return () => {
    for (const one of undo) one();
  };
};

const trimmedAccepted = () => {
  const undo = [
    patched(MemoryStore.prototype, {
      async recover(this: MemoryStore, order: string, since: Cursor) {
        const log = await this.readLog(order, 1000);
        if (log === undefined) return undefined;
        const { cursor, snapshot, entries } = log;
        const state = { cursor, snapshot };
        if (since.epoch !== cursor.epoch) return { state, verdict: 'epoch' as const, entries: [] };
        return {
          state,
          verdict: 'ok' as const,
          entries: entries.filter(({ offset }) => offset > since.offset),
        };
      },
    } as Partial<MemoryStore>),
    patched(OrderLog.prototype, {
      missedSince(this: OrderLog, since: Cursor) {
        if (since.epoch !== this.cursor!.epoch) return { verdict: 'epoch', entries: [] };
        return { verdict: 'ok', entries: inside(this).tail.filter(({ offset }) => offset > since.offset) };
      },
      take: function (this: OrderLog, fact: Fact): Taken {
        const taken = take.call(this, fact);
        return taken === 'gap' && fact.epoch === this.cursor?.epoch && fact.offset > this.cursor.offset
          ? takeAnyway(this, fact)
          : taken;
      },
    } as Partial<OrderLog>),
  ];
  return () => {
    for (const one of undo) one();
  };
};

/** The design as it is. */
export const DESIGN: Mutant = { name: 'the design', dies: [] };

export const MUTANTS: readonly Mutant[] = [
  { name: 'history before subscribe', readsFirst: true, dies: ['strict'] },
  {
    name: 'no generation fence',
    install: () => patched(OrderChannel.prototype, { fence() {} }),
    dies: ['strict'],
  },
  { name: 'no resync on reconnect', noGeneration: true, dies: ['strict'] },
  { name: 'resync on ready instead of the acknowledgement', generationOnReady: true, dies: ['strict'] },
  {
    name: 'append, then publish, and the producer may die in between',
    publishesLater: true,
    dies: ['strict'],
  },
  {
    name: 'no de-duplication in the merge',
    install: () =>
      patched(OrderLog.prototype, {
        take(this: OrderLog, fact: Fact): Taken {
          const taken = take.call(this, fact);
          return taken === 'known' ? takeAnyway(this, fact) : taken;
        },
      } as Partial<OrderLog>),
    dies: ['strict', 'full'],
  },
  {
    name: 'the gateway has no gap check',
    install: () =>
      patched(OrderLog.prototype, {
        take(this: OrderLog, fact: Fact): Taken {
          const taken = take.call(this, fact);
          return taken === 'gap' ? takeAnyway(this, fact) : taken;
        },
      } as Partial<OrderLog>),
    dies: ['strict', 'full'],
  },
  { name: 'the client has no gap check', clientChecksNothing: true, dies: ['full'] },
  { name: 'no probe and no periodic check', noLooking: true, dies: ['full'] },
  { name: '(epoch, offset) only, no entry id', install: offsetsOnly, dies: ['strict', 'full'] },
  { name: 'trimmed history accepted', install: trimmedAccepted, dies: ['strict', 'full'] },
  { name: 'no idempotency key', noIdempotency: true, dies: ['strict', 'full'] },
];
