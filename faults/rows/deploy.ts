import type { Row } from '../row.ts';

const WINDOW_S = 3;

export const deploy: Row = {
  name: 'rolling-deploy',
  number: '2',
  fault:
    'three gateways are replaced one after the other (SIGTERM) while events flow; the new one is up first',
  pass: `lost 0, and no second has more than 1.5 times the arrivals of an even spread over ${WINDOW_S} s`,
  without: ['drain window'],
  twin: 'every app is told to leave at once (DRAIN_SPREAD_MS is 0)',
  limits: { detectMs: 1000, convergeMs: 3000 },
  async run(stage) {
    const redis = await stage.redis();
    const spread = stage.without('drain window') ? 0 : WINDOW_S * 1000;
    const start = (n: number) => stage.gateway(`node-${n}`, redis.url, { DRAIN_SPREAD_MS: `${spread}` });
    const nodes = await Promise.all([1, 2, 3].map(start));
    // The load balancer: whoever dials gets the next node that takes connections.
    let inRotation = [...nodes];
    let next = 0;
    const balancer = await stage.proxy(() => inRotation[next++ % inRotation.length]!.port);
    const url = `http://127.0.0.1:${balancer.port}`;
    const company = stage.company([{ url }]);
    const orders = await stage.give(company, 30);
    const count = stage.quick ? 300 : 600;
    await stage.watch(company, orders, count, [url]);
    const stop = company.keepPosting(orders, 30);
    stage.injected();
    let [worst, crowded] = [0, 0];
    for (const [i, node] of nodes.entries()) {
      inRotation = [...inRotation.filter((one) => one !== node), await start(4 + i)];
      await stage.audience.collect();
      const before = stage.audience.sights.length;
      const sessions = await stage.metric(node, 'ridecast_sessions');
      await node.stop();
      await stage.until('every app is live', () => stage.audience.ready(), 10_000);
      await stage.audience.collect();
      const arrivals = stage.audience.sights
        .slice(before)
        .flatMap(([, at, what, , n]) => (what === 'link' && n === 1 ? [at] : []));
      const most = peak(arrivals, 1000);
      const times = (most * WINDOW_S) / sessions;
      if (times > worst) [worst, crowded] = [times, most];
    }
    stage.healed();
    await stop();
    await stage.quiet(3000);
    return {
      apps: count,
      'peak arrivals a second': crowded,
      'times an even spread': Math.round(100 * worst) / 100,
    };
  },
  problems: (_, extra) =>
    Number(extra['times an even spread']) > 1.5
      ? [`${extra['peak arrivals a second']} arrivals in one second`]
      : [],
};

/** The most moments in any stretch of so many ms. */
function peak(moments: readonly number[], ms: number): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let [most, from] = [0, 0];
  for (let to = 0; to < sorted.length; to++) {
    while (sorted[to]! - sorted[from]! >= ms) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
