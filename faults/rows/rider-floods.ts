import type { Phone } from '../phone.ts';
import type { Row } from '../row.ts';
import type { Stage } from '../stage.ts';

const RATE = 5;
const FLOOD = 1000;
/** Pings a rider may send at once, in seconds of its rate. */
const BURST_S = 4;
/** The others' slowest one in a hundred may be slower by this. ms */
const SLOWER_MS = 100;
/** They all watch the rider that floods: each of its positions that is shown is a frame for each of them. */
const WATCHERS = 100;

export const riderFloods: Row = {
  name: 'rider-floods',
  number: '29',
  fault: `one rider with ${WATCHERS} watchers sends ${FLOOD} pings a second, where ${RATE} are allowed`,
  pass: `its watchers are shown ${RATE} a second, the newest; the others' p99 grows by no more than ${SLOWER_MS} ms`,
  without: ['rate'],
  twin: 'a rider may send as many pings as it likes (PINGS_PER_SECOND)',
  limits: { detectMs: 1000, convergeMs: 2000 },
  async run(stage) {
    const rate = stage.without('rate') ? FLOOD : RATE;
    // The limit of frames would end such a session: here it is the pings' own limit that is looked at.
    const env = { PINGS_PER_SECOND: `${rate}`, FRAMES_PER_SECOND: '10000', MIN_MOVE_M: '0' };
    const { nodes, urls, company, orders } = await stage.site({ nodes: 1, orders: 6, env });
    const [flooded, ...others] = orders as [string, ...string[]];
    await stage.watch(company, others, 25, urls);
    await stage.watch(company, [flooded], WATCHERS, urls);
    const riders = await stage.riders(company, others, urls[0]!);
    const phone = await stage.phone(company, flooded, urls[0]!);
    const sentAt = new Map<string, number>();
    riders.onPing = (order, n) => sentAt.set(`${order} ${n}`, Date.now());
    riders.keepPinging(4);
    const stop = company.keepPosting(orders, 10);
    await stage.pause(stage.seconds(6, 3) * 1000);
    const calm = await delays(stage, sentAt, others);
    stage.injected();
    const seconds = stage.seconds(6, 3);
    const sent = await flood(phone, seconds, stage);
    stage.healed();
    const flooding = await delays(stage, sentAt, others);
    // A bucket that was emptied fills: what the rider sends then is the newest, and is shown.
    await stage.pause(1000);
    phone.ping(sent + 1, sent + 1);
    stage.ledger.fix(flooded, sent + 1);
    await stop();
    await riders.rest();
    await stage.quiet(2000);
    await stage.pause(500);
    await stage.audience.collect();
    const taken = await stage.metric(nodes[0]!, 'ridecast_pings_total{verdict="rate"');
    const shown = stage.audience.sights.filter(([, , what, of]) => what === 'position' && of === flooded);
    return {
      'pings sent': sent,
      'refused for the rate': taken,
      'shown to each watcher a second': Math.round(shown.length / WATCHERS / seconds),
      "others' p99 before ms": calm,
      "others' p99 meanwhile ms": flooding,
    };
  },
  problems(_, extra, stage) {
    const problems = [];
    const shown = Number(extra['shown to each watcher a second']);
    const most = RATE + (RATE * BURST_S) / stage.seconds(6, 3) + 1;
    if (shown > most) problems.push(`${shown} positions a second were shown`);
    const slower = Number(extra["others' p99 meanwhile ms"]) - Number(extra["others' p99 before ms"]);
    if (slower > SLOWER_MS * stage.slack) problems.push(`the others waited ${slower} ms longer`);
    return problems;
  },
};

/** Pings for so many seconds. Gives how many. */
async function flood(phone: Phone, seconds: number, stage: Stage): Promise<number> {
  const startedAt = Date.now();
  let sent = 0;
  while (Date.now() < startedAt + 1000 * seconds) {
    const due = ((Date.now() - startedAt) / 1000) * FLOOD;
    for (; sent < due; sent++) phone.ping(sent, sent + 1);
    await stage.pause(1);
  }
  return sent;
}

/** ms from ping to app, 99 % of them, of the pings since the last call. */
async function delays(stage: Stage, sentAt: Map<string, number>, orders: readonly string[]): Promise<number> {
  await stage.audience.collect();
  const list = stage.audience.sights
    .flatMap(([, at, what, order, n]) => {
      const sent = what === 'position' && orders.includes(order) ? sentAt.get(`${order} ${n}`) : undefined;
      return sent === undefined ? [] : [at - sent];
    })
    .sort((a, b) => a - b);
  sentAt.clear();
  return list[Math.floor(list.length * 0.99)] ?? Number.NaN;
}
