/** What only a backbone with a network has: everything Redis and the way to it can do wrong. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backbone } from '../src/backbone/backbone.ts';
import { type RedisBackboneOptions, redisBackbone } from '../src/backbone/redis/redis.ts';
import { eventually, fresh, Inbox } from './contract/fleet.ts';
import { write } from './contract/orders.ts';
import { at } from './contract/positions.ts';
import { type RedisServer, startRedis } from './support/redis.ts';

/** For faults that only time can show: found soon. No test asks how soon. */
const quick = { commandTimeoutMs: 200, heartbeatMs: 100 };

let server: RedisServer;
let running: Backbone[] = [];
const crashes: unknown[] = [];
const crash = (reason: unknown) => crashes.push(reason);

beforeEach(async () => {
  server = await startRedis();
  process.on('unhandledRejection', crash);
});

afterEach(async () => {
  for (const node of running) await node.stop();
  running = [];
  await server.stop();
  process.off('unhandledRejection', crash);
  expect(crashes.splice(0)).toEqual([]);
});

async function start(options: Partial<RedisBackboneOptions> = {}): Promise<Backbone> {
  const node = redisBackbone({ url: server.url, prefix: 't:', ...options });
  running.push(node);
  await node.start();
  return node;
}

function nextGeneration(node: Backbone): Promise<number> {
  return new Promise((resolve) => node.bus.onGeneration(resolve));
}

async function heardAgain(from: Backbone, inbox: Inbox, channel: string): Promise<void> {
  const text = fresh('m');
  expect(await from.bus.publish(channel, Buffer.from(text))).toBeGreaterThan(0);
  await inbox.until(() => inbox.on(channel).includes(text));
}

describe('start', () => {
  test('says in one line which Redis does not answer, and keeps the password to itself', async () => {
    const url = `redis://alice:hunter2hunter2@127.0.0.1:${server.port}`;
    await server.kill();
    const failed = await start({ url }).catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Error);
    const { message } = failed as Error;
    expect(message).toContain(`127.0.0.1:${server.port}`);
    expect(message).toContain('REDIS_URL');
    expect(message).not.toContain('\n');
    expect(message).not.toContain('hunter2');
  });

  test('says that a password was refused', async () => {
    await server.command('CONFIG', 'SET', 'requirepass', 'right');
    const url = (password: string) => `redis://:${password}@127.0.0.1:${server.port}`;
    await expect(start({ url: url('wrong') })).rejects.toThrow(/WRONGPASS.*user and password/);
    expect((await start({ url: url('right') })).healthy()).toBe(true);
  });

  test('gives up on a Redis that accepts and never answers', async () => {
    await server.kill('SIGSTOP');
    await expect(start(quick)).rejects.toThrow(`127.0.0.1:${server.port}`);
  });

  test('refuses a prefix that would tear hash tags apart', () => {
    expect(() => redisBackbone({ url: server.url, prefix: 'a{b' })).toThrow('brace');
  });
});

