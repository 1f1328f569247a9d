import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuSeconds } from '../../loadtest/processes.ts';
import type { Row } from '../row.ts';
import type { Sinks } from '../sinks.ts';

const WATCHERS = 2000;
const RIDERS = 20;
const HZ = 10;
const LAG_MS = 50;
/** Of the positions of other orders, shown meanwhile. ms */
const OTHERS_MS = 250;
/** Share of a core the gateway may need. */
const CPU = 0.4;
/** Around the numbered fixes. */
const ZONE = {
  type: 'FeatureCollection',
  features: [{ type: 'Feature', properties: { id: 'hot' }, geometry: { type: 'Polygon', coordinates: [[[13, 9], [14, 9], [14, 12], [13, 12], [13, 9]]] } }],
}; // biome-ignore format: one zone

export const hotChannel: Row = {
  name: 'hot-channel',
  number: '28',
  fault: `${WATCHERS} sockets watch one zone in which ${RIDERS} riders ping ${HZ} times a second`,
  pass: `the gateway's event loop lags at most ${LAG_MS} ms (p99); positions of single orders are shown within ${OTHERS_MS} ms (p99); it needs less than ${CPU} of a core`,
  without: ['tick'],
  twin: 'a zone is flushed every 10 ms, however busy the gateway',
  limits: { detectMs: 1000, convergeMs: 1000 },
  async run(stage) {
    const zones = join(stage.folder(), 'zones.geojson');
    writeFileSync(zones, JSON.stringify(ZONE));
    const env = { ZONES_FILE: zones, HEARTBEAT_MS: '15000' };
    const { nodes, urls, company, orders } = await stage.site({ nodes: 1, orders: RIDERS, env });
    const node = nodes[0]!;
    await stage.watch(company, orders, RIDERS, urls);
    const riders = await stage.riders(company, orders, urls[0]!);
    const sentAt = new Map<string, number>();
    riders.onPing = (order, n) => sentAt.set(`${order} ${n}`, Date.now());
    riders.keepPinging(HZ);
    const sinks = fork(fileURLToPath(new URL('../sinks.js', import.meta.url)));
    stage.finally(async () => void sinks.kill('SIGKILL'));
    const token = await company.mint('operator', 'wall');
    const count = WATCHERS;
    sinks.send({ url: node.url, token, channel: 'zone:hot', count } satisfies Sinks);
    await Promise.race([once(sinks, 'message'), stage.pause(30_000)]);
    await stage.metric(node, 'nodejs_eventloop_lag_p99_seconds'); // it counts from one look to the next
    const frames = await stage.metric(node, 'ridecast_position_frames_total');
    const cpu = cpuSeconds(node.pid) ?? Number.NaN;
    stage.injected();
    const from = Date.now();
    await stage.pause(stage.seconds(8, 4) * 1000);
    const until = Date.now();
    const used = ((cpuSeconds(node.pid) ?? Number.NaN) - cpu) / ((until - from) / 1000);
    const lag = 1000 * (await stage.metric(node, 'nodejs_eventloop_lag_p99_seconds'));
    const sent = (await stage.metric(node, 'ridecast_position_frames_total')) - frames;
    sinks.kill('SIGKILL');
    await riders.rest();
    stage.healed();
    await stage.pause(1000);
    await stage.audience.collect();
    const ages = stage.audience.sights
      .filter(([, at, what]) => what === 'position' && at >= from && at <= until)
      .map(([, at, , order, n]) => at - sentAt.get(`${order} ${n}`)!)
      .sort((a, b) => a - b);
    return {
      sockets: count,
      'frames a second': Math.round((1000 * sent) / (until - from)),
      'of a core': Math.round(100 * used) / 100,
      'event loop lag p99 ms': Math.round(lag),
      'single orders p99 ms': ages[Math.floor(0.99 * ages.length)] ?? null,
    };
  },
  problems(_, extra, stage) {
    const problems: string[] = [];
    const lag = extra['event loop lag p99 ms'];
    const age = extra['single orders p99 ms'];
    if (!(Number(lag) <= stage.slack * LAG_MS)) problems.push(`the event loop lags ${lag} ms`);
    if (Number(extra['of a core']) > CPU) problems.push(`it needs ${extra['of a core']} of a core`);
    if (age === null || Number(age) > stage.slack * OTHERS_MS) problems.push(`single orders p99 ${age} ms`);
    return problems;
  },
};
