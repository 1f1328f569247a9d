import type { Row } from '../row.ts';

/** ms by which the answer to a read of an order may be late. */
const LATE_MS = 400;
const BURST = 4;

export const lateHistory: Row = {
  name: 'late-history',
  number: '17',
  fault: `orders are read up to ${LATE_MS} ms late while their events flow, again and again as apps come and go`,
  pass: 'lost 0, dup 0: what came meanwhile is kept and merged',
  without: ['acknowledgement'],
  twin: 'the store is read before Redis has the subscription',
  limits: { detectMs: 1000, convergeMs: 2000 },
  async run(stage) {
    const redis = await stage.redis();
    const link = await stage.proxy(redis.port);
    const env = { CHECK_MS: '600000', LINGER_MS: '0', REDIS_TIMEOUT_MS: '5000' };
    const read = await stage.gateway('read', `redis://127.0.0.1:${link.port}`, env);
    const write = await stage.gateway('write', redis.url, env);
    const company = stage.company([write]);
    const orders = await stage.give(company, stage.quick ? 40 : 80);
    const apps = await stage.watch(company, orders, orders.length, [read.url]);
    // Only what holds an order is late: neither what was published, nor what is asked.
    const isRead = (bytes: Buffer) => bytes.includes('{"') && !bytes.includes('E|');
    link.set({ delayMs: (bytes, request) => (!request && isRead(bytes) ? stage.random() * LATE_MS : 0) });
    const rounds = stage.quick ? 4 : 12;
    stage.injected();
    for (let round = 0; round < rounds; round++) {
      stage.audience.unwatch(apps);
      const left = async () => (await stage.metric(read, 'ridecast_channels')) === 0;
      await stage.until('channels without watches are given up', left, 10_000);
      const granted = await stage.metric(read, 'ridecast_watches_total');
      stage.audience.rewatch(apps);
      for (let i = 0; i < BURST; i++) {
        await Promise.all(orders.map((order) => company.post(order)));
        await stage.pause(stage.random() * 50);
      }
      const answered = async () =>
        (await stage.metric(read, 'ridecast_watches_total')) === granted + apps.length;
      await stage.until('every watch is answered', answered, 10_000);
      await Promise.all(orders.map((order) => company.post(order)));
      await stage.quiet(2000);
    }
    link.clear();
    stage.healed();
    await stage.quiet(2000);
    return { subscribes: await stage.metric(read, 'ridecast_watches_total') };
  },
};
