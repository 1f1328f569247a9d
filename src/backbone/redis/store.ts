import { randomBytes } from 'node:crypto';
import type { LogEntry } from '../../protocol/bus-messages.ts';
import { channelName } from '../../protocol/channel.ts';
import type { Cursor } from '../../protocol/messages.ts';
import type { ZonedPosition } from '../../protocol/positions.ts';
import {
  INDEX_TTL,
  LOG_ENTRIES,
  REVOCATION_TTL,
  SESSION_TTL,
  sessionFloor,
  TOMBSTONE_TTL,
} from '../limits.ts';
import type {
  Append,
  Appended,
  LogState,
  LogTail,
  OrderIndex,
  Recovered,
  Revocation,
  Store,
} from '../store.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { parsePosition, positionText } from './position-text.ts';
import { Script } from './script.ts';
import { type Note, Zones } from './zones.ts';

/** Keys in one command. */
const CHUNK = 512;

/** The store in Redis: what must be atomic is a Lua script, and the scripts' keys share a hash tag. */
export class RedisStore implements Store {
  private readonly redis: Connection;
  private readonly keys: Keys;
  private readonly positionTtlMs: number;
  private readonly zones: Zones;
  private readonly put = new Script('put-positions');
  private readonly next = new Script('next-session');
  private readonly append_ = new Script('append');
  private readonly recover_ = new Script('recover');
  private readonly index = new Script('index-order');
  private readonly revoke_ = new Script('revoke');

  constructor(redis: Connection, keys: Keys, positionTtlMs: number) {
    this.redis = redis;
    this.keys = keys;
    this.positionTtlMs = positionTtlMs;
    this.zones = new Zones(redis, keys, positionTtlMs);
  }

  async putPositions(positions: readonly ZonedPosition[]): Promise<void> {
    const puts: Promise<number[]>[] = [];
    for (let from = 0; from < positions.length; from += CHUNK) {
      puts.push(this.putSome(positions.slice(from, from + CHUNK)));
    }
    const zones = positions.map(({ zone }) => zone);
    const kept = (await Promise.all(puts)).flat();
    // After the positions: who finds a rider in a zone must find its position there. They may have been written anew since.
    const due: Note[] = [];
    positions.forEach(({ rider, heardAt }, i) => {
      const zone = zones[i]!;
      if (zone !== null && kept[i] !== 0 && this.zones.isDue(rider, kept[i] === 2))
        due.push({ rider, zone, heardAt });
    });
    await this.zones.note(due);
  }

  async getPositions(riders: readonly string[]): Promise<(ZonedPosition | undefined)[]> {
    const reads: Promise<(ZonedPosition | undefined)[]>[] = [];
    for (let from = 0; from < riders.length; from += CHUNK) {
      reads.push(this.readPositions(riders.slice(from, from + CHUNK)));
    }
    return (await Promise.all(reads)).flat();
  }

  async zonePositions(zone: string): Promise<ZonedPosition[]> {
    const noted = await this.zones.riders(zone);
    const positions = await this.getPositions(noted.map(({ rider }) => rider));
    this.zones.prune(
      zone,
      noted.filter((_, i) => positions[i]?.zone !== zone),
    );
    return positions.filter((position) => position?.zone === zone) as ZonedPosition[];
  }

  async nextSession(rider: string): Promise<number> {
    const floor = sessionFloor(Date.now());
    return Number(await this.next.run(this.redis, [this.keys.rider(rider, 'n')], [floor, SESSION_TTL]));
  }

  async currentSession(rider: string): Promise<number> {
    return Number(await this.redis.run((redis) => redis.get(this.keys.rider(rider, 'n'))));
  }

  async append({ order, key, expect, data, snapshot, ttl }: Append): Promise<Appended> {
    const keys = [
      ...this.logKeys(order),
      this.keys.order(order, `i:${key}`),
      this.keys.channel(channelName('order', order)),
    ];
    const args = [expect, ttl, randomId(), randomId(), Date.now(), data, snapshot, LOG_ENTRIES];
    const [result, ...rest] = (await this.append_.run(this.redis, keys, args)) as [string, ...string[]];
    if (result === 'conflict') return { result, offset: Number(rest[0]) };
    return { result: result as 'appended' | 'duplicate', cursor: cursorOf(rest) };
  }

