import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** The shortest there is. */
const IDLE_S = 8;
/** uWebSockets.js looks at its sockets every 4 s. */
const GRANULARITY_S = 4;
/** The SDK asks after two and a half heartbeats of silence, waits 3 s for an answer, and dials. */
const NOTICE_MS = 2.5 * TIMES.HEARTBEAT_MS + 3000;
const LIMIT_MS = NOTICE_MS + TIMES.RECONNECT_SPREAD_MS + 1000;

export const halfOpenPhone: Row = {
  name: 'half-open-phone',
  number: '24',
  fault: 'phones go out of reach: both ends of their sockets stay open and never hear of each other again',
  pass: `apps notice after 2.5 heartbeats and a probe of 3 s, and are right ${LIMIT_MS} ms later; the gateway frees the sockets in ${IDLE_S} + ${GRANULARITY_S} s`,
  without: ['watchdog', 'idle timeout'],
  twin: 'apps do not mind silence, and neither does the gateway (IDLE_TIMEOUT_S)',
  limits: { detectMs: LIMIT_MS, convergeMs: LIMIT_MS },
  async run(stage) {
    const idle = stage.without('idle timeout') ? 960 : IDLE_S;
    const { nodes, company, orders } = await stage.site({ nodes: 1, env: { IDLE_TIMEOUT_S: `${idle}` } });
    const air = await stage.proxy(nodes[0]!.port);
    const count = stage.quick ? 20 : 200;
    await stage.watch(company, orders, count, [`http://127.0.0.1:${air.port}`]);
    const stop = company.keepPosting(orders, 20);
    stage.injected();
    air.sever();
    const startedAt = Date.now();
    const seconds = () => (Date.now() - startedAt) / 1000;
    // Those that came back have a socket each, and each has another one until the gateway lets go of it.
    const left = stage.without('watchdog') ? 0 : count;
    const freed = stage
      .until(
        'the gateway let go of those it does not hear',
        async () =>
          seconds() > LIMIT_MS / 1000 && (await stage.metric(nodes[0]!, 'ridecast_sessions')) === left,
        1000 * (IDLE_S + GRANULARITY_S + 1),
      )
      .then(
        () => Math.round(seconds() * 10) / 10,
        () => null,
      );
    await stage.pause(LIMIT_MS);
    await stop();
    await stage.quiet(1000);
    return { apps: count, 'sockets freed after s': await freed };
  },
  problems: (_, extra) =>
    extra['sockets freed after s'] === null ? ['dead sockets stayed with the gateway'] : [],
};
