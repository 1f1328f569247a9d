import { inSync } from '../resp.ts';
import type { Row } from '../row.ts';
import type { Stage } from '../stage.ts';

/** Events every order has on both servers, and those that only the master ever had. */
const SHARED = 10;
const LOST = 5;

/**
 * An asynchronous failover loses acknowledged events, and the new master takes `more` others before the watchers' node
 * is back. Half of the apps stay on the line, half are away meanwhile and come back with a cursor of the old history.
 */
function failover(name: string, more: number, without: 'generation' | 'entry-id', twin: string): Row {
  return {
    name,
    number: '12',
    fault: `an asynchronous failover loses ${LOST} acknowledged events; ${more} others follow at once`,
    pass: 'one reset each (ahead or diverged), no event left that did not happen, found by the generation (CHECK_MS is off)',
    without: [without],
    twin,
    resets: 1,
    // A node tries Redis again after 2 s at the latest; apps that were away come back with the SDK's back-off.
    limits: { detectMs: 2500, convergeMs: 10_000 },
    run: (stage) => run(stage, more),
    problems: ({ apps, resets }) => (resets === apps ? [] : [`${resets} resets for ${apps} apps`]),
  };
}

async function run(stage: Stage, more: number) {
  const master = await stage.redis();
  const toMaster = await stage.proxy(master.port);
  const replica = await stage.redis(['--replicaof', '127.0.0.1', String(toMaster.port)]);
  let current = master.port;
  const publishing = await stage.proxy(() => current);
  const watching = await stage.proxy(() => current);
  const env = { CHECK_MS: '600000', RECONNECT_SPREAD_MS: '0' };
  const redisUrl = (port: number) => `redis://127.0.0.1:${port}`;
  const publisher = await stage.gateway('publisher', redisUrl(publishing.port), env);
  const watched = await stage.gateway('watched', redisUrl(watching.port), env);
  const company = stage.company([publisher]);
  const orders = await stage.give(company, 5);
  const phones = await stage.proxy(watched.port);
  const count = stage.quick ? 10 : 50;
  await stage.watch(company, orders, count, [watched.url]);
  const away = await stage.watch(company, orders, count, [`http://127.0.0.1:${phones.port}`]);
  const post = async (events: number) => {
    for (let i = 0; i < events; i++) await Promise.all(orders.map((order) => company.post(order)));
  };

  await post(SHARED);
  await stage.quiet(2000);
  const shared = new Map(orders.map((order) => [order, stage.ledger.newest(order)]));
  await stage.until('the replica is in sync', () => inSync(replica, master), 10_000);
  toMaster.set({ blackhole: true });
  await post(LOST);
  await stage.quiet(2000);

  stage.injected();
  phones.refuse(true);
  phones.reset();
  watching.refuse(true);
  await master.kill();
  await replica.command('REPLICAOF', 'NO', 'ONE');
  current = replica.port;
  await stage.healthy([publisher]);
  for (const order of orders) stage.ledger.undo(order, shared.get(order)!);
  await post(more);
  watching.refuse(false);
  await stage.healthy([watched]);
  stage.healed();
  phones.refuse(false);
  await stage.quiet(10_000);
  return {
    away: away.length,
    ahead: await stage.metric(watched, 'ridecast_resets_total{reason="ahead"'),
    diverged: await stage.metric(watched, 'ridecast_resets_total{reason="diverged"'),
  };
}

export const failoverFewer = failover(
  'failover-fewer',
  LOST - 1,
  'generation',
  'nothing is read again after the reconnect: what did not happen stays',
);
export const failoverSame = failover('failover-same', LOST, 'entry-id', 'a cursor is epoch and offset only');
export const failoverMore = failover(
  'failover-more',
  LOST + 1,
  'entry-id',
  'a cursor is epoch and offset only',
);
