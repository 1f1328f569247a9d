/**
 * The same promise with nothing replaced: two gateways, real sockets, the SDK, and a redis-server whose links are cut,
 * whose memory is wiped, and whose log of an order goes back as after an asynchronous failover. Fewer schedules.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { connect, watchOrder } from '../../client-sdk/src/index.ts';
import type { Client, Cursor, OrderWatch } from '../../client-sdk/src/types.ts';
import type { Gateway } from '../../src/gateway.ts';
import { call, testGateway, token } from '../support/gateway.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';

const SCHEDULES = Number(process.env.REDIS_SCHEDULES ?? 12);
const SEED = Number(process.env.SEED ?? 42);
const PARTS = ['m', 's', 'st'];

let redis: RedisServer;
let gateways: Gateway[];
beforeAll(async () => {
  redis = await startRedis();
  const env = {
    REDIS_URL: redis.url,
    CHECK_MS: '200',
    REDIS_PROBE_MS: '200',
    REDIS_TIMEOUT_MS: '500',
    RECONNECT_SPREAD_MS: '20',
    CONNECTS_PER_SECOND: '100000',
    MAX_REPLAY: '4',
  };
  gateways = [await testGateway({ NODE_ID: 'a', ...env }), await testGateway({ NODE_ID: 'b', ...env })];
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  await redis.stop();
});

/** An app that notices an event that is missing, doubled or out of order. */
class App {
  readonly wrong: string[] = [];
  watch!: OrderWatch;
  private readonly order: string;
  private node: number;
  private client!: Client;
  private offset: number | undefined;

  constructor(order: string, node: number) {
    this.order = order;
    this.node = node;
    this.open(undefined);
  }

  private open(since: Cursor | undefined): void {
    this.client = connect(`${gateways[this.node]!.url.replace('http', 'ws')}/v1/ws`, {
      token: () => token('customer', 'ann'),
      WebSocket,
      background: true,
    });
    const watch = watchOrder(this.client, this.order, since === undefined ? {} : { since });
    this.watch = watch;
    watch.on('gap', () => {
      this.offset = undefined;
    });
    watch.on('event', ({ offset, order: { version } }) => {
      if (this.offset !== undefined && offset !== this.offset + 1)
        this.wrong.push(`${offset} after ${this.offset}`);
      if (version !== offset) this.wrong.push(`version ${version} at ${offset}`);
      this.offset = offset;
    });
  }

  async started(): Promise<void> {
    if (this.watch.snapshot === undefined) await new Promise((resolve) => this.watch.on('change', resolve));
  }

  /** The app starts anew at the other node, with the cursor it kept. */
  hop(): void {
    const since = this.watch.cursor;
    this.client.close();
    this.node = 1 - this.node;
    this.offset = since?.offset;
    this.open(since);
  }

  close(): void {
    this.client.close();
  }
}

/** The order's backend: what it posted, in order, and can post again. */
class Backend {
  readonly order: string;
  readonly posted: { path: string; body: unknown; key: string }[] = [];
  private saved = 0;
  private lastKey = 0;

  constructor(order: string) {
    this.order = order;
  }

  async post(): Promise<void> {
    const row = {
      path: '/events',
      body: { status: 'arriving', data: { n: this.lastKey } },
      key: `k${++this.lastKey}`,
    };
    await this.send(row);
    this.posted.push(row);
  }

  async putBack(): Promise<void> {
    await this.send({ path: '', body: { customer: 'ann', partner: 'shop' }, key: 'put' });
    await this.send({ path: '/assign', body: { rider: 'r' }, key: 'assign' });
    for (const row of this.posted) await this.send(row);
  }

  /** What a replica would hold. */
  async save(): Promise<void> {
    this.saved = this.posted.length;
    const keys = PARTS.map((part) => this.name(part));
    await copyAll(keys, PARTS.map((part) => `saved:${this.order}:${part}`)); // biome-ignore format: from, to
  }

  /** A failover to it: what was posted since is gone from the log, with the keys it used. */
  async failOver(): Promise<void> {
    const keys = PARTS.map((part) => this.name(part));
    const lost = this.posted.splice(this.saved).map(({ key }) => this.name(`i:e-${key}`));
    await copyAll(PARTS.map((part) => `saved:${this.order}:${part}`), keys, lost); // biome-ignore format: from, to, gone
    await cut();
  }

  /** The id of the newest entry of the order's log. */
  async head(): Promise<string> {
    return (await redis.command('HGET', this.name('m'), 'h')).split('\r\n')[1]!;
  }

  private name(part: string): string {
    return `ridecast:{o:${this.order}}:${part}`;
  }

  /** Repeats the call with its key until it is answered. */
  private async send({ path, body, key }: { path: string; body: unknown; key: string }): Promise<void> {
    for (;;) {
      const method = path === '' ? 'PUT' : 'POST';
      const { status } = await call(
        gateways[this.lastKey % 2]!,
        method,
        `/v1/orders/${this.order}${path}`,
        body,
        { key },
      );
      if (status === 200) return;
      if (status !== 503) throw new Error(`${method} ${path}: ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Copies keys in one moment, as a failover is one; those of `gone` are gone with it. */
async function copyAll(from: string[], to: string[], gone: string[] = []): Promise<void> {
  const script =
    "for i = 1, 3 do redis.call('COPY', KEYS[i], KEYS[i + 3], 'REPLACE') end " +
    "for i = 7, #KEYS do redis.call('DEL', KEYS[i]) end";
  const keys = [...from, ...to, ...gone];
  await redis.command('EVAL', `"${script}"`, String(keys.length), ...keys);
}

const cut = async () => {
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
};

type Op = 'post' | 'hop' | 'deaf' | 'cut' | 'save' | 'failOver' | 'flush';
const ops = fc.array(
  fc.tuple(
    fc.constantFrom<Op>('post', 'post', 'post', 'hop', 'deaf', 'cut', 'save', 'failOver', 'flush'),
    fc.nat(9),
  ),
  { minLength: 5, maxLength: 25, size: 'max' },
);

async function play(order: string, schedule: readonly (readonly [Op, number])[]): Promise<void> {
  const backend = new Backend(order);
  await backend.putBack();
  await backend.save();
  const apps = [new App(order, 0), new App(order, 1), new App(order, 0)];
  try {
    // A first watch of an order that is not there (wiped, not put back yet) is over, rightly.
    await Promise.all(apps.map((app) => app.started()));
    for (const [op, n] of schedule) {
      if (op === 'post') await backend.post();
      else if (op === 'hop') apps[n % 3]!.hop();
      else if (op === 'deaf') await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      else if (op === 'cut') await cut();
      else if (op === 'save') await backend.save();
      else if (op === 'failOver') await backend.failOver();
      else {
        await redis.command('FLUSHALL');
        await backend.putBack();
        await backend.save();
      }
    }
    const head = await backend.head();
    for (const app of apps) {
      for (let waits = 0; app.watch.snapshot === undefined || app.watch.cursor?.id !== head; waits++) {
        if (waits > 1500) throw new Error(`an app stays at ${JSON.stringify(app.watch.cursor)}, not ${head}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(app.wrong).toEqual([]);
      expect(app.watch.snapshot?.version).toBe(2 + backend.posted.length);
    }
  } finally {
    for (const app of apps) app.close();
  }
}

it(`keeps the promise on ${SCHEDULES} schedules against a real Redis`, async () => {
  let n = 0;
  await fc.assert(
    fc.asyncProperty(ops, (schedule) => play(`o${++n}`, schedule)),
    { numRuns: SCHEDULES, seed: SEED, endOnFailure: true },
  );
}, 600_000);
