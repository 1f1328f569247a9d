import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const STALL_MS = 12_000;
/** The SDK asks after two and a half heartbeats, and waits three seconds for the answer. */
const NOTICE_MS = 2.5 * TIMES.HEARTBEAT_MS + 3000 + 500;

export const stall: Row = {
  name: 'gateway-stalls',
  number: '4',
  fault: `a gateway stands still for ${STALL_MS / 1000} s (SIGSTOP); Redis drops its subscriber meanwhile`,
  pass: `its apps notice within two and a half heartbeats and a probe: ${NOTICE_MS} ms; lost 0 on waking`,
  without: ['watchdog'],
  twin: 'apps do not mind silence',
  limits: { detectMs: NOTICE_MS, convergeMs: 3000 },
  async run(stage) {
    const { redis, nodes, urls, company, orders } = await stage.site();
    await stage.watch(company, orders, stage.quick ? 20 : 100, urls);
    // Half of them can go nowhere else: they are there when it wakes.
    await stage.watch(company, orders, stage.quick ? 20 : 100, [urls[1]!]);
    const other = stage.company([nodes[0]!]);
    stage.injected();
    nodes[1]!.signal('SIGSTOP');
    stage.finally(async () => nodes[1]!.signal('SIGCONT'));
    const stop = other.keepPosting(orders, 20);
    await stage.pause(STALL_MS / 2);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await stage.pause(STALL_MS / 2);
    await stop();
    stage.healed();
    nodes[1]!.signal('SIGCONT');
    await stage.quiet(12_000);
    return {};
  },
};
