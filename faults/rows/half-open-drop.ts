import { Namespace } from '../namespace.ts';
import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const DROP_MS = 8000;
/** A PING is due and not answered for two command timeouts; health is looked at once a second. */
const TOLD_MS = TIMES.REDIS_PROBE_MS + 2 * TIMES.REDIS_TIMEOUT_MS + 1000 + 500;

export const halfOpenDrop: Row = {
  name: 'redis-dropped',
  number: '7',
  fault: `every packet between a gateway and Redis is dropped for ${DROP_MS / 1000} s (iptables); the connections stay open`,
  pass: `its apps are told \`degraded\` within a probe, two command timeouts and a second: ${TOLD_MS} ms; right 4.5 s after the end`,
  without: ['probe'],
  twin: 'nobody looks whether Redis answers and messages arrive: TCP brings it all, when it pleases',
  limits: { detectMs: TOLD_MS, convergeMs: 4500 }, // a dial that hangs for 1 s, a pause of up to 2 s, a read
  missing: Namespace.missing,
  async run(stage) {
    const redis = await stage.redis();
    const space = stage.namespace();
    const link = await stage.proxy(redis.port, space.host);
    const env = { CHECK_MS: '600000' };
    const cut = await stage.gateway('cut', `redis://${space.host}:${link.port}`, env, space);
    const whole = await stage.gateway('whole', redis.url, env);
    const company = stage.company([whole]);
    const orders = await stage.give(company, 10);
    await stage.watch(company, orders, stage.quick ? 20 : 100, [cut.url]);
    stage.injected();
    space.dropPort(link.port, true);
    const stop = company.keepPosting(orders, 20);
    await stage.pause(DROP_MS);
    await stop();
    space.dropPort(link.port, false);
    stage.healed();
    await stage.quiet(6000);
    return { generations: await stage.metric(cut, 'ridecast_generations_total') };
  },
};