  async readOrder(order: string): Promise<LogState | undefined> {
    const reply = await this.readReply(order, []);
    return reply && stateOf(reply);
  }

  async readLog(order: string, tail: number): Promise<LogTail | undefined> {
    const reply = await this.readReply(order, [tail]);
    return reply && { ...stateOf(reply), entries: entriesOf(reply) };
  }

  async heads(orders: readonly string[]): Promise<(Cursor | undefined)[]> {
    const reads = orders.map((order) =>
      this.redis.run((redis) => redis.hmget(this.keys.order(order, 'm'), 'e', 's', 'h')),
    );
    const heads = await Promise.all(reads);
    return heads.map((head) => (head[0] === null ? undefined : cursorOf(head as string[])));
  }

  async recover(order: string, since: Cursor, limit: number): Promise<Recovered | undefined> {
    const reply = await this.readReply(order, [since.epoch, since.offset, since.id, limit]);
    if (reply === undefined) return undefined;
    return { state: stateOf(reply), verdict: reply[4] as Recovered['verdict'], entries: entriesOf(reply) };
  }

  async indexOrder(
    { of, id }: OrderIndex,
    order: string,
    version: number,
    record: string | undefined,
  ): Promise<void> {
    const keys = [this.keys.index(of, id, 'o'), this.keys.index(of, id, `t:${order}`)];
    const put = record === undefined ? '0' : '1';
    await this.index.run(this.redis, keys, [order, version, put, record ?? '', INDEX_TTL, TOMBSTONE_TTL]);
  }

  async indexedOrders({ of, id }: OrderIndex): Promise<string[]> {
    const values = await this.redis.run((redis) => redis.hvals(this.keys.index(of, id, 'o')));
    return values.map((value) => value.slice(value.indexOf('|') + 1));
  }

  async revoke({ subject, before }: Revocation): Promise<void> {
    const now = Date.now();
    await this.revoke_.run(this.redis, [this.keys.revoked()], [subject, before, now + REVOCATION_TTL, now]);
  }

  async revocations(): Promise<Revocation[]> {
    const kept = await this.redis.run((redis) => redis.hgetall(this.keys.revoked()));
    return Object.entries(kept).map(([subject, text]) => ({ subject, before: Number.parseInt(text, 10) }));
  }

  private async putSome(positions: readonly ZonedPosition[]): Promise<number[]> {
    const keys: string[] = [];
    const args: (string | number)[] = [this.positionTtlMs];
    for (const position of positions) {
      keys.push(this.keys.rider(position.rider, 'p'));
      args.push(position.session, position.seq, positionText(position));
    }
    return (await this.put.run(this.redis, keys, args, keys.length)) as number[];
  }

  private async readPositions(riders: readonly string[]): Promise<(ZonedPosition | undefined)[]> {
    const keys = riders.map((rider) => this.keys.rider(rider, 'p'));
    const texts = await this.redis.run((redis) => redis.mget(...keys));
    return texts.map((text, i) => (text === null ? undefined : parsePosition(riders[i]!, text)));
  }

  private async readReply(order: string, args: readonly (string | number)[]): Promise<string[] | undefined> {
    const reply = await this.recover_.run(this.redis, this.logKeys(order), args);
    return (reply as string[] | null) ?? undefined;
  }

  private logKeys(order: string): string[] {
    return ['m', 's', 'st'].map((part) => this.keys.order(order, part));
  }
}

function cursorOf([epoch, offset, id]: readonly string[]): Cursor {
  return { epoch: epoch!, offset: Number(offset), id: id! };
}

function stateOf(reply: readonly string[]): LogState {
  return { cursor: cursorOf(reply), snapshot: reply[3]! };
}

/** Entries begin at the sixth field, five fields each. */
function entriesOf(reply: readonly string[]): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let i = 5; i < reply.length; i += 5) {
    entries.push({
      epoch: reply[0]!,
      offset: Number(reply[i]),
      id: reply[i + 1]!,
      prev: reply[i + 2]!,
      at: Number(reply[i + 3]),
      data: reply[i + 4]!,
    });
  }
  return entries;
}

/** 72 random bits; no character of it is a separator anywhere. */
function randomId(): string {
  return randomBytes(9).toString('base64url');
}
