import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** A probe or PING is due, its answer does not come, and the link is made anew. */
const LIMIT_MS = 2 * TIMES.REDIS_PROBE_MS + 2 * TIMES.REDIS_TIMEOUT_MS + 1000;

export const halfOpen: Row = {
  name: 'redis-half-open',
  number: '7',
  fault: "a gateway's connections to Redis stay open and carry nothing any more",
  pass: `found by the probe alone (CHECK_MS is off) within two probes, two command timeouts and a reconnect: ${LIMIT_MS} ms`,
  without: ['probe'],
  twin: 'nobody looks whether Redis answers and messages arrive',
  limits: { detectMs: LIMIT_MS, convergeMs: LIMIT_MS },
  async run(stage) {
    const redis = await stage.redis();
    const link = await stage.proxy(redis.port);
    const env = { CHECK_MS: '600000' };
    const cut = await stage.gateway('cut', `redis://127.0.0.1:${link.port}`, env);
    const whole = await stage.gateway('whole', redis.url, env);
    const company = stage.company([whole]);
    const orders = await stage.give(company, 10);
    await stage.watch(company, orders, stage.quick ? 20 : 100, [cut.url]);
    const rounds = stage.quick ? 1 : 3;
    for (let round = 0; round < rounds; round++) {
      if (round === 0) stage.injected();
      link.sever();
      stage.healed();
      await Promise.all(orders.map((order) => company.post(order)));
      await stage.quiet(LIMIT_MS + 1000);
    }
    return { rounds, generations: await stage.metric(cut, 'ridecast_generations_total') };
  },
};
