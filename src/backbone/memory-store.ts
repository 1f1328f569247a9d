import { randomBytes } from 'node:crypto';
import { encodeEvent, type LogEntry } from '../protocol/bus-messages.ts';
import { channelName } from '../protocol/channel.ts';
import type { Cursor } from '../protocol/messages.ts';
import { isNewer, type ZonedPosition } from '../protocol/positions.ts';
import { Expiring } from './expiring.ts';
import {
  INDEX_TTL,
  LOG_ENTRIES,
  REVOCATION_TTL,
  SESSION_TTL,
  sessionFloor,
  TOMBSTONE_TTL,
} from './limits.ts';
import { missedSince } from './log.ts';
import type {
  Append,
  Appended,
  LogState,
  LogTail,
  OrderIndex,
  Recovered,
  Revocation,
  Store,
} from './store.ts';

/** Idempotency keys of one order that are kept, the newest. */
const KEYS = 1000;

interface Log {
  readonly epoch: string;
  entries: LogEntry[];
  cursor: Cursor;
  snapshot: string;
  readonly keys: Map<string, Cursor>;
}

interface Indexed {
  readonly owner: string;
  readonly version: number;
  /** Undefined: removed, and not to come back with a lower version. */
  readonly record: string | undefined;
}

export interface MemoryStoreParts {
  readonly positionTtlMs: number;
  readonly now: () => number;
  readonly publish: (channel: string, payload: Uint8Array) => void;
}

/** The store of one process. Every method runs to its end in one go, which is all the atomicity there is to see. */
export class MemoryStore implements Store {
  private readonly parts: MemoryStoreParts;
  private readonly positions: Expiring<ZonedPosition>;
  private readonly zones = new Groups();
  private readonly sessions: Expiring<number>;
  private readonly logs: Expiring<Log>;
  private readonly index: Expiring<Indexed>;
  private readonly owners = new Groups();
  private readonly revoked: Expiring<number>;

  constructor(parts: MemoryStoreParts) {
    this.parts = parts;
    this.positions = new Expiring(parts.now, (rider, { zone }) => this.zones.remove(zone, rider));
    this.sessions = new Expiring(parts.now);
    this.logs = new Expiring(parts.now);
    this.revoked = new Expiring(parts.now);
    this.index = new Expiring(parts.now, (key, { owner }) => this.owners.remove(owner, key));
  }

  async putPositions(positions: readonly ZonedPosition[]): Promise<void> {
    for (const position of positions) {
      const { rider, zone } = position;
      const before = this.positions.get(rider);
      if (!isNewer(position, before)) continue;
      if (before !== undefined && before.zone !== zone) this.zones.remove(before.zone, rider);
      this.zones.add(zone, rider);
      this.positions.set(rider, { ...position }, this.parts.positionTtlMs);
    }
  }

  async getPositions(riders: readonly string[]): Promise<(ZonedPosition | undefined)[]> {
    return riders.map((rider) => this.positions.get(rider));
  }

  async zonePositions(zone: string): Promise<ZonedPosition[]> {
    return known(this.zones.members(zone).map((rider) => this.positions.get(rider)));
  }

  async nextSession(rider: string): Promise<number> {
    const next = Math.max((this.sessions.get(rider) ?? 0) + 1, sessionFloor(this.parts.now()));
    this.sessions.set(rider, next, SESSION_TTL);
    return next;
  }

  async currentSession(rider: string): Promise<number> {
    return this.sessions.get(rider) ?? 0;
  }

  async append({ order, key, expect, data, snapshot, ttl }: Append): Promise<Appended> {
    const before = this.logs.get(order);
    const seen = before?.keys.get(key);
    if (seen !== undefined) return { result: 'duplicate', cursor: seen };
    const top = before?.cursor.offset ?? 0;
    if (top !== expect) return { result: 'conflict', offset: top };
    const log = before ?? emptyLog();
    const id = randomId();
    const entry: LogEntry = {
      epoch: log.epoch,
      offset: top + 1,
      id,
      prev: log.cursor.id,
      at: this.parts.now(),
      data,
    };
    log.entries = [...log.entries.slice(1 - LOG_ENTRIES), entry];
    log.cursor = { epoch: log.epoch, offset: entry.offset, id };
    log.snapshot = snapshot;
    log.keys.set(key, log.cursor);
    if (log.keys.size > KEYS) log.keys.delete(log.keys.keys().next().value!);
    this.logs.set(order, log, ttl);
    this.parts.publish(channelName('order', order), encodeEvent(entry));
    return { result: 'appended', cursor: log.cursor };
  }

  async readOrder(order: string): Promise<LogState | undefined> {
    const log = this.logs.get(order);
    return log && { cursor: log.cursor, snapshot: log.snapshot };
  }

  async readLog(order: string, tail: number): Promise<LogTail | undefined> {
    const log = this.logs.get(order);
    if (log === undefined) return undefined;
    return { cursor: log.cursor, snapshot: log.snapshot, entries: tail > 0 ? log.entries.slice(-tail) : [] };
  }

  async heads(orders: readonly string[]): Promise<(Cursor | undefined)[]> {
    return orders.map((order) => this.logs.get(order)?.cursor);
  }

  async recover(order: string, since: Cursor, limit: number): Promise<Recovered | undefined> {
    const log = this.logs.get(order);
    if (log === undefined) return undefined;
    return { state: { cursor: log.cursor, snapshot: log.snapshot }, ...missedSince(log, since, limit) };
  }

  async indexOrder(
    index: OrderIndex,
    order: string,
    version: number,
    record: string | undefined,
  ): Promise<void> {
    const owner = `${index.of}:${index.id}`;
    const key = `${owner}:${order}`;
    const before = this.index.get(key);
    if (before !== undefined && version < before.version) return;
    this.owners.add(owner, key);
    this.index.set(key, { owner, version, record }, record === undefined ? TOMBSTONE_TTL : INDEX_TTL);
  }

  async revoke({ subject, before }: Revocation): Promise<void> {
    const known = this.revoked.get(subject) ?? 0;
    this.revoked.set(subject, Math.max(known, before), REVOCATION_TTL);
  }

  async revocations(): Promise<Revocation[]> {
    return [...this.revoked.living()].map(([subject, before]) => ({ subject, before }));
  }

  async indexedOrders(index: OrderIndex): Promise<string[]> {
    const keys = this.owners.members(`${index.of}:${index.id}`);
    return known(keys.map((key) => this.index.get(key)?.record));
  }
}

function emptyLog(): Log {
  const epoch = randomId();
  return { epoch, entries: [], cursor: { epoch, offset: 0, id: '' }, snapshot: '', keys: new Map() };
}

/** 72 random bits; no character of it is a separator anywhere. */
function randomId(): string {
  return randomBytes(9).toString('base64url');
}

function known<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}

/** Sets by name; an empty one is forgotten, and what has no name is in none. */
class Groups {
  private readonly groups = new Map<string, Set<string>>();

  add(name: string | null, member: string): void {
    if (name === null) return;
    const group = this.groups.get(name);
    if (group === undefined) this.groups.set(name, new Set([member]));
    else group.add(member);
  }

  remove(name: string | null, member: string): void {
    const group = name === null ? undefined : this.groups.get(name);
    if (group?.delete(member) && group.size === 0) this.groups.delete(name!);
  }

  members(name: string): string[] {
    return [...(this.groups.get(name) ?? [])];
  }
}
