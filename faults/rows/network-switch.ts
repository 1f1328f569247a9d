import { whoOf } from '../company.ts';
import { Handset } from '../handset.ts';
import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const IDLE_S = 8;
const GRANULARITY_S = 4;
const HZ = 10;
/** ms that a phone goes on talking to a network that is gone. */
const BLIND_MS = 1000;
const NOTICE_MS = 2.5 * TIMES.HEARTBEAT_MS + 3000;
const LIMIT_MS = NOTICE_MS + TIMES.RECONNECT_SPREAD_MS + 1000;

export const networkSwitch: Row = {
  name: 'network-switch',
  number: '25',
  fault:
    'phones go from Wi-Fi to LTE: new sockets beside old ones that hang; what riders said on the old ones arrives late',
  pass: `nothing twice, no position goes back; old sockets are freed in ${IDLE_S} + ${GRANULARITY_S} s`,
  without: ['ping order'],
  twin: 'pings count in the order in which they come',
  limits: { detectMs: LIMIT_MS, convergeMs: LIMIT_MS },
  async run(stage) {
    const env = { IDLE_TIMEOUT_S: `${IDLE_S}`, MIN_MOVE_M: '0' };
    const { nodes, urls, company, orders } = await stage.site({ nodes: 2, orders: 5, env });
    const [near, far] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    // Apps lose their Wi-Fi for good, that of the riders comes back with all that was on its way.
    const wifi = await stage.proxy(near.port);
    const late = await stage.proxy(near.port);
    const apps = stage.quick ? 20 : 100;
    await stage.watch(company, orders, apps, [`http://127.0.0.1:${wifi.port}`, urls[1]!], { first: 0 });
    await stage.watch(company, orders, orders.length, [near.url]); // these stay, and see what comes late
    const phones = await Promise.all(
      orders.map(async (order) => {
        const phone = stage.owned(new Handset(await company.mint('rider', whoOf(order).rider)));
        await phone.join(`http://127.0.0.1:${late.port}`);
        return phone;
      }),
    );
    const pinging = setInterval(() => phones.forEach((phone) => void phone.ping()), 1000 / HZ); // biome-ignore format: short
    stage.finally(async () => clearInterval(pinging));
    const stop = company.keepPosting(orders, 20);
    await stage.pause(1000);
    stage.injected();
    const startedAt = Date.now();
    const seconds = () => (Date.now() - startedAt) / 1000;
    wifi.sever();
    late.set({ blackhole: true });
    await stage.pause(BLIND_MS);
    await Promise.all(phones.map((phone) => phone.join(near.url)));
    await stage.pause(BLIND_MS);
    late.clear();
    await stage.until(
      'the apps are back',
      () => seconds() * 1000 > NOTICE_MS && stage.audience.ready(),
      15_000,
    );
    const freed = await stage
      .until(
        'the old sockets are freed',
        async () => (await stage.metric(near, 'ridecast_sessions')) === orders.length + 2 * phones.length,
        1000 * (IDLE_S + GRANULARITY_S + 1 - seconds()),
      )
      .then(seconds, () => null);
    clearInterval(pinging);
    for (const [i, order] of orders.entries()) stage.ledger.fix(order, phones[i]!.sent - 1);
    await stop();
    await stage.quiet(2000);
    await stage.pause(1000);
    return {
      apps,
      'pings that came twice': await stage.metric(near, 'ridecast_pings_total{verdict="duplicate"'),
      'old sockets freed after s': freed && Math.round(freed * 10) / 10,
      'sessions at the new node': await stage.metric(far, 'ridecast_sessions'),
    };
  },
  problems(_, extra) {
    const problems = [];
    if (extra['old sockets freed after s'] === null) problems.push('old sockets stayed with the gateway');
    if (extra['sessions at the new node'] !== extra.apps) problems.push('not every app changed');
    return problems;
  },
};
