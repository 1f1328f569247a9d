import { Namespace } from '../namespace.ts';
import type { Row } from '../row.ts';

const LOSS = 0.05;
const BITS = 64_000;
const APPS = 10;
const HZ = 10;
/** Of the positions shown, all but one in a hundred are younger than this. ms */
const AGE_MS = 3000;

export const thinLine: Row = {
  name: 'thin-line',
  number: '27',
  fault: `${APPS} apps share ${BITS / 1000} kbit/s, one packet in twenty is lost, ${HZ} positions a second each`,
  pass: `every event; positions are conflated, not queued: 99 % are shown at an age below ${AGE_MS} ms`,
  without: ['credit'],
  twin: 'apps never say how many frames they have handled: old positions queue before new ones',
  limits: { detectMs: 4000, convergeMs: 8000 },
  missing: Namespace.missing,
  async run(stage) {
    const redis = await stage.redis();
    const space = stage.namespace();
    // No beat decides here: a line as thin as this is late, not dead.
    const env = { HOST: '0.0.0.0', HEARTBEAT_MS: '15000', CREDIT_FRAMES: '2', SEND_BUFFER_BYTES: '16384' };
    const node = await stage.gateway('node', redis.url, env);
    const company = stage.company([node]);
    const orders = await stage.give(company, APPS);
    const url = `http://${space.host}:${node.port}`;
    await stage.watch(company, orders, APPS, [url], {}, space);
    const riders = await stage.riders(company, orders, node.url);
    const sentAt = new Map<string, number>();
    riders.onPing = (order, n) => sentAt.set(`${order} ${n}`, Date.now());
    stage.injected();
    space.lose(LOSS);
    space.narrow(BITS);
    riders.keepPinging(HZ);
    const stop = company.keepPosting(orders, 2);
    await stage.pause(stage.seconds(20, 10) * 1000);
    await stop();
    await riders.rest();
    stage.healed();
    await stage.quiet(8000);
    await stage.pause(3000);
    await stage.audience.collect();
    const ages = stage.audience.sights
      .flatMap(([, at, what, order, n]) => (what === 'position' ? [at - sentAt.get(`${order} ${n}`)!] : []))
      .sort((a, b) => a - b);
    return {
      'positions sent': sentAt.size,
      'positions shown': ages.length,
      'age p50 ms': ages[Math.floor(ages.length / 2)] ?? null,
      'age p99 ms': ages[Math.floor(ages.length * 0.99)] ?? null,
    };
  },
  problems: (_, extra) =>
    Number(extra['age p99 ms'] ?? AGE_MS) < AGE_MS ? [] : [`age p99 ${extra['age p99 ms']} ms`],
};
