import { describe, expect, test } from 'vitest';
import { Expiring } from '../src/backbone/expiring.ts';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import { describeBackbone } from './contract/backbone.ts';
import { fresh, Inbox } from './contract/fleet.ts';
import { at } from './contract/positions.ts';

describeBackbone('memory', async ({ positionTtlMs }) => {
  const broker = new MemoryBroker({ positionTtlMs });
  const [a, b] = [memoryBackbone(broker), memoryBackbone(broker)];
  await Promise.all([a.start(), b.start()]);
  return {
    a,
    b,
    async stop() {
      await Promise.all([a.stop(), b.stop()]);
    },
  };
});

describe('memory backbone only', () => {
  test('is healthy while it runs, and hears nothing after it stopped', async () => {
    const broker = new MemoryBroker();
    const [a, b] = [memoryBackbone(broker), memoryBackbone(broker)];
    expect(a.healthy()).toBe(false);
    await Promise.all([a.start(), b.start()]);
    expect(a.healthy()).toBe(true);
    const inbox = new Inbox(b);
    await a.bus.subscribe('order:1');
    await b.bus.subscribe('order:1');
    expect(await b.bus.publish('order:1', Buffer.from('1'))).toBe(2);
    await a.stop();
    expect(a.healthy()).toBe(false);
    expect(await b.bus.publish('order:1', Buffer.from('2'))).toBe(1);
    await inbox.until(() => inbox.heard.length === 2);
  });

  test('two brokers know nothing of each other', async () => {
    const [a, b] = [memoryBackbone(), memoryBackbone()];
    await Promise.all([a.start(), b.start()]);
    const rider = fresh('r');
    await a.store.putPositions([at(rider, 1, 1)]);
    expect(await b.store.getPositions([rider])).toEqual([undefined]);
  });

  test('a session number never falls below the clock', async () => {
    let now = Date.UTC(2026, 0, 1);
    const { store } = memoryBackbone(new MemoryBroker({ now: () => now }));
    const first = await store.nextSession('r');
    expect(first).toBe(365 * 86_400);
    now += 60_000;
    expect(await store.nextSession('r')).toBe(first + 60);
    now -= 3_600_000;
    expect(await store.nextSession('r')).toBe(first + 61);
  });
});

describe('Expiring', () => {
  test('holds no more than twice what lives, with no timer', () => {
    let now = 0;
    const ended: string[] = [];
    const map = new Expiring<number>(
      () => now,
      (key) => ended.push(key),
    );
    for (let i = 0; i < 10_000; i++) {
      now = i;
      map.set(`k${i}`, i, 100);
      expect(map.size).toBeLessThanOrEqual(202);
    }
    expect(ended.length).toBe(10_000 - map.size);
    expect(map.get('k9999')).toBe(9999);
    expect(map.get('k9899')).toBeUndefined();
  });

  test('a value set again lives on', () => {
    let now = 0;
    const map = new Expiring<string>(() => now);
    map.set('k', 'a', 10);
    now = 9;
    map.set('k', 'b', 10);
    now = 18;
    expect(map.get('k')).toBe('b');
    now = 19;
    expect(map.get('k')).toBeUndefined();
    expect(map.size).toBe(0);
  });
});
