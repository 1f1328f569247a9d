import type { Row } from '../row.ts';

const PHONE_MS = 3_600_000;
const GATEWAY_MS = 5000;

export const clockSkew: Row = {
  name: 'clock-skew',
  number: '21',
  fault: `phones are an hour fast or slow and change over; gateways are ${GATEWAY_MS / 1000} s apart and change over`,
  pass: 'no position goes back, all end at the newest, no token is refused, no socket lost',
  without: ['numbering'],
  twin: 'the phone numbers pings by its clock',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const redis = await stage.redis();
    const nodes = [
      await stage.gateway('fast', redis.url, { FAULTS_CLOCK_MS: `${GATEWAY_MS}` }),
      await stage.gateway('slow', redis.url, { FAULTS_CLOCK_MS: `${-GATEWAY_MS}` }),
    ];
    const urls = nodes.map(({ url }) => url);
    const company = stage.company(nodes);
    const orders = await stage.give(company, 6);
    const apps = await stage.watch(company, orders, stage.quick ? 12 : 60, urls);
    const phones = await Promise.all(orders.map((order, i) => stage.phone(company, order, urls[i % 2]!)));
    const stop = company.keepPosting(orders, 10);
    const pings = stage.quick ? 40 : 120;
    stage.injected();
    for (let n = 0; n < pings; n++) {
      const changed = n > pings / 2;
      if (n === pings / 2) for (const node of nodes) node.signal('SIGUSR2');
      for (const [i, phone] of phones.entries()) {
        const at = Date.now() + (i % 2 === (changed ? 1 : 0) ? PHONE_MS : -PHONE_MS);
        phone.ping(n, stage.without('numbering') ? Math.floor(at / 100) % 2 ** 31 : n + 1, at);
        stage.ledger.fix(orders[i]!, n);
      }
      await stage.pause(60);
    }
    await stop();
    stage.healed();
    await stage.quiet(2000);
    await stage.pause(1500);
    const away = stage.audience.sights.filter(([, , what, , n]) => what === 'link' && n === 0).length;
    const late = await stage.watch(company, orders, 6, urls);
    return { apps: apps.length + late.length, 'links lost': away };
  },
  problems: (_, extra) => (extra['links lost'] === 0 ? [] : [`${extra['links lost']} links were lost`]),
};
