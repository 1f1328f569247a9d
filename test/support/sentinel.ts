/** A master, its replica, and a Sentinel that promotes the replica when the master dies. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { type RedisServer, startRedis } from './redis.ts';

export interface SentinelFleet {
  readonly url: string;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

const NAME = 'fleet';

/** Starts all three on free ports. The Sentinel takes a master that is silent for 500 ms for dead. */
export async function startSentinelFleet(): Promise<SentinelFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'ridecast-sentinel-'));
  const master = await startRedis();
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)]);
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  writeFileSync(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 1`,
      `sentinel down-after-milliseconds ${NAME} 500`,
      `sentinel failover-timeout ${NAME} 2000`,
    ].join('\n'),
  );
  const sentinel = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  const end = () => sentinel.kill('SIGKILL');
  process.once('exit', end);
  // It learns of the replica from the master, and can promote it only then.
  const { command } = await asServer(port);
  for (;;) {
    const known = await command(`SENTINEL REPLICAS ${NAME}`).catch(() => '');
    if (
      known.includes(String(replica.port)) &&
      (await replica.command('INFO', 'replication')).includes('link_status:up')
    )
      break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url: `redis+sentinel://127.0.0.1:${port}/${NAME}`,
    master,
    replica,
    async stop() {
      process.off('exit', end);
      const gone = once(sentinel, 'exit');
      end();
      await gone;
      await Promise.all([master.stop(), replica.stop()]);
      rmSync(folder, { recursive: true });
    },
  };
}

async function asServer(port: number) {
  const { connect } = await import('node:net');
  return {
    async command(line: string): Promise<string> {
      const socket = connect(port, '127.0.0.1');
      try {
        socket.write(`${line}\r\n`);
        return String((await once(socket, 'data'))[0]);
      } finally {
        socket.destroy();
      }
    },
  };
}