describe('subscriber connection', () => {
  test('more commands than may wait are refused at once, and the node is not healthy until half of them are gone', async () => {
    const a = await start({ maxPending: 10 });
    await server.command('CLIENT', 'PAUSE', '300', 'ALL');
    const waiting = Array.from({ length: 10 }, () => a.store.currentSession('r'));
    expect(a.healthy()).toBe(true);
    await expect(a.store.currentSession('r')).rejects.toThrow('10 commands wait for an answer');
    expect(a.healthy()).toBe(false);
    expect(await Promise.all(waiting)).toEqual(Array(10).fill(0));
    expect(a.healthy()).toBe(true);
    expect(await a.store.currentSession('r')).toBe(0);
  });

  test('a new connection for commands begins a generation, too: reads may have gone to an old master', async () => {
    const a = await start();
    const next = nextGeneration(a);
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    expect(await next).toBe(2);
  });

  test('killed, it subscribes to everything again, and only then says so', async () => {
    const [a, b] = [await start(), await start()];
    const inbox = new Inbox(a);
    const channels = Array.from({ length: 1200 }, () => `order:${fresh('o')}`);
    await Promise.all(channels.map((channel) => a.bus.subscribe(channel)));
    for (let round = 2; round <= 4; round++) {
      const again = nextGeneration(a);
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      expect(await again).toBe(round);
      const counts = await Promise.all(channels.map((channel) => b.bus.publish(channel, Buffer.from('!'))));
      expect(new Set(counts)).toEqual(new Set([1]));
      await heardAgain(b, inbox, channels[round]!);
    }
    expect(a.healthy()).toBe(true);
  });

  test('what was left while it was away is not joined again', async () => {
    const [a, b] = [await start(), await start()];
    const [kept, left] = [`order:${fresh('o')}`, `order:${fresh('o')}`];
    await Promise.all([a.bus.subscribe(kept), a.bus.subscribe(left)]);
    const again = nextGeneration(a);
    await server.kill();
    await eventually(() => !a.healthy());
    await a.bus.unsubscribe(left);
    await server.restart();
    await again;
    await eventually(() => b.healthy());
    expect(await b.bus.publish(kept, Buffer.from('!'))).toBe(1);
    expect(await b.bus.publish(left, Buffer.from('!'))).toBe(0);
  });

  test('a subscribe while it is away waits for it', async () => {
    const a = await start({ commandTimeoutMs: 10_000 });
    const inbox = new Inbox(a);
    const channel = `order:${fresh('o')}`;
    await server.kill();
    await eventually(() => !a.healthy());
    const subscribed = a.bus.subscribe(channel);
    await server.restart();
    await subscribed;
    await eventually(() => a.healthy());
    await heardAgain(a, inbox, channel);
  });

  test('a subscribe that waited in vain rejects and leaves nothing behind', async () => {
    const warnings: string[] = [];
    const a = await start({ ...quick, log: { info() {}, warn: (line) => warnings.push(line) } });
    const [channel, before] = [`order:${fresh('o')}`, `order:${fresh('o')}`];
    await a.bus.subscribe(before);
    await server.kill();
    await eventually(() => warnings.some((line) => line.includes('ridecast-subscriber lost')));
    const waits = [channel, channel, before].map((name) => a.bus.subscribe(name));
    for (const result of await Promise.allSettled(waits)) expect(result.status).toBe('rejected');
    const again = nextGeneration(a);
    await server.restart();
    await again;
    await eventually(() => a.healthy());
    expect(await a.bus.publish(channel, Buffer.from('!'))).toBe(0);
    expect(await a.bus.publish(before, Buffer.from('!'))).toBe(1);
  });
});

