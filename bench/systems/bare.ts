/** Small servers of ours, each a file in bench/servers. */
import { fileURLToPath } from 'node:url';
import { launch, launchRedis, type Process } from '../../loadtest/processes.ts';
import { LOAD_CORE, pin, SERVER_CORE } from '../cores.ts';
import { collecting } from './memory.ts';
import type { System } from './system.ts';

/** Runs one of them on the server's core, ready as its URL. */
export async function launchServer(file: string, env: Record<string, string>): Promise<Process<string>> {
  const path = fileURLToPath(new URL(`../servers/${file}.js`, import.meta.url));
  const server = await launch(
    process.execPath,
    [path],
    { PATH: process.env.PATH, ...collecting, ...env },
    (line) => {
      const port = /^listens on (\d+)/.exec(line)?.[1];
      return port === undefined ? undefined : `http://127.0.0.1:${port}`;
    },
  );
  pin(server.pid, SERVER_CORE);
  return server;
}

/** The same behind a Redis, which stands with the load. */
export async function launchWithRedis(
  file: string,
  env: Record<string, string>,
): Promise<{ server: Process<string>; redis: Process<string>; stop(): Promise<void> }> {
  const redis = await launchRedis();
  pin(redis.pid, LOAD_CORE);
  try {
    const server = await launchServer(file, { REDIS_URL: redis.ready, ...env });
    return {
      server,
      redis,
      async stop() {
        await server.stop();
        await redis.stop();
      },
    };
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

/** ms between frames of the tick server, as many as the gateway's GROUP_TICK_MS. */
const TICK_MS = 250;

export const rawUws: System = {
  name: 'raw uWebSockets.js',
  what: 'bare uWebSockets.js: publishes each ping as it came, nothing checked, ordered or kept',
  async start() {
    const server = await launchServer('uws', {});
    return {
      target: { speaks: 'raw', url: server.ready },
      pids: { server: server.pid },
      stop: () => server.stop(),
    };
  },
};

export const rawTick: System = {
  name: 'raw tick frame',
  what: 'bare uWebSockets.js: reads each ping and publishes one frame a tick, with as many bytes a position as ours took',
  async start({ recordBytes }) {
    const server = await launchServer('uws', { TICK_MS: `${TICK_MS}`, RECORD_BYTES: `${recordBytes}` });
    return {
      target: { speaks: 'tick', url: server.ready, recordBytes },
      pids: { server: server.pid },
      stop: () => server.stop(),
    };
  },
};

export const wsRedis: System = {
  name: 'ws + ioredis',
  what: 'what many build first: one PUBLISH a ping, one send a watcher, through Redis',
  async start() {
    const { server, redis, stop } = await launchWithRedis('ws-redis', {});
    const pids = { server: server.pid, redis: redis.pid };
    return { target: { speaks: 'raw', url: server.ready }, pids, stop };
  },
};
