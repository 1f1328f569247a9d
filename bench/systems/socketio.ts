/** Socket.IO, alone and with its two adapters for Redis. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchServer, launchWithRedis } from './bare.ts';
import type { System } from './system.ts';

/** Where scripts/bench.mjs installs what bench/peers/package.json names. */
const PEERS = fileURLToPath(new URL('../../../.cache/bench-peers/', import.meta.url));

function missing(): string | undefined {
  return existsSync(join(PEERS, 'node_modules', 'socket.io')) ? undefined : 'not installed';
}

export const socketio: System = {
  name: 'Socket.IO',
  what: 'Socket.IO on ws, one process, in memory',
  missing,
  async start() {
    const server = await launchServer('socketio', { PEERS_DIR: PEERS });
    return {
      target: { speaks: 'socketio', url: server.ready },
      pids: { server: server.pid },
      stop: () => server.stop(),
    };
  },
};

export const socketioRedis = withAdapter('redis-adapter', 'redis');
export const socketioStreams = withAdapter('redis-streams-adapter', 'redis-streams');

function withAdapter(name: string, ADAPTER: string): System {
  return {
    name: `Socket.IO + ${name}`,
    what: `Socket.IO with @socket.io/${name}: its way to more than one process`,
    missing,
    async start() {
      const { server, redis, stop } = await launchWithRedis('socketio', { PEERS_DIR: PEERS, ADAPTER });
      const pids = { server: server.pid, redis: redis.pid };
      return { target: { speaks: 'socketio', url: server.ready }, pids, stop };
    },
  };
}
