import type { Row } from '../row.ts';

export const orderEnds: Row = {
  name: 'order-ends',
  number: '37',
  fault: 'orders end under their watchers while the riders go on pinging; others come late',
  pass: 'positions shown after the end: 0; every watch ends with the last state; who comes late gets that state and no position',
  without: ['end'],
  twin: '`delivered` is no end (ORDER_END_STATUSES)',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const env = stage.without('end') ? { ORDER_END_STATUSES: 'cancelled' } : undefined;
    const { nodes, urls, company, orders } = await stage.site({ orders: 5, env });
    const apps = await stage.watch(company, orders, stage.quick ? 20 : 100, urls);
    const riders = await stage.riders(stage.company([nodes[0]!]), orders, urls[0]!);
    riders.keepPinging(10);
    await stage.pause(1000);
    stage.injected();
    await Promise.all(orders.map((order) => company.post(order, 'delivered')));
    const over = () => apps.every((id) => stage.audience.ended(id, orders[(id - 1) % orders.length]!));
    await stage.until('every watch is over', over, 2000).catch(() => {});
    await stage.audience.collect();
    const endedAt = Date.now();
    const late = await stage.watch(company, orders, 10, urls);
    await stage.pause(1000);
    await riders.rest();
    await stage.audience.collect();
    stage.healed();
    const { sights } = stage.audience;
    const after = (of: ReadonlySet<number>) =>
      sights.filter(([app, at, what]) => what === 'position' && at > endedAt && of.has(app)).length;
    return {
      'watches not over': apps.filter((id) => !stage.audience.ended(id, orders[(id - 1) % orders.length]!))
        .length,
      'positions before the end': sights.filter(([, at, what]) => what === 'position' && at <= endedAt)
        .length,
      'positions after the end': after(new Set(apps)),
      'positions to those who came late': after(new Set(late)),
    };
  },
  problems(_, extra) {
    const problems = ['watches not over', 'positions after the end', 'positions to those who came late']
      .filter((name) => extra[name] !== 0)
      .map((name) => `${name}: ${extra[name]}`);
    return extra['positions before the end'] === 0 ? [...problems, 'no position was ever shown'] : problems;
  },
};
