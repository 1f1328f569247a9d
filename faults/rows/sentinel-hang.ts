import { startSentinelFleet } from '../../test/support/sentinel.ts';
import { inSync } from '../resp.ts';
import type { Row } from '../row.ts';
import { TIMES } from '../stage.ts';

const HANG_MS = 5000;
/** Health is looked at once a second. */
const TOLD_MS = TIMES.REDIS_TIMEOUT_MS + 1000 + 500;

export const sentinelHang: Row = {
  name: 'sentinel-hang',
  number: '9',
  fault: `the master hangs for ${HANG_MS / 1000} s and Sentinel promotes its replica; then the old master wakes, with writes in its sockets`,
  pass: `no event lost, doubled or undone, no reset; the new master is found before the old one wakes; told \`degraded\` within ${TOLD_MS} ms`,
  without: ['timeout'],
  twin: 'a command to Redis may take a minute: nodes wait for the old master',
  limits: { detectMs: TOLD_MS, convergeMs: 1000 },
  async run(stage) {
    const fleet = stage.owned(await startSentinelFleet());
    const nodes = [await stage.gateway('a', fleet.url), await stage.gateway('b', fleet.url)];
    const company = stage.company(nodes);
    const orders = await stage.give(company, 10);
    const apps = await stage.watch(company, orders, stage.quick ? 20 : 100, nodes.map(({ url }) => url)); // biome-ignore format: short
    for (let i = 0; i < 5; i++) await Promise.all(orders.map((order) => company.post(order)));
    await stage.until('the replica is in sync', () => inSync(fleet.replica, fleet.master), 10_000);
    const generations = async () =>
      Math.min(...(await Promise.all(nodes.map((node) => stage.metric(node, 'ridecast_generations_total')))));
    stage.injected();
    const hungAt = Date.now();
    await fleet.master.kill('SIGSTOP');
    stage.finally(() => fleet.master.kill('SIGCONT'));
    const stop = company.keepPosting(orders, 20);
    const found = async () => (await generations()) > 0 && company.ledger.lastAcceptedAt > hungAt + 500;
    await stage.until('the new master', found, HANG_MS).catch(() => {});
    const foundAfter = (await found()) ? Date.now() - hungAt : null;
    await stage.pause(Math.max(0, hungAt + HANG_MS - Date.now()));
    await fleet.master.kill('SIGCONT');
    stage.healed();
    await stage.pause(2000);
    await stop();
    await stage.quiet(5000);
    const told = new Set(
      stage.audience.sights.flatMap(([app, , what, , n]) => (what === 'degraded' && n === 1 ? [app] : [])),
    );
    return { 'new master found after ms': foundAfter, 'apps told': told.size, apps: apps.length };
  },
  problems(_, extra) {
    const problems: string[] = [];
    if (extra['new master found after ms'] === null)
      problems.push('the new master was not found while the old one hung');
    if (extra['apps told'] !== extra.apps)
      problems.push(`${extra['apps told']} of ${extra.apps} apps were told`);
    return problems;
  },
};
