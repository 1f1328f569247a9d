import { ATTACKS, type Attack, attack, mutated, randomAttack } from '../hostile.ts';
import type { Row } from '../row.ts';

const AT_ONCE = 20;
/** ms after which a socket that is still open is left: the hello timeout would be next. */
const LOOK_MS = 150;
/** ms the event loop of the gateway may stand still for one frame. */
const STALL_MS = 20;
/** ms between looks at the event loop: the metric has them in it. */
const PRECISION_MS = 10;

export const hostileFrames: Row = {
  name: 'hostile-frames',
  number: '31',
  fault: `${ATTACKS.length} kinds of hostile frames, mutations of them, and noise, while apps watch`,
  pass: `the process lives, no app loses its link, no single frame holds the event loop for more than ${STALL_MS} ms`,
  without: ['isolation'],
  twin: 'nobody catches what a frame that makes no sense throws',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const redis = await stage.redis();
    const node = await stage.gateway('attacked', redis.url);
    const backend = await stage.gateway('backend', redis.url);
    const company = stage.company([backend]);
    const orders = await stage.give(company, 5);
    const apps = new Set(await stage.watch(company, orders, 20, [node.url]));
    const stop = company.keepPosting(orders, 20);
    stage.injected();
    const slowest = await slowestOf(
      ATTACKS,
      (one) => attack(one, node.port, LOOK_MS),
      () => stage.metric(node, 'nodejs_eventloop_lag_max_seconds'),
    );
    const codes = new Map<number | 'open', number>();
    const rounds = stage.quick ? 5 : 40;
    for (let round = 0; round < rounds; round++) {
      const batch = ATTACKS.map((one) => (round % 2 === 0 ? mutated(one, () => stage.random()) : one));
      for (let i = 0; i < 50; i++) batch.push(randomAttack(() => stage.random()));
      for (let from = 0; from < batch.length; from += AT_ONCE) {
        const some = batch.slice(from, from + AT_ONCE);
        for (const code of await Promise.all(some.map((one) => attack(one, node.port, LOOK_MS))))
          codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    }
    const alive = !Number.isNaN(await stage.metric(node, 'ridecast_sessions'));
    await stop();
    stage.healed();
    await stage.quiet(3000);
    const lost = stage.audience.sights.filter(
      ([app, , what, , n]) => what === 'link' && n === 0 && apps.has(app),
    ).length;
    const sent = [...codes.values()].reduce((a, b) => a + b, 0) + ATTACKS.length;
    return {
      'frames sent': sent,
      'closed with': [...codes].map(([code, times]) => `${code} × ${times}`).join(' '),
      'longest stall ms': slowest.ms,
      by: slowest.name,
      alive,
      'links lost': lost,
    };
  },
  problems(_, extra, stage) {
    const problems = [];
    if (extra.alive !== true) problems.push('the process ended');
    if (extra['links lost'] !== 0) problems.push(`${extra['links lost']} links were lost`);
    if (Number(extra['longest stall ms']) > STALL_MS * stage.slack)
      problems.push(`${extra.by} held the event loop for ${extra['longest stall ms']} ms`);
    return problems;
  },
};

/** The attack that held the event loop longest, each on its own; the better of two tries, as others use this machine. */
async function slowestOf(
  attacks: readonly Attack[],
  run: (one: Attack) => Promise<unknown>,
  lagSeconds: () => Promise<number>,
): Promise<{ name: string; ms: number }> {
  let slowest = { name: '', ms: 0 };
  for (const one of attacks) {
    let ms = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 2; tries++) {
      await lagSeconds(); // reading it begins anew
      await run(one);
      ms = Math.min(ms, 1000 * (await lagSeconds()) - PRECISION_MS);
    }
    if (ms > slowest.ms) slowest = { name: one.name, ms: Math.round(ms * 10) / 10 };
  }
  return slowest;
}
