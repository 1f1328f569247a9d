import type { Row } from '../row.ts';

const HZ = 10;
/** CREDIT_FRAMES: position frames in flight to an app. */
const CREDIT = 4;

export const staleAfterStall: Row = {
  name: 'stale-after-stall',
  number: '23',
  fault: `apps stop reading for a while, their riders ping ${HZ} times a second`,
  pass: `positions older than a second shown on resuming: at most the ${CREDIT} frames in flight (CREDIT_FRAMES); a fresh one within 1 s`,
  without: ['credit'],
  twin: 'apps never say how many frames they have handled: all that was sent lies in the buffers',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const env = { HEARTBEAT_MS: '60000', CREDIT_FRAMES: `${CREDIT}` };
    const { urls, company, orders } = await stage.site({ nodes: 1, orders: 5, env });
    const apps = await stage.watch(company, orders, stage.quick ? 10 : 50, urls);
    const riders = await stage.riders(company, orders, urls[0]!);
    riders.keepPinging(HZ);
    await stage.pause(1000);
    stage.injected();
    stage.audience.pause(apps);
    await stage.pause(stage.seconds(10, 4) * 1000);
    const newest = new Map(orders.map((order) => [order, stage.ledger.newestFix(order)!]));
    const resumedAt = Date.now();
    stage.healed();
    stage.audience.resume(apps);
    await stage.pause(1500);
    await riders.rest();
    await stage.pause(500);
    await stage.audience.collect();
    const old = new Map<number, number>();
    const freshAfter = new Map<number, number>();
    for (const [app, at, what, order, n] of stage.audience.sights) {
      if (what !== 'position' || at < resumedAt) continue;
      if (n < newest.get(order)! - HZ) old.set(app, (old.get(app) ?? 0) + 1);
      else if (!freshAfter.has(app)) freshAfter.set(app, at - resumedAt);
    }
    return {
      'old positions shown': Math.max(0, ...old.values()),
      'apps without a fresh one': apps.length - freshAfter.size,
      t_fresh_max_ms: Math.max(...freshAfter.values()),
    };
  },
  problems(_, extra) {
    const problems: string[] = [];
    if (Number(extra['old positions shown']) > CREDIT)
      problems.push(`${extra['old positions shown']} old positions shown`);
    if (extra['apps without a fresh one'] !== 0 || Number(extra.t_fresh_max_ms) > 1000)
      problems.push(`fresh only after ${extra.t_fresh_max_ms} ms`);
    return problems;
  },
};
