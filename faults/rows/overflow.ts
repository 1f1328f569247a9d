import { say } from '../resp.ts';
import type { Row } from '../row.ts';

const MESSAGES = 64;

export const overflow: Row = {
  name: 'buffer-overflow',
  number: '6',
  fault: "a gateway's subscriber falls behind and Redis closes it (client-output-buffer-limit)",
  pass: 'on waking all is read again (CHECK_MS is off): lost 0 within 1.5 s',
  without: ['generation'],
  twin: 'nothing is read again after the reconnect',
  limits: { detectMs: 4500, convergeMs: 1500 }, // the stall itself takes up to 3 s
  async run(stage) {
    const env = { CHECK_MS: '600000', HEARTBEAT_MS: '15000' };
    const { redis, nodes, urls, company, orders } = await stage.site({ env });
    await redis.command('CONFIG', 'SET', 'client-output-buffer-limit', '"pubsub 1mb 1mb 1"');
    await stage.watch(company, orders, stage.quick ? 20 : 100, [urls[1]!]);
    const other = stage.company([nodes[0]!]);
    const subscribers = async () =>
      (await redis.command('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('addr=').length - 1;
    const before = await subscribers();
    stage.injected();
    nodes[1]!.signal('SIGSTOP');
    stage.finally(async () => nodes[1]!.signal('SIGCONT'));
    // Nobody knows such a message: it is dropped, but has to be carried.
    const flood = Buffer.alloc(1 << 20, 0xc1);
    for (let i = 0; i < MESSAGES && (await subscribers()) === before; i++)
      await say(redis.port, 'PUBLISH', `ridecast:{o:${orders[0]}}`, flood);
    const closed = (await subscribers()) < before;
    await Promise.all(orders.map((order) => other.post(order)));
    nodes[1]!.signal('SIGCONT');
    stage.healed();
    await stage.quiet(5000);
    return { closed, dropped: await stage.metric(nodes[1]!, 'ridecast_bus_drops_total') };
  },
  problems: (_, { closed }) => (closed ? [] : ['Redis did not close the subscriber']),
};
