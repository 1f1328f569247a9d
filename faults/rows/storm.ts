import { readFileSync } from 'node:fs';
import { whoOf } from '../company.ts';
import { say } from '../resp.ts';
import type { Row } from '../row.ts';
import type { Stage } from '../stage.ts';

const WATCHERS = 10_000;
const PROCESSES = 4;
const ORDERS = 200;
const SPREAD_MS = 3000;
/** Descriptors besides the watchers' own. */
const SPARE_FILES = 500;
/** Twice an even spread over the window. */
const peakAllowed = (away: number) => Math.ceil((2 * away * 100) / SPREAD_MS);

export const storm: Row = {
  name: 'storm',
  number: 'storm',
  fault: `one of two gateways is killed under half of ${WATCHERS} watchers; half of its orders nobody else watches`,
  pass: `99 % show a position from after the kill within ${SPREAD_MS + 2000} ms; Redis reads an order at most once; dials in 100 ms at most twice an even spread`,
  without: ['reconnect window'],
  twin: 'all dial at once (RECONNECT_SPREAD_MS is 0)',
  limits: { detectMs: 2000, convergeMs: SPREAD_MS + 2000 },
  async run(stage) {
    const count = stage.quick ? 1000 : Math.min(WATCHERS, filesAllowed() - SPARE_FILES);
    const spread = stage.without('reconnect window') ? 0 : SPREAD_MS;
    const env = { CHECK_MS: '600000', HEARTBEAT_MS: '15000', RECONNECT_SPREAD_MS: `${spread}` };
    const { redis, nodes, urls, orders } = await stage.site({ orders: ORDERS, env });
    const company = stage.company([nodes[1]!]);
    const watchers = await openAll(stage, orders, count, urls);
    const riders = await stage.riders(company, orders, urls[1]!);
    riders.keepPinging(1);
    await stage.pause(2000);

    await say(redis.port, 'CONFIG', 'RESETSTAT');
    const dialsBefore = stage.audience.dials.length;
    stage.injected();
    const killedAt = Date.now();
    stage.audience.mark();
    nodes[0]!.signal('SIGKILL');
    const posts = 100;
    for (let i = 0; i < posts; i++) {
      await company.post(orders[i % ORDERS]!);
      await stage.pause(SPREAD_MS / posts);
    }
    await stage.quiet(10_000);
    const reads = (await calls(redis.port, 'hmget')) - 2 * posts - 2 * company.retries;
    await riders.rest();
    await stage.pause(1500);
    await stage.audience.collect();
    const dials = stage.audience.dials.slice(dialsBefore);
    const fresh = new Map<number, number>();
    for (const [app, at, what] of stage.audience.sights)
      if (what === 'position' && at > killedAt && !fresh.has(app)) fresh.set(app, at - killedAt);
    const after = [...fresh.values()].sort((a, b) => a - b);
    return {
      watchers: watchers.length,
      'fresh after ms, 99 %': after.length < 0.99 * count ? null : after[Math.floor(0.99 * count) - 1]!,
      'Redis reads': reads,
      'orders nobody else watched': ORDERS / 2,
      'most dials in 100 ms': most(dials, 100),
      'dials in 100 ms allowed': peakAllowed(count / 2),
    };
  },
  problems(_, extra, stage) {
    const problems: string[] = [];
    const fresh = extra['fresh after ms, 99 %'];
    if (fresh === null || Number(fresh) > stage.slack * (SPREAD_MS + 2000))
      problems.push(`99 % fresh after ${fresh} ms`);
    if (Number(extra['Redis reads']) > ORDERS)
      problems.push(`${extra['Redis reads']} reads of ${ORDERS} orders`);
    if (Number(extra['most dials in 100 ms']) > Number(extra['dials in 100 ms allowed']))
      problems.push(`${extra['most dials in 100 ms']} dials in 100 ms`);
    return problems;
  },
};

/** Even orders have their watchers on both nodes, odd ones all on the first, and as many on the second of the even. */
async function openAll(stage: Stage, orders: readonly string[], count: number, urls: readonly string[]) {
  const tokens = new Map<string, string>();
  const company = stage.company(urls.map((url) => ({ url })));
  for (const order of orders) tokens.set(order, await company.mint('customer', whoOf(order).customer));
  const odd = orders.filter((_, i) => i % 2 === 1);
  const even = orders.filter((_, i) => i % 2 === 0);
  const specs = Array.from({ length: count }, (_, i) => {
    const first = i % 2;
    const list = first === 0 && i % 4 === 0 ? odd : even;
    const order = list[Math.floor(i / 4) % list.length]!;
    return { urls, first, token: tokens.get(order)!, orders: [order] };
  });
  const each = Math.ceil(count / PROCESSES);
  const ids: number[] = [];
  for (let from = 0; from < count; from += each)
    ids.push(...stage.audience.open(specs.slice(from, from + each), 'swarm'));
  await stage.until('every watcher is live', () => stage.audience.ready(ids), 60_000);
  return ids;
}

/** How often Redis ran a command since its counts were reset. */
async function calls(port: number, command: string): Promise<number> {
  const stats = await say(port, 'INFO', 'commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

/** The most moments in any stretch of so many ms. */
function most(moments: readonly number[], ms: number): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let [max, from] = [0, 0];
  for (let to = 0; to < sorted.length; to++) {
    while (sorted[to]! - sorted[from]! >= ms) from++;
    max = Math.max(max, to - from + 1);
  }
  return max;
}

/** Files a process may open; a gateway inherits that. */
function filesAllowed(): number {
  try {
    return Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
  } catch {
    return 1024;
  }
}
