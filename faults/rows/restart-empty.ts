import type { Row } from '../row.ts';

/** Events each order had, and gets again after it was put back: fewer, as many, and more than there were. */
const BEFORE = 5;

export const restartEmpty: Row = {
  name: 'restart-empty',
  number: '10',
  fault: 'Redis is killed and comes back empty; the backend puts the orders back',
  pass: 'lost 0 against the database; one reset each; right 1 s after the orders are back',
  without: ['epoch'],
  twin: 'a cursor is an offset only: a log that was begun anew looks like the old one',
  resets: 2, // lost, then epoch
  limits: { detectMs: 1500, convergeMs: 1500 },
  async run(stage) {
    const env = { CHECK_MS: '600000' };
    const { redis, nodes, urls, company, orders } = await stage.site({ orders: 9, env });
    await stage.watch(company, orders, stage.quick ? 18 : 90, urls);
    for (let i = 0; i < BEFORE; i++) await Promise.all(orders.map((order) => company.post(order)));
    await stage.quiet(1000);
    stage.injected();
    await redis.kill();
    await stage.pause(300);
    await redis.restart();
    await stage.healthy(nodes);
    await Promise.all(orders.map((order) => company.restore(order)));
    for (let i = 0; i < 2 * BEFORE; i++)
      await Promise.all(
        orders.slice(0, 1 + (9 * (2 * BEFORE - i)) / (2 * BEFORE)).map((order) => company.post(order)),
      );
    stage.healed();
    await stage.quiet(3000);
    return {};
  },
};
