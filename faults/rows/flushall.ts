import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** A look at the store is due, and it takes a moment. */
const LIMIT_MS = TIMES.CHECK_MS + 500;

export const flushAll: Row = {
  name: 'flushall',
  number: '11',
  fault: 'FLUSHALL while nothing happens and the bus stays up; later the backend puts the orders back',
  pass: `every app is told within CHECK_MS and a moment: ${LIMIT_MS} ms; one more reset when the orders are back`,
  without: ['check'],
  twin: 'no periodic look at where the store says an order stands',
  resets: 2, // lost, then epoch
  limits: { detectMs: LIMIT_MS, convergeMs: LIMIT_MS },
  async run(stage) {
    const { redis, urls, company, orders } = await stage.site();
    const apps = await stage.watch(company, orders, stage.quick ? 20 : 100, urls);
    for (let i = 0; i < 3; i++) await Promise.all(orders.map((order) => company.post(order)));
    await stage.quiet(2000);
    stage.injected();
    const lostAt = Date.now();
    await redis.command('FLUSHALL');
    await stage.pause(2 * TIMES.CHECK_MS);
    await stage.audience.collect();
    const told = stage.audience.sights.filter(([, , what]) => what === 'reset').map(([, at]) => at - lostAt);
    await Promise.all(orders.map((order) => company.restore(order)));
    stage.healed();
    await stage.quiet(5000);
    return {
      'apps told': told.length,
      'apps not told': apps.length - told.length,
      t_told_max_ms: Math.max(0, ...told),
    };
  },
  problems(_, extra) {
    if (extra['apps not told'] !== 0)
      return [`${extra['apps not told']} apps were not told that their order is gone`];
    return Number(extra.t_told_max_ms) > LIMIT_MS ? [`told only after ${extra.t_told_max_ms} ms`] : [];
  },
};
