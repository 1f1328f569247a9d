import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backbone } from '../src/backbone/backbone.ts';
import { redisBackbone } from '../src/backbone/redis/redis.ts';
import { describeBackbone } from './contract/backbone.ts';
import { eventually, fresh, Inbox } from './contract/fleet.ts';
import { write } from './contract/orders.ts';
import { type SentinelFleet, startSentinelFleet } from './support/sentinel.ts';

let fleet: SentinelFleet;
beforeAll(async () => {
  fleet = await startSentinelFleet();
});
afterAll(() => fleet.stop());

const node = (prefix: string, options = {}) =>
  redisBackbone({ url: fleet.url, prefix, commandTimeoutMs: 500, heartbeatMs: 200, ...options });

describeBackbone('Sentinel', async ({ positionTtlMs }) => {
  const prefix = `${fresh('p')}:`;
  const ttl = positionTtlMs === undefined ? {} : { positionTtlMs };
  const [a, b] = [node(prefix, ttl), node(prefix, ttl)];
  await Promise.all([a.start(), b.start()]);
  return {
    a,
    b,
    async stop() {
      await Promise.all([a.stop(), b.stop()]);
    },
  };
});

describe('Sentinel', () => {
  test('a start without any Sentinel fails, and names them', async () => {
    const lost = redisBackbone({ url: 'redis+sentinel://127.0.0.1:1,127.0.0.1:2/fleet' });
    await expect(lost.start()).rejects.toThrow('fleet of 127.0.0.1:1,127.0.0.1:2');
  });

  // The last one: it uses the fleet up.
  test('when the master dies both nodes go on with the replica: one generation at least, and every order stands', async () => {
    const [a, b] = [node('t:'), node('t:')];
    await Promise.all([a.start(), b.start()]);
    try {
      const order = fresh('o');
      const [first] = await write(a, order, 1);
      // The replica has it: only what was not replicated is lost in a failover.
      while (!(await fleet.replica.command('EXISTS', `t:{o:${order}}:m`)).startsWith(':1'))
        await new Promise((resolve) => setTimeout(resolve, 10));
      const inbox = new Inbox(b);
      await b.bus.subscribe(`order:${order}`);
      const generations = Promise.all([a, b].map((one) => nextGeneration(one)));
      await fleet.master.kill();
      await generations;
      await eventually(async () => a.healthy() && b.healthy());
      expect((await fleet.replica.command('ROLE')).includes('master')).toBe(true);
      expect(await b.store.heads([order])).toEqual([first]);
      const [second] = await write(a, order, 1, 1);
      await inbox.until(() => inbox.on(`order:${order}`).length > 0);
      expect((await b.store.recover(order, first!, 10))?.entries.map(({ id }) => id)).toEqual([second!.id]);
    } finally {
      await Promise.all([a.stop(), b.stop()]);
    }
  });
});

const nextGeneration = (one: Backbone) => new Promise<number>((resolve) => one.bus.onGeneration(resolve));
