/** The backbone of a fleet: one Redis, two connections. This folder is the only importer of ioredis. */
import type { Backbone } from '../backbone.ts';
import { POSITION_TTL } from '../limits.ts';
import { RedisBus } from './bus.ts';
import { type BackboneLog, Connection } from './connection.ts';
import { Keys } from './keys.ts';
import { RedisStore } from './store.ts';

export interface RedisBackboneOptions {
  /** One of the forms in protocol/redis-url.ts. Redis 6.2 or newer, `noeviction`. */
  readonly url: string;
  /** Put before every key and channel. No braces. */
  readonly prefix?: string;
  /** ms a command, or a subscribe with its reconnect, may take. */
  readonly commandTimeoutMs?: number;
  /** ms between the PINGs on each connection, and between the looks at whether messages arrive. */
  readonly heartbeatMs?: number;
  /** Commands that may wait for an answer on one connection; more are refused, and the node says `degraded`. */
  readonly maxPending?: number;
  /** ms a position is kept. */
  readonly positionTtlMs?: number;
  readonly log?: BackboneLog;
}

const silent: BackboneLog = { info() {}, warn() {} };

/** One node's backbone over one Redis, or over the master that Sentinels know. Commands fail fast while Redis is away; both connections come back. */
export function redisBackbone({
  url,
  prefix = 'ridecast:',
  commandTimeoutMs = 2000,
  heartbeatMs = 5000,
  maxPending = 50_000,
  positionTtlMs = POSITION_TTL,
  log = silent,
}: RedisBackboneOptions): Backbone {
  const keys = new Keys(prefix);
  const connect = (name: string) =>
    new Connection({ url, name, timeoutMs: commandTimeoutMs, heartbeatMs, maxPending, log });
  const commands = connect('ridecast-commands');
  const subscriber = connect('ridecast-subscriber');
  const store = new RedisStore(commands, keys, positionTtlMs);
  const bus = new RedisBus({
    commands,
    subscriber,
    keys,
    timeoutMs: commandTimeoutMs,
    probeMs: heartbeatMs,
    log,
  });
  const stop = async () => {
    bus.stop();
    commands.close();
  };
  return {
    kind: 'redis',
    bus,
    store,
    async start() {
      try {
        await commands.open();
        await bus.start();
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    healthy: () => commands.healthy && bus.healthy,
  };
}
