import { afterAll, beforeAll } from 'vitest';
import { redisBackbone } from '../src/backbone/redis/redis.ts';
import { describeBackbone } from './contract/backbone.ts';
import { type RedisServer, startRedis } from './support/redis.ts';

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

describeBackbone('redis', async ({ positionTtlMs }) => {
  const make = () => redisBackbone({ url: server.url, prefix: 'test:', positionTtlMs });
  const [a, b] = [make(), make()];
  await Promise.all([a.start(), b.start()]);
  return {
    a,
    b,
    async stop() {
      await Promise.all([a.stop(), b.stop()]);
    },
  };
});
