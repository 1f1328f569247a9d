import type { Row } from '../row.ts';

/** ms from the change of roles until a write is answered 200 again. */
const LIMIT_MS = 1500;
/** ms after which nobody waits for that any longer. */
const PATIENCE_MS = 5000;

export const readOnly: Row = {
  name: 'readonly',
  number: '14',
  fault:
    'Redis changes roles (FAILOVER) under open connections: the server they lead to refuses writes from now on',
  pass: `a refused write makes a new connection, which finds the new master: the next is answered 200 within ${LIMIT_MS} ms`,
  without: ['readonly'],
  twin: 'READONLY is an error like any other: the connection stays where it is',
  limits: { detectMs: 1000, convergeMs: LIMIT_MS },
  async run(stage) {
    const old = await stage.redis();
    const next = await stage.redis(['--replicaof', '127.0.0.1', String(old.port)]);
    const role = async (of: typeof old) => /role:(\w+)/.exec(await of.command('INFO', 'replication'))?.[1];
    await stage.until(
      'the replica is linked',
      async () => (await next.command('INFO', 'replication')).includes('master_link_status:up'),
      10_000,
    );
    let master = old.port;
    const name = await stage.proxy(() => master); // a name that leads to the master
    const url = `redis://127.0.0.1:${name.port}`;
    const nodes = [await stage.gateway('a', url), await stage.gateway('b', url)];
    const company = stage.company(nodes);
    const orders = await stage.give(company, 10);
    await stage.watch(company, orders, stage.quick ? 20 : 100, nodes.map(({ url }) => url)); // biome-ignore format: short
    const riders = await stage.riders(company, orders, nodes[0]!.url);
    riders.keepPinging(1);
    const stop = company.keepPosting(orders, 20);
    await stage.pause(1000);
    stage.injected();
    await old.command('FAILOVER', 'TO', '127.0.0.1', String(next.port));
    await stage.until('the roles are changed', async () => (await role(old)) === 'slave', 10_000);
    master = next.port;
    stage.healed();
    const changedAt = Date.now();
    const writtenAt = () =>
      Math.min(...orders.flatMap((order) => stage.ledger.turns(order).flatMap(({ at }) => (at > changedAt ? [at] : [])))); // biome-ignore format: one expression
    await stage
      .until('a write succeeds', () => writtenAt() < Number.POSITIVE_INFINITY, PATIENCE_MS)
      .catch(() => {});
    const recovery = writtenAt() - changedAt;
    if (recovery === Number.POSITIVE_INFINITY) await old.command('REPLICAOF', 'NO', 'ONE'); // so that the posts end
    await stage.pause(stage.seconds(3, 1) * 1000);
    await stop();
    await riders.rest();
    await stage.quiet(3000);
    await stage.pause(500);
    return {
      'writes again after ms': recovery === Number.POSITIVE_INFINITY ? null : recovery,
      'calls answered with an error': company.refused,
      'connections to Redis': name.accepted,
    };
  },
  problems(_, extra, stage) {
    const recovery = extra['writes again after ms'];
    if (recovery === null) return [`no write in ${PATIENCE_MS} ms`];
    return Number(recovery) > LIMIT_MS * stage.slack ? [`writes only after ${recovery} ms`] : [];
  },
};
