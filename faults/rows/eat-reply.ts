import type { Row } from '../row.ts';

export const eatReply: Row = {
  name: 'eat-reply',
  number: '18',
  fault: 'a write is executed and its reply lost, between Redis and gateway and between gateway and backend',
  pass: 'dup 0: the retry with the same key gives no second event',
  without: ['idempotency'],
  twin: 'the key of a command is ignored',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const redis = await stage.redis();
    const toRedis = await stage.proxy(redis.port);
    const node = await stage.gateway('a', `redis://127.0.0.1:${toRedis.port}`);
    const toNode = await stage.proxy(node.port);
    const direct = stage.company([node]);
    const orders = await stage.give(direct, 5);
    await stage.watch(direct, orders, 20, [node.url]);
    const company = stage.company([{ url: `http://127.0.0.1:${toNode.port}` }]);
    const rounds = stage.seconds(40, 10);
    stage.injected();
    for (let round = 0; round < rounds; round++) {
      const order = orders[round % orders.length]!;
      if (round % 2 === 0) toRedis.eatReply((bytes) => bytes.includes(`}:i:`));
      else toNode.eatReply((bytes) => bytes.includes('POST /v1/orders/'));
      await company.post(order);
    }
    stage.healed();
    await stage.quiet(2000);
    return { eaten: toRedis.eaten + toNode.eaten, retries: company.retries };
  },
  problems: (_, { eaten, retries }) =>
    Number(retries) >= Number(eaten) && Number(eaten) > 5 ? [] : [`only ${eaten} replies were eaten`],
};