describe('redis', () => {
  test('hung: every command rejects, nothing crashes; awake again: all goes on', async () => {
    const [a, b] = [await start(quick), await start(quick)];
    const inbox = new Inbox(a);
    const channel = `order:${fresh('o')}`;
    await a.bus.subscribe(channel);
    await server.kill('SIGSTOP');
    const rider = fresh('r');
    const calls = [
      a.bus.publish(channel, Buffer.from('!')),
      a.bus.subscribe(`order:${fresh('o')}`),
      a.store.putPositions([at(rider, 1, 1, 'z')]),
      a.store.getPositions([rider]),
      a.store.zonePositions('z'),
      a.store.nextSession(rider),
      a.store.currentSession(rider),
      a.store.readOrder('o'),
      a.store.recover('o', { epoch: 'e', offset: 1, id: 'i' }, 1),
      a.store.append({ order: 'o', key: 'k', expect: 0, data: '', snapshot: '', ttl: 1000 }),
      a.store.indexOrder({ of: 'rider', id: rider }, 'o', 1, 'x'),
      a.store.indexedOrders({ of: 'rider', id: rider }),
    ];
    const outcomes = await Promise.allSettled(calls);
    // Each at its own deadline: nobody waited for the connection to be given up.
    const reasons = outcomes.map((outcome) => String((outcome as PromiseRejectedResult).reason));
    for (const reason of reasons) expect(reason).toMatch(/no (answer|subscription) in 200 ms/);
    await eventually(() => !a.healthy());
    await server.kill('SIGCONT');
    await eventually(() => a.healthy() && b.healthy());
    await heardAgain(b, inbox, channel);
    await a.store.putPositions([at(rider, 1, 2, 'z')]);
    expect((await b.store.zonePositions('z')).map((p) => p.seq)).toEqual([2]);
  });

  test('hung for good: connections are cut and made anew until one works', async () => {
    const warnings: string[] = [];
    const a = await start({ ...quick, log: { info() {}, warn: (line) => warnings.push(line) } });
    const inbox = new Inbox(a);
    const channel = `order:${fresh('o')}`;
    await a.bus.subscribe(channel);
    const again = nextGeneration(a);
    await server.kill('SIGSTOP');
    for (const name of ['commands', 'subscriber']) {
      await eventually(() => warnings.some((line) => line.includes(`ridecast-${name} cut`)));
    }
    await expect(a.store.currentSession('r')).rejects.toThrow('not connected');
    await server.kill('SIGCONT');
    await again;
    await eventually(() => a.healthy());
    await heardAgain(a, inbox, channel);
  });

  test('killed and started empty: both connections come back, logs begin a new epoch', async () => {
    const [a, b] = [await start(), await start()];
    const inbox = new Inbox(a);
    const [order, rider] = [fresh('o'), fresh('r')];
    await a.bus.subscribe(`order:${order}`);
    const [first] = await write(a, order, 1);
    const numbers = [await a.store.nextSession(rider)];
    await a.store.putPositions([at(rider, 1, 5, 'z')]);
    const again = Promise.all([nextGeneration(a), nextGeneration(b)]);
    await server.restart();
    await again;
    await eventually(() => a.healthy() && b.healthy());
    expect(await a.store.readOrder(order)).toBeUndefined();
    const [renewed] = await write(b, order, 1);
    expect(renewed!.epoch).not.toBe(first!.epoch);
    expect((await a.store.recover(order, first!, 10))?.verdict).toBe('epoch');
    await inbox.until(() => inbox.on(`order:${order}`).length === 2);
    numbers.push(await b.store.nextSession(rider));
    expect(numbers[1]).toBeGreaterThanOrEqual(numbers[0]!);
    await a.store.putPositions([at(rider, 1, 6, 'z')]);
    expect((await b.store.zonePositions('z')).map((p) => p.seq)).toEqual([6]);
  });

  test('emptied in place: session numbers stay above the clock, zones fill again', async () => {
    const a = await start();
    const [rider, zone] = [fresh('r'), fresh('z')];
    await a.store.putPositions([at(rider, 1, 1, zone)]);
    const before = await a.store.nextSession(rider);
    await server.command('FLUSHALL');
    expect(await a.store.nextSession(rider)).toBeGreaterThanOrEqual(before);
    await a.store.putPositions([at(rider, 1, 2, zone)]);
    expect((await a.store.zonePositions(zone)).map((p) => p.seq)).toEqual([2]);
  });

  test('scripts it forgot are sent again', async () => {
    const a = await start();
    const order = fresh('o');
    const [first] = await write(a, order, 1);
    await server.command('SCRIPT', 'FLUSH');
    const [second] = await write(a, order, 1, 1);
    expect((await a.store.recover(order, first!, 10))?.entries.map((e) => e.id)).toEqual([second!.id]);
  });

  test('half a log that outlived its head is thrown away', async () => {
    const a = await start();
    for (const part of ['m', 'st']) {
      const order = fresh('o');
      const [first] = await write(a, order, 3);
      await server.command('DEL', `t:{o:${order}}:${part}`);
      expect(await a.store.readOrder(order)).toBeUndefined();
      const [renewed] = await write(a, order, 1);
      expect(renewed).toMatchObject({ offset: 1 });
      expect(renewed!.epoch).not.toBe(first!.epoch);
      expect((await a.store.readOrder(order))?.cursor).toEqual(renewed);
    }
  });

  test('a master that became a replica is left and found again when it is one no more', async () => {
    const warnings: string[] = [];
    const a = await start({ log: { info() {}, warn: (line) => warnings.push(line) } });
    await server.command('REPLICAOF', '127.0.0.1', '1');
    await expect(a.store.nextSession('r')).rejects.toThrow('READONLY');
    await eventually(() => warnings.some((line) => line.includes('ridecast-commands lost')));
    await server.command('REPLICAOF', 'NO', 'ONE');
    await eventually(() => a.store.nextSession('r').then(Boolean, () => false));
  });

  test('stays in its prefix: two fleets share a Redis', async () => {
    const [a, b] = [await start({ prefix: 'one:' }), await start({ prefix: 'two:' })];
    await a.bus.subscribe('order:1');
    expect(await b.bus.publish('order:1', Buffer.from('!'))).toBe(0);
    await write(a, '1', 1);
    expect(await b.store.readOrder('1')).toBeUndefined();
    expect(await server.command('DBSIZE')).not.toBe(':0\r\n');
  });

  test('everything it was given ends: no key is without a time to live', async () => {
    const a = await start();
    const rider = fresh('r');
    await a.store.putPositions([at(rider, 1, 1, 'z')]);
    await a.store.nextSession(rider);
    await write(a, fresh('o'), 2);
    await a.store.indexOrder({ of: 'rider', id: rider }, 'o1', 1, 'x');
    await a.store.indexOrder({ of: 'rider', id: rider }, 'o2', 1, undefined);
    const info = await server.command('INFO', 'keyspace');
    const [, keys, expires] = /keys=(\d+),expires=(\d+)/.exec(info)!;
    expect(Number(keys)).toBe(10);
    expect(expires).toBe(keys);
  });
});

