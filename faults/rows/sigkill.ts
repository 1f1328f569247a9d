import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

/** ms within which an app dials again, and what it may take from there. */
const LIMIT_MS = TIMES.RECONNECT_SPREAD_MS + 2000;

export const sigkill: Row = {
  name: 'gateway-sigkill',
  number: '1',
  fault: 'one of three gateways is killed under its apps while events flow',
  pass: `every event by resume, no snapshot; 99 % right ${LIMIT_MS} ms after the kill`,
  without: ['resume'],
  twin: 'apps do not say where they stood: what they missed comes as a snapshot',
  limits: { detectMs: 1000, convergeMs: LIMIT_MS },
  async run(stage) {
    const { nodes, urls, company, orders } = await stage.site({ nodes: 3, orders: 50 });
    const apps = await stage.watch(company, orders, stage.quick ? 150 : 999, urls);
    const riders = await stage.riders(stage.company([nodes[1]!]), orders, urls[1]!);
    riders.keepPinging(1);
    const stop = company.keepPosting(orders, 100);
    await stage.pause(1000);
    stage.injected();
    nodes[0]!.signal('SIGKILL');
    await stage.pause(stage.seconds(5) * 1000);
    await stop();
    await riders.rest();
    await stage.quiet(5000);
    return { 'apps on the node': apps.length / 3 };
  },
};
