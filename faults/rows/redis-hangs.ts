import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** Health is looked at once a second. */
const TOLD_MS = TIMES.REDIS_TIMEOUT_MS + 1000 + 500;
const ANSWER_MS = 2 * TIMES.REDIS_TIMEOUT_MS;

export const redisHangs: Row = {
  name: 'redis-hangs',
  number: '9',
  fault: 'Redis hangs (SIGSTOP) while a backend posts and riders ping',
  pass: `the backend is answered within ${ANSWER_MS} ms, every app is told \`degraded\` within ${TOLD_MS} ms and stays connected`,
  without: ['timeout'],
  twin: 'a command to Redis may take a minute',
  limits: { detectMs: TOLD_MS, convergeMs: 4 * TIMES.REDIS_TIMEOUT_MS + 2000 },
  async run(stage) {
    const { redis, urls, company, orders } = await stage.site();
    const apps = await stage.watch(company, orders, stage.quick ? 20 : 100, urls);
    const riders = await stage.riders(company, orders, urls[0]!);
    riders.keepPinging(10);
    const stop = company.keepPosting(orders, 20);
    await stage.pause(1000);
    stage.injected();
    const hungAt = Date.now();
    await redis.kill('SIGSTOP');
    await stage.pause(stage.seconds(10, 4) * 1000);
    await redis.kill('SIGCONT');
    stage.healed();
    await stage.pause(1000);
    await stop();
    await riders.rest();
    await stage.quiet(8000);
    const told = new Map(
      stage.audience.sights.flatMap(([app, at, what, , n]) =>
        what === 'degraded' && n === 1 ? [[app, at - hungAt]] : [],
      ),
    );
    const left = stage.audience.sights.filter(([, , what, , n]) => what === 'link' && n === 0).length;
    return {
      'apps told': told.size,
      'apps not told': apps.length - told.size,
      t_told_max_ms: Math.max(...told.values()),
      'slowest answer ms': Math.round(company.slowestAnswerMs),
      'links lost': left,
    };
  },
  problems(_, extra) {
    const problems: string[] = [];
    if (extra['apps not told'] !== 0) problems.push(`${extra['apps not told']} apps were not told`);
    if (Number(extra.t_told_max_ms) > TOLD_MS) problems.push(`told only after ${extra.t_told_max_ms} ms`);
    if (Number(extra['slowest answer ms']) > ANSWER_MS)
      problems.push(`the backend waited ${extra['slowest answer ms']} ms`);
    if (extra['links lost'] !== 0) problems.push(`${extra['links lost']} links were lost`);
    return problems;
  },
};
