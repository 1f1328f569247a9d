/** The rows, in the order they are run. */
import type { Row } from '../row.ts';
import { clientKill } from './client-kill.ts';
import { eatReply } from './eat-reply.ts';
import { failoverFewer, failoverMore, failoverSame } from './failover.ts';
import { flushAll } from './flushall.ts';
import { halfOpen } from './half-open.ts';
import { redisHangs } from './redis-hangs.ts';
import { restartEmpty } from './restart-empty.ts';
import { sigkill } from './sigkill.ts';
import { silentRedis } from './silent-redis.ts';

export const rows: readonly Row[] = [
  sigkill,
  clientKill,
  halfOpen,
  silentRedis,
  redisHangs,
  restartEmpty,
  flushAll,
  failoverFewer,
  failoverSame,
  failoverMore,
  eatReply,
];
