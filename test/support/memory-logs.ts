/** Reaches into a memory store: an asynchronous failover is a log that goes back to what it was. */
import { MemoryStore } from '../../src/backbone/memory-store.ts';

interface Log {
  entries: unknown[];
  keys: Map<string, unknown>;
}
interface Logs {
  get(order: string): Log | undefined;
  set(order: string, log: Log, ttl: number): void;
  delete(order: string): void;
}

const logsOf = (store: MemoryStore) => (store as unknown as { logs: Logs }).logs;
const copy = (log: Log): Log => ({ ...log, entries: [...log.entries], keys: new Map(log.keys) });

/** Remembers an order's log as a replica would hold it. Calling what it gives puts the log back to that. */
export function replicaOf(store: MemoryStore, order: string): () => void {
  const log = logsOf(store).get(order);
  const held = log && copy(log);
  return () => {
    if (held === undefined) logsOf(store).delete(order);
    else logsOf(store).set(order, copy(held), 3_600_000);
  };
}

/** As FLUSHALL does. */
export function forget(store: MemoryStore, order: string): void {
  logsOf(store).delete(order);
}

/** FLUSHALL. */
export function flushAll(store: MemoryStore): void {
  const { parts } = store as unknown as { parts: ConstructorParameters<typeof MemoryStore>[0] };
  Object.assign(store, new MemoryStore(parts));
}
