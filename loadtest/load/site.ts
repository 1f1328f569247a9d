/** Where a load test is played: at gateways that run already, or at gateways (and a Redis) of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchGateway, launchRedis, type Process } from '../processes.ts';
import { readTraces, zonesOver } from '../traces.ts';
import { citySquare } from './motion.ts';
import type { Options } from './options.ts';
import { headcount, type Plan, type Role } from './plan.ts';

export interface Site extends Pick<Plan, 'urls' | 'zones' | 'secret' | 'coversCity' | 'showsStill'> {
  readonly pids: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

/** Side of the square of zones over the city. */
const ZONE_GRID = 3;

export function foreignSite({ url, zones, pid }: Options, secret: string | undefined): Site {
  return { urls: url, zones, secret, coversCity: false, showsStill: false, pids: pid, async stop() {} };
}

/** Rejects if redis-server or a gateway does not start, with its last words. */
export async function ownSite(options: Options): Promise<Site> {
  const secret = options.env.AUTH_SECRET ?? randomBytes(32).toString('hex');
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-loadtest-'));
  const started: Process<string>[] = [];
  const stop = async () => {
    await Promise.all(started.map((process) => process.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const traces =
      options.traces === undefined ? [citySquare(options.center)] : await readTraces(options.traces);
    const zones = zonesOver(traces, ZONE_GRID);
    const zonesFile = join(folder, 'zones.geojson');
    writeFileSync(zonesFile, zones.geojson);
    const pids: Record<string, number> = {};
    const redisEnv: Record<string, string> = {};
    if (options.redis || options.nodes > 1) {
      const redis = await launchRedis();
      started.push(redis);
      pids.redis = redis.pid;
      redisEnv.REDIS_URL = redis.ready;
    }
    const urls: string[] = [];
    for (let node = 1; node <= options.nodes; node++) {
      const env = {
        ...redisEnv,
        ...environment(options, secret, zonesFile),
        NODE_ID: `node-${node}`,
        ...options.env,
      };
      const gateway = await launchGateway(fileURLToPath(new URL('../../src/main.js', import.meta.url)), env);
      started.push(gateway);
      pids[options.nodes === 1 ? 'gateway' : `gateway-${node}`] = gateway.pid;
      urls.push(gateway.ready);
    }
    return { urls, zones: zones.ids, secret, coversCity: true, showsStill: true, pids, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Limits that are about one person or one address would be about all of the load here. */
function environment({ hz, tick }: Options, secret: string, zonesFile: string): Record<string, string> {
  return {
    AUTH_SECRET: secret,
    ZONES_FILE: zonesFile,
    GROUP_TICK_MS: `${tick}`,
    DRAIN_SPREAD_MS: '0',
    KEEP_ALIVE_MS: '0', // every ping is shown: one that is not is lost
    MAX_SESSIONS_PER_IP: '1000000',
    MAX_SESSIONS_PER_SUBJECT: '10000',
    PINGS_PER_SECOND: `${Math.max(5, Math.ceil(hz * 2))}`,
    FRAMES_PER_SECOND: `${Math.max(20, Math.ceil(hz * 4))}`,
  };
}

export function makePlan(options: Options, site: Site): Plan {
  return {
    run: `load-${Date.now().toString(36)}`,
    urls: site.urls,
    zones: site.zones,
    secret: site.secret,
    tokens: options.tokens,
    riders: options.riders,
    hz: options.hz,
    customersPerOrder: options['customers-per-order'],
    partners: options.partners,
    operators: options.operators,
    zoneWatchers: options['zone-watchers'],
    rampMs: options.ramp * 1000,
    measuredMs: options.seconds * 1000,
    churn: options.churn,
    slow: options.slow,
    dead: options.dead,
    drops: options.drops,
    traces: options.traces,
    center: options.center,
    seed: options.seed,
    codec: options.codec,
    tickMs: options.tick,
    coversCity: site.coversCity,
    showsStill: site.showsStill,
  };
}

/** What one process of the generator does with half a core: measured, see docs/loadtest.md. */
const FRAMES_PER_PROCESS = 12_000;
const POSITIONS_PER_PROCESS = 1_000_000;
const SOCKETS_PER_PROCESS = 10_000;

/** How many processes each role needs so that none of them is the limit; never more than there are cores. */
export function processesFor(plan: Plan, wanted: Partial<Record<Role, number>>): Record<Role, number> {
  const { riders, hz, operators, zoneWatchers } = plan;
  const groupHz = Math.min(hz, 1000 / plan.tickMs);
  const ticks = Math.min(1000 / plan.tickMs, riders * hz);
  const loads: Record<Role, [frames: number, positions: number]> = {
    riders: [riders * hz, 0],
    customers: [headcount(plan, 'customers') * hz, 0],
    partners: [plan.partners * ticks, riders * groupHz],
    operators: [
      (operators + zoneWatchers) * ticks,
      (operators + zoneWatchers / Math.max(1, plan.zones.length)) * riders * groupHz,
    ],
  };
  const needed = (role: Role) => {
    const [frames, positions] = loads[role];
    const load = frames / FRAMES_PER_PROCESS + positions / POSITIONS_PER_PROCESS;
    const count = Math.ceil(Math.max(load, headcount(plan, role) / SOCKETS_PER_PROCESS));
    return wanted[role] ?? Math.max(1, Math.min(availableParallelism(), count));
  };
  return {
    riders: needed('riders'),
    customers: needed('customers'),
    partners: needed('partners'),
    operators: needed('operators'),
  };
}
