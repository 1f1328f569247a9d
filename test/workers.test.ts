import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Worker, WorkerEnded, Workers } from '../src/workers.ts';
import { RawClient } from './support/client.ts';
import { SECRET, token } from './support/gateway.ts';
import { freePort } from './support/ports.ts';
import { startRedis } from './support/redis.ts';

/** A worker that does what the test says. */
class Puppet implements Worker {
  readonly index: number;
  serve!: () => void;
  exit!: (code: number | null) => void;
  draining = false;
  readonly ready = new Promise<void>((resolve) => {
    this.serve = resolve;
  });
  readonly ended = new Promise<number | null>((resolve) => {
    this.exit = resolve;
  });
  constructor(index: number) {
    this.index = index;
  }
  drain(): void {
    this.draining = true;
  }
}

function fleet(count: number) {
  const started: Puppet[] = [];
  const pauses: number[] = [];
  const workers = new Workers({
    count,
    start: (index) => {
      started.push(new Puppet(index));
      return started.at(-1)!;
    },
    log: { info() {}, warn() {} },
    pause: async (ms) => void pauses.push(ms),
  });
  return { pauses, started, workers };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function serving(count: number) {
  const made = fleet(count);
  const start = made.workers.start();
  for (const worker of made.started) worker.serve();
  await start;
  return made;
}

describe('workers', () => {
  it('start together, and the start is over when all of them serve', async () => {
    const { started, workers } = fleet(2);
    let over = false;
    const start = workers.start().then(() => {
      over = true;
    });
    started[0]!.serve();
    await settled();
    expect([started.map(({ index }) => index), over]).toEqual([[0, 1], false]);
    started[1]!.serve();
    await start;
  });

  it('that cannot start fail as a whole, with the exit code of the first', async () => {
    const { started, workers } = fleet(2);
    const start = workers.start();
    started[1]!.exit(78);
    await settled();
    expect(started[0]!.draining).toBe(true);
    started[0]!.exit(0);
    await expect(start).rejects.toEqual(new WorkerEnded(78));
    expect(started).toHaveLength(2);
  });

  it('are started again where one ends by itself, later and later while it does not serve', async () => {
    const { pauses, started } = await serving(2);
    started[1]!.exit(null);
    await settled();
    started[2]!.exit(1);
    await settled();
    started[3]!.exit(1);
    await settled();
    started[4]!.serve();
    await settled();
    started[4]!.exit(1);
    await settled();
    expect(started.map(({ index }) => index)).toEqual([0, 1, 1, 1, 1, 1]);
    expect(pauses).toEqual([500, 1000, 2000, 500]);
  });

  it('are replaced one by one', async () => {
    const { pauses, started, workers } = await serving(2);
    const restart = workers.restart();
    expect(workers.restart()).toBe(restart);
    expect(started.map(({ draining }) => draining)).toEqual([true, false]);
    started[0]!.exit(0);
    await settled();
    expect([started.length, started[1]!.draining]).toEqual([3, false]);
    started[2]!.serve();
    await settled();
    expect(started[1]!.draining).toBe(true);
    started[1]!.exit(0);
    await settled();
    started[3]!.serve();
    await restart;
    expect([started.map(({ index }) => index), pauses]).toEqual([[0, 1, 0, 1], []]);
  });

  it('stop for good, in the middle of a restart too', async () => {
    const { started, workers } = await serving(2);
    const restart = workers.restart();
    const stop = workers.stop();
    for (const worker of started) worker.exit(0);
    await Promise.all([restart, stop]);
    await settled();
    expect(started).toHaveLength(2);
  });
});

describe('a gateway of two workers', () => {
  it('serves on one port, brings back what dies, replaces both, and leaves nobody behind', async () => {
    const redis = await startRedis();
    const [port, adminPort] = [await freePort(), await freePort()];
    const env = {
      ...{ PATH: process.env.PATH, HOST: '127.0.0.1', PORT: `${port}`, ADMIN_PORT: `${adminPort}` },
      ...{ AUTH_SECRET: SECRET, REDIS_URL: redis.url, WORKERS: '2', NODE_ID: 'w', DRAIN_SPREAD_MS: '0' },
    };
    const main = new URL('../dist/src/main.js', import.meta.url).pathname;
    const gateway = spawn(process.execPath, [main], { env, stdio: 'ignore' });
    try {
      const url = `http://127.0.0.1:${port}`;
      const children = () =>
        readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, 'utf8').trim().split(' ');
      const nodes = await eventually(
        () => nodesAt(url),
        (seen) => seen.size === 2,
      );
      expect([...nodes].sort()).toEqual(['w-0', 'w-1']);

      const before = children();
      process.kill(Number(before[0]), 'SIGKILL');
      await eventually(
        async () => children(),
        (now) => now.length === 2 && !now.includes(before[0]!),
      );
      gateway.kill('SIGHUP');
      await eventually(
        async () => children(),
        (now) => now.length === 2 && before.every((pid) => !now.includes(pid)),
      );
      await eventually(
        () => nodesAt(url),
        (seen) => seen.size === 2,
      );

      const last = children();
      gateway.kill('SIGTERM');
      expect(await once(gateway, 'exit')).toEqual([0, null]);
      for (const pid of last) expect(existsSync(`/proc/${pid}`)).toBe(false);
    } finally {
      gateway.kill('SIGKILL');
      await redis.stop();
    }
  });
});

/** Which nodes answered among some connections at once. */
async function nodesAt(url: string): Promise<Set<string>> {
  const bearer = await token('customer', 'ann');
  const hello = async () => {
    const client = new RawClient(url);
    try {
      await client.open();
      client.send({ t: 'hello', token: bearer });
      return (await client.next('welcome')).node;
    } catch {
      return undefined; // nobody listens yet
    } finally {
      client.close();
    }
  };
  const nodes = await Promise.all(Array.from({ length: 10 }, hello));
  return new Set(nodes.filter((node) => node !== undefined));
}

/** Looks again and again until it is so; the test's own timeout ends it. */
async function eventually<T>(look: () => Promise<T>, so: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (so(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
