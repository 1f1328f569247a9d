import { Redis, type RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisTarget } from '../../protocol/redis-url.ts';

/** What is told to whoever runs the node. */
export interface BackboneLog {
  info(message: string): void;
  warn(message: string): void;
}

export interface ConnectionParts {
  readonly url: string;
  /** Names the connection in CLIENT LIST: no spaces. */
  readonly name: string;
  /** ms a command may take. */
  readonly timeoutMs: number;
  /** ms between PINGs. */
  readonly heartbeatMs: number;
  /** Commands that may wait for an answer; more are refused at once. */
  readonly maxPending: number;
  readonly log: BackboneLog;
}

/** A command without an answer. */
interface Pending {
  readonly deadline: number;
  /** As many as it stands for. */
  readonly count: number;
  readonly reject: (error: Error) => void;
}

/**
 * Where ioredis is to connect. With Sentinel each connect asks anew who the master is; Sentinels close the connections
 * to a master they demote. The failover detector of ioredis is left out: it ends a client that is connecting for good.
 */
function place({ hosts, master, username, password, db, tls }: RedisTarget): RedisOptions {
  const login = {
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  };
  if (master === undefined) return { ...login, ...hosts[0]! };
  return { ...login, sentinels: [...hosts], name: master, role: 'master' };
}

/** A connection with something unanswered is cut after being silent for so many command timeouts. */
const SILENCE = 2;
/** How often all Sentinels are asked for the master before a start fails. */
const SENTINEL_TRIES = 3;
/** ms before a client that gave up connects again. */
const AGAIN_MS = 500;
/** The clock is looked at so often in each command timeout. */
const BEATS = 10;

/**
 * One connection to Redis that comes back by itself.
 *
 * Every command settles: with Redis' answer, or with an error at its deadline at the latest; after such an error it
 * may have been executed. Nothing waits while there is no connection, and nothing is sent twice. A connection that
 * accepts bytes and gives none (half open, hung) is cut and made anew: ioredis alone would keep it.
 */
export class Connection {
  /** host:port, for messages. */
  readonly address: string;
  private readonly redis: Redis;
  private readonly parts: ConnectionParts;
  private readonly pending = new Set<Pending>();
  /** What they stand for, together. */
  private waiting = 0;
  private readonly readyListeners: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  /** It was ready: its end is news, a failed attempt to come back is not. */
  private up = false;
  private everUp = false;
  private full = false;
  private problem = 'it does not answer';
  /** Bumped whenever the connection ends: tells what belongs to an earlier one. */
  private linkNumber = 1;

  // All times are performance.now().
  private unanswered = 0;
  /** Something was heard since the last beat. */
  private heard = true;
  private silentSince = 0;
  private lastBeat = 0;
  private lastPing = 0;
  private corked: Redis['stream'] | undefined;

  constructor(parts: ConnectionParts) {
    this.parts = parts;
    const target = parseRedisUrl(parts.url);
    const places = target.hosts.map(({ host, port }) => `${host}:${port}`).join(',');
    this.address = target.master === undefined ? places : `${target.master} of ${places}`;
    this.redis = new Redis({
      ...place(target),
      lazyConnect: true,
      connectionName: parts.name,
      connectTimeout: parts.timeoutMs * SILENCE,
      disconnectTimeout: 100, // ms for a polite end; ioredis keeps the process up for as long
      enableOfflineQueue: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0, // rejects what was in flight as soon as the connection ends
      maxLoadingRetryTime: 1000,
      retryStrategy: (attempt) => Math.random() * Math.min(2000, 50 * 2 ** Math.min(attempt, 6)),
      reconnectOnError: (error) => error.message.startsWith('READONLY'), // a master that was demoted
      // Sentinels that cannot be reached at the start are news; later on they are asked until they can.
      sentinelRetryStrategy: (attempt) => {
        if (!this.everUp && attempt >= SENTINEL_TRIES) return null;
        return Math.random() * Math.min(1000, 50 * 2 ** Math.min(attempt, 6));
      },
      sentinelCommandTimeout: parts.timeoutMs,
    });
    this.redis.on('error', (error: Error) => {
      this.problem = error.message;
    });
    this.redis.on('connect', () => this.beginSilence());
    this.redis.on('ready', () => {
      this.up = true;
      this.everUp = true;
      this.problem = 'it was closed';
      this.parts.log.info(`Redis ${this.address}: ${this.parts.name} connected`);
      for (const listener of this.readyListeners) listener();
    });
    this.redis.on('close', () => this.lost());
    this.redis.on('end', () => this.again());
  }

  get ready(): boolean {
    return this.redis.status === 'ready' && this.redis.stream.writable;
  }

  /** Ready, and answering within the command timeout as far as known. */
  get healthy(): boolean {
    const silent = this.unanswered > 0 && performance.now() - this.silentSince > this.parts.timeoutMs;
    return this.ready && !silent && !this.full;
  }

  /** Whether the queue is full. Once it was, it is until half of it is gone: what overflows must not flutter. */
  private isFull(): boolean {
    const { maxPending } = this.parts;
    this.full = this.waiting >= (this.full ? maxPending / 2 : maxPending);
    return this.full;
  }

