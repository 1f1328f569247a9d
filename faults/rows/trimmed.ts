import type { Row } from '../row.ts';

/** Events while the apps are away: more than one node replays, and more than the log keeps. */
const FEW = 10;
const MANY = 450;
/** The apps are refused for as long as it takes to post all that: their back-off has grown up to its cap when it is over. */
const BACK_MS = 30_000;

export const trimmed: Row = {
  name: 'trimmed',
  number: '16',
  fault: 'apps come back to a log that no longer has all they missed, or has more than is replayed',
  pass: 'one reset each, with the snapshot; never a part of what was missed',
  without: ['honesty', 'gap-check'],
  twin: 'what is left of a log is given and taken as if it were all that was missed',
  resets: 1,
  limits: { detectMs: 1000, convergeMs: BACK_MS },
  async run(stage) {
    const redis = await stage.redis();
    const small = await stage.gateway('small', redis.url, { MAX_REPLAY: '4' });
    const large = await stage.gateway('large', redis.url, { MAX_REPLAY: '1000', LINGER_MS: '0' });
    const other = await stage.gateway('other', redis.url);
    const company = stage.company([other]);
    const orders = await stage.give(company, 6);
    const [few, many] = [orders.slice(0, 3), orders.slice(3)];
    const paths = [await stage.proxy(small.port), await stage.proxy(large.port)];
    const urls = paths.map(({ port }) => `http://127.0.0.1:${port}`);
    const count = stage.quick ? 6 : 30;
    await stage.watch(company, few, count, [urls[0]!]);
    await stage.watch(company, many, count, [urls[1]!]);
    await Promise.all(orders.map((order) => company.post(order)));
    await stage.quiet(2000);
    stage.injected();
    for (const path of paths) {
      path.refuse(true);
      path.reset();
    }
    const post = async (to: readonly string[], events: number) => {
      for (let i = 0; i < events; i++) await Promise.all(to.map((order) => company.post(order)));
    };
    await Promise.all([post(few, FEW), post(many, MANY)]);
    for (const path of paths) path.refuse(false);
    stage.healed();
    await stage.quiet(BACK_MS);
    const resets = (reason: string) => async (node: typeof small) =>
      stage.metric(node, `ridecast_resets_total{reason="${reason}"`);
    return { limit: await resets('limit')(small), trimmed: await resets('trimmed')(large) };
  },
  problems: (_, { limit, trimmed }) =>
    limit === 0 || trimmed === 0 ? [`${limit} limit, ${trimmed} trimmed`] : [],
};
