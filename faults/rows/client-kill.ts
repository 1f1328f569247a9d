import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const KILLS_MS = 40;

/** Every subscriber connection is killed again and again while each order gets one event, and then nothing more. */
export const clientKill: Row = {
  name: 'client-kill',
  number: '5',
  fault: 'Pub/Sub connections killed, an event to every order meanwhile, then silence',
  pass: 'found by the new generation alone (CHECK_MS is off): within a reconnect, 1 s',
  without: ['generation'],
  twin: 'nothing is read again after the reconnect',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const env = { CHECK_MS: '600000' };
    const { redis, nodes, urls, company, orders } = await stage.site({ env });
    await stage.watch(company, orders, stage.quick ? 20 : 100, urls);
    const kill = () => redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    const rounds = stage.seconds(10, 3);
    stage.injected();
    for (let round = 0; round < rounds; round++) {
      // First, and only then the events: nobody listens when they are published.
      await kill();
      let posting = true;
      const posted = Promise.all(orders.map((order) => company.post(order))).then(() => {
        posting = false;
      });
      while (posting) {
        await Promise.race([posted, stage.pause(KILLS_MS)]);
        if (posting) await kill();
      }
      await posted;
      stage.healed();
      await stage.quiet(2 * TIMES.REDIS_TIMEOUT_MS);
    }
    const generations = await stage.metric(nodes[0]!, 'ridecast_generations_total');
    return { kills: rounds, generations };
  },
};
