/** Our own gateway, from the build, as a process of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchGateway, launchRedis, type Process } from '../../loadtest/processes.ts';
import { Company } from '../company.ts';
import { LOAD_CORE, pin, SERVER_CORE } from '../cores.ts';
import { CENTER, HALF_SIDE } from '../load/motion.ts';
import { collecting } from './memory.ts';
import type { Shape, Stand, System } from './system.ts';

export interface RidecastOptions {
  readonly redis?: boolean;
  /** Watchers send credit, as the SDK does (true). */
  readonly credit?: boolean;
  /** They ask for packed positions, as the SDK's binary entry does (true); else for plain MessagePack. */
  readonly packed?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export function ridecast(name: string, what: string, options: RidecastOptions = {}): System {
  return { name, what, start: (shape) => start(shape, options) };
}

async function start(
  shape: Shape,
  { redis = false, credit = true, packed = true, env = {} }: RidecastOptions,
): Promise<Stand> {
  const secret = randomBytes(32).toString('hex');
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-bench-'));
  const zones = join(folder, 'zones.geojson');
  writeFileSync(zones, JSON.stringify(oneZone()));
  const started: Process<string>[] = [];
  const stop = async () => {
    await Promise.all(started.map((process) => process.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const pids: Record<string, number> = {};
    const store: Record<string, string> = {};
    if (redis) {
      const server = await launchRedis();
      started.push(server);
      pin(server.pid, LOAD_CORE);
      pids.redis = server.pid;
      store.REDIS_URL = server.ready;
    }
    const gateway = await launchGateway(MAIN, {
      ...collecting,
      ...store,
      ...environment(shape, secret, zones),
      ...env,
    });
    started.push(gateway);
    pin(gateway.pid, SERVER_CORE);
    pids.server = gateway.pid;
    const company = new Company(gateway.ready, secret);
    if (shape.channel === 'order') await company.giveOrders(shape.riders);
    return {
      target: { speaks: packed ? 'packed' : 'ridecast', url: gateway.ready, secret, credit },
      pids,
      company,
      async stop() {
        company.end();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Limits that are about one person or one address would be about all of the load here. */
function environment({ hz }: Shape, secret: string, zones: string): Record<string, string> {
  return {
    AUTH_SECRET: secret,
    ZONES_FILE: zones,
    KEEP_ALIVE_MS: '0', // every ping is shown: one that is not is lost
    DRAIN_SPREAD_MS: '0',
    CONNECTS_PER_SECOND: '1000000',
    MAX_SESSIONS_PER_IP: '1000000',
    MAX_SESSIONS_PER_SUBJECT: '1000000',
    PINGS_PER_SECOND: `${Math.max(5, Math.ceil(hz * 2))}`,
    FRAMES_PER_SECOND: `${Math.max(20, Math.ceil(hz * 4))}`,
  };
}

/** The city, as one zone. */
function oneZone(): object {
  const { lat, lng } = CENTER;
  const [high, wide] = [HALF_SIDE * 1.5, HALF_SIDE * 3];
  const [south, north, west, east] = [lat - high, lat + high, lng - wide, lng + wide];
  // biome-ignore format: corners
  const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
  const geometry = { type: 'Polygon', coordinates: [ring] };
  return { type: 'FeatureCollection', features: [{ type: 'Feature', properties: { id: 'z' }, geometry }] };
}
