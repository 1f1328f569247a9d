import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { testGateway } from './support/gateway.ts';
import { startRedis } from './support/redis.ts';

it('a gateway over Redis looks whether it answers every REDIS_PROBE_MS', async () => {
  const redis = await startRedis();
  const gateway = await testGateway({ REDIS_URL: redis.url, REDIS_PROBE_MS: '100', REDIS_TIMEOUT_MS: '500' });
  const monitor = connect(redis.port, '127.0.0.1');
  const lines = createInterface({ input: monitor });
  monitor.write('MONITOR\r\n');
  let pings = 0;
  // At the default of 5 s this takes longer than a test may.
  while (pings < 20) if (/"ping"/i.test(String(await once(lines, 'line')))) pings++;
  expect(pings).toBe(20);
  monitor.destroy();
  await gateway.stop();
  await redis.stop();
});
