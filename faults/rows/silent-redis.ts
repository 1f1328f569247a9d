import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const LIMIT_MS = 2 * TIMES.REDIS_PROBE_MS + 2 * TIMES.REDIS_TIMEOUT_MS + 1000;

export const silentRedis: Row = {
  name: 'redis-silent',
  number: '8',
  fault: 'the subscriber sits on a replica that is detached: it answers, and delivers nothing any more',
  pass: `found by the message a node sends itself (CHECK_MS is off) within two probes and a reconnect: ${LIMIT_MS} ms`,
  without: ['probe'],
  twin: 'nobody looks whether messages arrive',
  limits: { detectMs: LIMIT_MS, convergeMs: LIMIT_MS },
  async run(stage) {
    const master = await stage.redis();
    const replica = await stage.redis(['--replicaof', '127.0.0.1', String(master.port)]);
    await stage.until(
      'the replica is linked',
      async () => (await replica.command('INFO', 'replication')).includes('master_link_status:up'),
      10_000,
    );
    // The gateway opens its commands first, then its subscriber: that one lands on the replica, as behind a name.
    const link = await stage.proxy(() => (link.accepted === 2 ? replica.port : master.port));
    const env = { CHECK_MS: '600000' };
    const node = await stage.gateway('node', `redis://127.0.0.1:${link.port}`, env);
    const company = stage.company([node]);
    const orders = await stage.give(company, 10);
    await stage.watch(company, orders, stage.quick ? 20 : 100, [node.url]);
    await Promise.all(orders.map((order) => company.post(order)));
    await stage.quiet(2000);
    stage.injected();
    await replica.command('REPLICAOF', 'NO', 'ONE');
    stage.healed();
    await Promise.all(orders.map((order) => company.post(order)));
    await stage.quiet(LIMIT_MS + 1000);
    return { 'connections to Redis': link.accepted };
  },
};