  /** The number of the connection there is; another one after every loss. */
  get link(): number {
    return this.linkNumber;
  }

  /** Connects for the first time. Rejects, and is closed, if that fails. */
  async open(): Promise<void> {
    this.beginSilence();
    this.timer = setInterval(() => this.beat(), this.parts.timeoutMs / BEATS);
    try {
      await this.redis.connect();
    } catch {
      this.close();
      throw new Error(
        `cannot use Redis at ${this.address}: ${this.problem.split('\n', 1)[0]}; ` +
          'check that it runs, and host, port, user and password in REDIS_URL',
      );
    }
  }

  /** Calls back on every later connect. Subscriptions are gone by then. */
  onReady(listener: () => void): void {
    this.readyListeners.push(listener);
  }

  onMessage(listener: (channel: Buffer, payload: Buffer) => void): void {
    this.redis.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
      this.heard = true;
      listener(channel, payload);
    });
  }

  /**
   * Sends a command. Those of one turn of the event loop share a write.
   * @param count as how many it counts, where it does the work of many
   */
  run<T>(command: (redis: Redis) => Promise<T>, count = 1): Promise<T> {
    if (!this.ready) return Promise.reject(new Error(`Redis ${this.address}: not connected`));
    if (this.isFull()) {
      const why = `${this.waiting} commands wait for an answer, no more are taken`;
      return Promise.reject(new Error(`Redis ${this.address}: ${why}`));
    }
    this.shareWrite();
    if (this.unanswered++ === 0) this.beginSilence();
    const link = this.linkNumber;
    return new Promise<T>((resolve, reject) => {
      const pending = { deadline: performance.now() + this.parts.timeoutMs, count, reject };
      this.pending.add(pending);
      this.waiting += count;
      const settled = () => {
        this.forget(pending);
        if (this.full) this.isFull();
        if (link !== this.linkNumber) return;
        this.unanswered -= 1;
        this.heard = true;
      };
      this.issue(command).then(
        (value) => {
          settled();
          resolve(value);
        },
        (error) => {
          settled();
          reject(error);
        },
      );
    });
  }

  /** Ends the connection, and makes a new one. */
  cut(why: string): void {
    if (this.closed) return;
    this.parts.log.warn(`Redis ${this.address}: ${this.parts.name} cut, ${why}`);
    this.problem = why;
    this.beginSilence();
    this.redis.stream.destroy();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    this.redis.disconnect();
    this.redis.stream?.destroy();
    for (const { reject } of this.pending) reject(new Error(`Redis ${this.address}: stopped`));
    this.pending.clear();
    this.waiting = 0;
  }

  /** The command, with what ioredis throws turned into a rejection. */
  private issue<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      return command(this.redis);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private lost(): void {
    this.linkNumber += 1;
    this.unanswered = 0;
    this.beginSilence();
    if (this.up && !this.closed) {
      this.parts.log.warn(`Redis ${this.address}: ${this.parts.name} lost, ${this.problem}`);
    }
    this.up = false;
  }

  /** ioredis gives up where connecting fails in an odd way, as when a Sentinel answers nonsense: it is told to go on. */
  private again(): void {
    if (this.closed || !this.everUp) return;
    setTimeout(() => {
      if (!this.closed && this.redis.status === 'end') this.redis.connect().catch(() => {});
    }, AGAIN_MS).unref();
  }

  private beginSilence(): void {
    this.silentSince = performance.now();
    this.heard = false;
  }

  private beat(): void {
    const now = performance.now();
    const { timeoutMs, heartbeatMs } = this.parts;
    const stalled = now - this.lastBeat > timeoutMs && this.lastBeat > 0;
    this.lastBeat = now;
    // This process slept, not Redis: answers may lie in the socket, so they are read first.
    if (stalled || this.heard) this.beginSilence();
    if (stalled) return;
    this.expire(now);
    const silent = now - this.silentSince > timeoutMs * SILENCE;
    if (!this.ready) {
      // A handshake has no deadline in ioredis.
      if (silent && this.redis.status === 'connect') this.cut('the handshake took too long');
    } else if (silent && this.unanswered > 0) {
      this.cut('it does not answer');
    } else if (now - this.lastPing >= heartbeatMs) {
      this.lastPing = now;
      this.run((redis) => redis.ping()).catch(() => {}); // its deadline is the silence it leaves
    }
  }

  /** Rejects what is late. All have the same timeout, so the oldest come first. */
  private expire(now: number): void {
    for (const pending of this.pending) {
      if (pending.deadline > now) return;
      this.forget(pending);
      pending.reject(new Error(`Redis ${this.address}: no answer in ${this.parts.timeoutMs} ms`));
    }
  }

  private forget(pending: Pending): void {
    if (this.pending.delete(pending)) this.waiting -= pending.count;
  }

  private shareWrite(): void {
    const { stream } = this.redis;
    if (this.corked === stream) return;
    this.corked = stream;
    stream.cork();
    setImmediate(() => {
      if (this.corked === stream) this.corked = undefined;
      stream.uncork();
    });
  }
}
