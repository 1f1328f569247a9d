/** The rows, in the order they are run. */
import type { Row } from '../row.ts';
import { clientKill } from './client-kill.ts';
import { clockSkew } from './clock-skew.ts';
import { deploy } from './deploy.ts';
import { eatReply } from './eat-reply.ts';
import { failoverFewer, failoverMore, failoverSame } from './failover.ts';
import { flushAll } from './flushall.ts';
import { halfOpen } from './half-open.ts';
import { halfOpenDrop } from './half-open-drop.ts';
import { halfOpenPhone } from './half-open-phone.ts';
import { hostileFrames } from './hostile-frames.ts';
import { hotChannel } from './hot-channel.ts';
import { jitter } from './jitter.ts';
import { lateHistory } from './late-history.ts';
import { networkSwitch } from './network-switch.ts';
import { oneNodeDark } from './one-node-dark.ts';
import { orderEnds } from './order-ends.ts';
import { outOfMemory } from './out-of-memory.ts';
import { overflow } from './overflow.ts';
import { poison } from './poison.ts';
import { producerDies } from './producer-dies.ts';
import { readOnly } from './readonly.ts';
import { redisHangs } from './redis-hangs.ts';
import { restartEmpty } from './restart-empty.ts';
import { riderFloods } from './rider-floods.ts';
import { sentinelHang } from './sentinel-hang.ts';
import { shuffledPings } from './shuffled-pings.ts';
import { sigkill } from './sigkill.ts';
import { silentFlood } from './silent-flood.ts';
import { silentRedis } from './silent-redis.ts';
import { staleAfterStall } from './stale-after-stall.ts';
import { stall } from './stall.ts';
import { stalledReader } from './stalled-reader.ts';
import { storm } from './storm.ts';
import { thinLine } from './thin-line.ts';
import { tokenExpires } from './token-expires.ts';
import { trimmed } from './trimmed.ts';

export const rows: readonly Row[] = [
  sigkill,
  deploy,
  stall,
  oneNodeDark,
  clientKill,
  overflow,
  halfOpen,
  halfOpenDrop,
  silentRedis,
  redisHangs,
  outOfMemory,
  restartEmpty,
  flushAll,
  failoverFewer,
  failoverSame,
  failoverMore,
  sentinelHang,
  readOnly,
  trimmed,
  lateHistory,
  eatReply,
  producerDies,
  shuffledPings,
  clockSkew,
  riderFloods,
  stalledReader,
  staleAfterStall,
  halfOpenPhone,
  networkSwitch,
  thinLine,
  hotChannel,
  silentFlood,
  poison,
  hostileFrames,
  tokenExpires,
  orderEnds,
  jitter,
  storm,
];