describe('the way to redis', () => {
  test('half open: a connection that only swallows is cut and replaced', async () => {
    const way = await tunnel(server.port);
    const [a, b] = [await start({ ...quick, url: way.url }), await start()];
    const inbox = new Inbox(a);
    const channel = `order:${fresh('o')}`;
    await a.bus.subscribe(channel);
    const again = nextGeneration(a);
    way.swallow();
    await again;
    await eventually(() => a.healthy());
    await heardAgain(b, inbox, channel);
    await heardAgain(a, inbox, channel);
    way.close();
  });

  test('deaf: a connection that answers but delivers no message is cut and replaced', async () => {
    const way = await tunnel(server.port);
    const [a, b] = [await start({ ...quick, url: way.url }), await start()];
    const inbox = new Inbox(a);
    const channel = `order:${fresh('o')}`;
    await a.bus.subscribe(channel);
    await heardAgain(b, inbox, channel);
    const again = nextGeneration(a);
    way.deafen();
    await again;
    await heardAgain(b, inbox, channel);
    way.close();
  });

  test('quiet but sound: nothing is cut', async () => {
    const way = await tunnel(server.port);
    const a = await start({ ...quick, url: way.url });
    await a.bus.subscribe(`order:${fresh('o')}`);
    const generations: number[] = [];
    a.bus.onGeneration((generation) => generations.push(generation));
    await eventually(() => way.delivered() > 5); // probes, one in two heartbeats
    expect(generations).toEqual([]);
    expect(a.healthy()).toBe(true);
    way.close();
  });

  test('slow but sound: answers that come after the message do not make the bus look deaf', async () => {
    const way = await tunnel(server.port);
    const a = await start({ commandTimeoutMs: 5000, heartbeatMs: 100, url: way.url });
    await a.bus.subscribe(`order:${fresh('o')}`);
    const generations: number[] = [];
    a.bus.onGeneration((generation) => generations.push(generation));
    way.answerLate(150);
    const before = way.delivered();
    await eventually(() => way.delivered() > before + 5);
    expect(generations).toEqual([]);
    way.close();
  });
});

/** Messages as RESP3 pushes them; replies between them are left alone. */
const MESSAGES = />3\r\n\$7\r\nmessage\r\n\$\d+\r\n[^\r]*\r\n\$\d+\r\n[^\r]*\r\n/g;

/** A TCP way to Redis whose connections can be spoiled; those made afterwards are sound. */
async function tunnel(port: number) {
  const spoil = new Set<{ swallow: boolean; deafen: boolean; answerLateMs: number }>();
  let delivered = 0;
  const ends: Socket[] = [];
  const listener = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const state = { swallow: false, deafen: false, answerLateMs: 0 };
    spoil.add(state);
    ends.push(near, far);
    near.on('data', (bytes) => state.swallow || far.write(bytes));
    far.on('data', (bytes) => {
      const heard = bytes.toString('latin1');
      const unheard = heard.replace(MESSAGES, '');
      if (heard !== unheard) delivered += 1;
      if (state.swallow) return;
      if (state.answerLateMs === 0) near.write(state.deafen ? unheard : heard, 'latin1');
      else {
        near.write((heard.match(MESSAGES) ?? []).join(''), 'latin1');
        setTimeout(() => near.write(unheard, 'latin1'), state.answerLateMs);
      }
    });
    // biome-ignore format: pairs
    for (const [end, other] of [[near, far], [far, near]] as const) {
      end.on('error', () => {});
      end.on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `redis://127.0.0.1:${(listener.address() as { port: number }).port}`,
    // biome-ignore format: short
    swallow: () => spoil.forEach((state) => { state.swallow = true; }),
    // biome-ignore format: short
    deafen: () => spoil.forEach((state) => { state.deafen = true; }),
    // biome-ignore format: short
    answerLate: (ms: number) => spoil.forEach((state) => { state.answerLateMs = ms; }),
    delivered: () => delivered,
    close() {
      listener.close();
      for (const end of ends) end.destroy();
    },
  };
}
