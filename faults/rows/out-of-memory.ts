import type { Row } from '../row.ts';

const FULL_MS = 3000;

export const outOfMemory: Row = {
  name: 'redis-oom',
  number: '34',
  fault: `Redis is full (maxmemory 1mb, noeviction) for ${FULL_MS / 1000} s: it refuses every write`,
  pass: 'the backend is told (503) and its retries succeed afterwards; reads, Pub/Sub and sockets go on; no process ends',
  without: ['refusal'],
  twin: 'a write that Redis refused is answered as if it had been taken',
  limits: { detectMs: 1000, convergeMs: 1500 },
  async run(stage) {
    const { redis, nodes, urls, company, orders } = await stage.site();
    const count = stage.quick ? 20 : 100;
    const apps = new Set(await stage.watch(company, orders, count, urls));
    const riders = await stage.riders(company, orders, urls[0]!);
    riders.keepPinging(2);
    await stage.pause(1000);
    const shown = () => stage.audience.sights.filter(([, , what]) => what === 'position').length;
    stage.injected();
    await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
    const before = shown();
    const stop = company.keepPosting(orders, 20);
    await stage.pause(FULL_MS / 2);
    const late = await stage.watch(company, orders, 10, urls); // reads are served
    await stage.pause(FULL_MS / 2);
    const meanwhile = shown() - before;
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    stage.healed();
    await stop();
    await riders.rest();
    await stage.quiet(3000);
    const failures = await Promise.all(
      nodes.map((node) => stage.metric(node, 'ridecast_store_failures_total')),
    );
    const lost = stage.audience.sights.filter(
      ([app, , what, , n]) => what === 'link' && n === 0 && apps.has(app),
    ).length;
    return {
      'calls answered with an error': company.refused,
      'positions not stored at once': failures.reduce((a, b) => a + b, 0),
      'positions shown meanwhile': meanwhile,
      'apps that came meanwhile': late.length,
      'links lost': lost,
    };
  },
  problems(_, extra) {
    const problems = [];
    if (!(Number(extra['calls answered with an error']) > 0)) problems.push('the backend was not told');
    if (!(Number(extra['positions shown meanwhile']) > 0)) problems.push('positions stood still');
    if (extra['links lost'] !== 0) problems.push(`${extra['links lost']} links were lost`);
    if (Number.isNaN(extra['positions not stored at once'])) problems.push('a process ended');
    return problems;
  },
};
