import type { Row } from '../row.ts';
import { rssOf } from '../rss.ts';

/** Enough to fill the buffers of the kernel at both ends, megabytes each. */
const EVENTS = 500;
const BYTES = 30_000;

export const stalledReader: Row = {
  name: 'stalled-reader',
  number: '22',
  fault: `apps stop reading while ${EVENTS} events of ${BYTES / 1000} kB each flow, and read on when all is over`,
  pass: 'their sockets are closed with the cursor intact, and they come back with it: events missing without a word: 0',
  without: ['behind'],
  twin: 'an event that the socket did not take is forgotten',
  resets: 1,
  limits: { detectMs: 1000, convergeMs: 6000 },
  async run(stage) {
    // No heartbeat is missed in a run: only what the gateway does can help.
    const { nodes, urls, company, orders } = await stage.site({
      nodes: 1,
      orders: 4,
      env: { HEARTBEAT_MS: '60000' },
    });
    const stalled = await stage.watch(company, orders, 20, urls);
    await stage.watch(company, orders, 20, urls);
    stage.injected();
    stage.audience.pause(stalled);
    await stage.audience.collect(); // in order: they have stopped
    const rss = rssOf(nodes[0]!.pid);
    company.padding = BYTES;
    for (let i = 0; i < EVENTS; i++) await Promise.all(orders.map((order) => company.post(order)));
    const grown = (rssOf(nodes[0]!.pid) - rss) / 2 ** 20;
    stage.healed();
    stage.audience.resume(stalled);
    await stage.quiet(8000);
    return {
      stalled: stalled.length,
      'closed as behind': await stage.metric(nodes[0]!, 'ridecast_closes_total{reason="behind"'),
      'gateway grew by MB': Math.round(grown),
    };
  },
  problems: (_, extra) => (extra['closed as behind'] === 0 ? ['no socket was full'] : []),
};
