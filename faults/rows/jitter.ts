import type { Row } from '../row.ts';

const OFF_MS = 2000;
const ON_MS = 5000;

export const jitter: Row = {
  name: 'jitter',
  number: '26',
  fault:
    'the network goes away for 2 s and is back for 5 s, again and again; for half of the apps the sockets are reset each time',
  pass: '100 % of the events, none as a snapshot',
  without: ['resume'],
  twin: 'apps do not say where they stood: what they missed comes as a snapshot',
  // The SDK counts a link as healthy after 10 s: here it never is, and the back-off grows to its cap of 30 s.
  limits: { detectMs: OFF_MS + 1000, convergeMs: 32_000 },
  async run(stage) {
    const { nodes, company, orders } = await stage.site({ orders: 20 });
    const stalled = await stage.proxy(nodes[0]!.port);
    const broken = await stage.proxy(nodes[1]!.port);
    const count = stage.quick ? 10 : 100;
    const paths = [stalled, broken].map(({ port }) => `http://127.0.0.1:${port}`);
    for (const path of paths) await stage.watch(company, orders, count, [path]);
    const stop = company.keepPosting(orders, 20);
    stage.injected();
    const until = Date.now() + (stage.quick ? 30_000 : stage.isTwin ? 60_000 : 300_000);
    let drops = 0;
    while (Date.now() < until) {
      drops++;
      stalled.set({ blackhole: true });
      broken.refuse(true);
      broken.reset();
      await stage.pause(OFF_MS);
      stalled.clear();
      broken.refuse(false);
      await stage.pause(ON_MS);
    }
    await stop();
    stage.healed();
    await stage.quiet(35_000);
    const posted = new Map(orders.map((order) => [order, stage.ledger.turns(order).length - 1]));
    const due = [...stage.audience.apps.values()].reduce((sum, app) => sum + posted.get(app.orders[0]!)!, 0);
    const applied = stage.audience.sights.filter(([, , what]) => what === 'event').length;
    return { drops, 'delivered %': Math.round((10_000 * applied) / due) / 100 };
  },
  problems: (_, extra) => (extra['delivered %'] === 100 ? [] : [`${extra['delivered %']} % delivered`]),
};
