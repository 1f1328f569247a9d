import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { memoryBackbone } from '../src/backbone/memory.ts';
import { loadConfig } from '../src/config.ts';
import { Hub } from '../src/fanout/hub.ts';
import type { Round } from '../src/fanout/round.ts';
import type { Subscriber, Subscription } from '../src/fanout/subscription.ts';
import { Load } from '../src/observe/load.ts';
import { Counts } from '../src/observe/metrics.ts';
import { Orders } from '../src/orders/orders.ts';
import { encodeBus } from '../src/protocol/bus-messages.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { GatewayMessage } from '../src/protocol/messages.ts';
import { type Position, toRecord } from '../src/protocol/positions.ts';
import { RawClient } from './support/client.ts';
import { givenOrder, testGateway, token } from './support/gateway.ts';

/** A load whose windows are what the test says: busy shares of a second each. */
function loadOf(...shares: number[]): number[] {
  let active = 0;
  let idle = 0;
  const load = new Load(() => ({ active, idle, utilization: 0 }));
  return shares.map((share) => {
    active += share;
    idle += 1 - share;
    load.sample();
    return load.factor;
  });
}

describe('the load', () => {
  it('doubles the factor, up to sixteen, when as many windows as it stretches by were busy', () => {
    expect(loadOf(0.5, 0.99, 0.99, ...Array(8).fill(1))).toEqual([1, 1, 2, 4, 8, 8, 8, 8, 16, 16, 16]);
  });

  it('does not take one busy window for an overload', () => {
    expect(loadOf(1, 0.5, 1, 0.5, 1)).toEqual([1, 1, 1, 1, 1]);
  });

  it('keeps the factor while what is stretched still takes most of the time', () => {
    expect(loadOf(1, 0.99, ...Array(20).fill(0.9)).slice(1)).toEqual(Array(21).fill(2));
  });

  it('is not overloaded as long as all is done in time', () => {
    expect(loadOf(...Array(20).fill(0.96))).toEqual(Array(20).fill(1));
  });

  it('tries a step back where it may fit, and later and later if it does not', () => {
    const trials: number[] = [];
    let windows = 0;
    let before = 1;
    let active = 0;
    let idle = 0;
    const load = new Load(() => ({ active, idle, utilization: 0 }));
    // A load that fits when it is stretched, and does not when it is not.
    for (; windows < 400; windows++) {
      const share = load.factor === 1 ? 1 : 0.7;
      active += share;
      idle += 1 - share;
      load.sample();
      if (load.factor < before) trials.push(windows);
      before = load.factor;
    }
    const pauses = trials.slice(1).map((at, i) => at - trials[i]!);
    expect(pauses).toEqual([22, 37, 69, 134]);
  });

  it('is back from all of it where a trial holds', () => {
    expect(loadOf(1, 1, 1, 1, 1, ...Array(35).fill(0.7)).at(-1)).toBe(1);
  });

  it('comes back within four seconds of quarter-second windows', () => {
    const factors = loadOf(...Array(8).fill(1), ...Array(16).fill(0.1));
    expect(factors.at(-1)).toBe(1);
    expect(factors.slice(8, 12)).toEqual([16, 16, 16, 8]);
  });

  it('does not take the bursts of what it stretched for more of an overload', () => {
    const second = [0, 0.2, 1, 1];
    // Stretched by four it comes once in four windows; the last one of these is the trial.
    expect(loadOf(1, 1, 1, ...second, ...second).slice(2)).toEqual([...Array(8).fill(4), 2]);
  });

  it('does not take the first burst after a step back, as large as those before it, for an overload', () => {
    // Stretched by four: a burst of three windows in four, and after the step back the last of these, then smaller ones.
    const factors = loadOf(
      1,
      1,
      1,
      ...Array(2).fill([0.2, 1, 1, 1]).flat(),
      0.1,
      0.2,
      1,
      1,
      1,
      0.7,
      0.7,
      0.7,
    );
    expect(factors.slice(2)).toEqual([...Array(8).fill(4), ...Array(9).fill(2)]);
  });

  it('does not take one calm window for the end', () => {
    expect(loadOf(1, 1, 1, 0.1, 0.6, 0.6, 0.6, 0.6)).toEqual([1, 2, 4, 4, 4, 4, 4, 4]);
  });
});

class Watcher implements Subscriber {
  readonly codec = jsonCodec;
  readonly audience = 'operator';
  /** What it was sent: types of events, and `every` of each frame of positions. */
  readonly got: unknown[] = [];
  private readonly marked = new Set<Subscription>();
  send(_: GatewayMessage): void {}
  sendBytes(bytes: Uint8Array): void {
    this.got.push((jsonCodec.decode(bytes) as { type: string }).type);
  }
  mark(watch: Subscription): void {
    this.marked.add(watch);
  }
  unmark(watch: Subscription): void {
    this.marked.delete(watch);
  }
  forget(): void {}
  flush({ every }: Round): boolean {
    if (this.marked.size > 0) this.got.push(every ?? 'at once');
    for (const watch of this.marked) watch.standing = { ...watch.standing, since: watch.group.clock };
    this.marked.clear();
    return false;
  }
}

/** A hub whose ticks and load are the test's, one order, and one zone. */
async function setUp() {
  const { bus, store } = memoryBackbone();
  const config = loadConfig({ AUTH_SECRET: 'x'.repeat(32) });
  const windows = {
    statuses: config.orderStatuses,
    customerFrom: 'picked_up',
    partnerFrom: 'assigned',
    nearFrom: 'arriving',
  };
  const lifecycle = { statuses: config.orderStatuses, ends: new Set(config.orderEndStatuses) };
  const now = () => 1_764_000_000_000;
  const orders = new Orders({ ...config, store, bus, lifecycle, now });
  const load = { factor: 1 };
  const periodic = new Map<number, () => void>();
  const timers = {
    soon: (run: () => void) => void setImmediate(run),
    after: () => {},
    every: (ms: number, run: () => void) => {
      periodic.set(ms, run);
      return () => {};
    },
    beat: (ms: number, _: number, run: () => void) => timers.every(ms, run),
  };
  const hub = new Hub({
    ...config,
    bus,
    store,
    orders,
    counts: new Counts(),
    windows,
    ages: config,
    now,
    timers,
    load,
  });
  bus.onMessage((channel, payload) => hub.deliver(channel, payload));
  await orders.create('o', { customer: 'ann', partner: 'shop' });
  await orders.assign('o', 'r', 'k1');
  const grant = { role: 'operator', sub: 'op', expiresAt: Number.MAX_SAFE_INTEGER } as const;
  const watch = async (channel: string) => {
    const watcher = new Watcher();
    await hub.watch(watcher, grant, { w: 1, channel });
    await settled();
    tick();
    watcher.got.length = 0;
    return watcher;
  };
  const tick = () => periodic.get(config.groupTickMs)!();
  let seq = 0;
  const position = (): Position => ({
    rider: 'r',
    session: 1,
    seq: ++seq,
    lat: 1,
    lng: 1,
    fixAt: now(),
    heardAt: now(),
    heading: null,
    speed: null,
    accuracy: null,
    verdict: 0,
  });
  const ping = async () => {
    const record = toRecord(position());
    hub.deliver('order:o', encodeBus({ kind: 'position', position: record }));
    hub.deliver('zone:z', encodeBus({ kind: 'fleet', entries: [[record, []]], left: [] }));
    await settled();
  };
  const post = async (status: string) => {
    await orders.advance('o', { status }, status);
    await settled();
  };
  return { load, ping, post, tick, watch };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a tick for very many watchers', () => {
  it('is cut into slices, and an event goes between them', async () => {
    const { ping, post, tick, watch } = await setUp();
    const watchers = await Promise.all(Array.from({ length: 600 }, () => watch('zone:z')));
    const order = await watch('order:o');
    const sent = () => watchers.filter(({ got }) => got.length > 0).length;
    await ping();
    for (const watcher of watchers) watcher.got.length = 0;
    tick();
    expect(sent()).toBe(256);
    order.got.length = 0;
    const posted = post('picked_up');
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent()).toBe(512);
    await posted;
    expect([sent(), order.got]).toEqual([600, ['picked_up']]);
  });
});

describe('an overloaded node', () => {
  it('stretches the tick of groups first, and says how far', async () => {
    const { load, ping, tick, watch } = await setUp();
    const [order, zone] = [await watch('order:o'), await watch('zone:z')];
    load.factor = 2;
    for (let i = 0; i < 4; i++) {
      await ping();
      tick();
    }
    expect(zone.got).toEqual([500, 500]);
    expect(order.got).toEqual(Array(4).fill('at once'));
  });

  it('lets far orders wait next, and neither events nor a rider about to arrive', async () => {
    const { load, ping, post, tick, watch } = await setUp();
    const order = await watch('order:o');
    load.factor = 8;
    await ping();
    await ping();
    expect(order.got).toEqual([]);
    await post('picked_up');
    expect(order.got).toEqual(['picked_up', 'at once']);
    for (let i = 0; i < 4; i++) {
      await ping();
      tick();
    }
    expect(order.got.slice(2)).toEqual([500, 500]);
    await post('arriving');
    await ping();
    expect(order.got.slice(4)).toEqual(['arriving', 'at once', 'at once']); // the one that waited, and the new one
  });

  it('sends what waited when it is calm again', async () => {
    const { load, ping, tick, watch } = await setUp();
    const [order, zone] = [await watch('order:o'), await watch('zone:z')];
    load.factor = 16;
    await ping();
    load.factor = 1;
    tick();
    expect([order.got, zone.got]).toEqual([['at once'], ['at once']]);
  });
});

describe('pings at an overloaded node', () => {
  it('are overtaken by newer ones of their rider, counted, and acknowledged', async () => {
    const load = Object.assign(new Load(), { factor: 16, sample() {} });
    const gateway = await testGateway({}, { load });
    try {
      await givenOrder(gateway, 'o', { rider: 'r' }, 'arriving');
      const customer = await RawClient.hello(gateway.url, await token('customer', 'ann'), {
        watch: [{ w: 1, channel: 'order:o' }],
      });
      await customer.next('watching');
      const rider = await RawClient.hello(gateway.url, await token('rider', 'r'), { rider: {} });
      for (let seq = 1; seq <= 10; seq++) rider.send({ t: 'ping', pings: [{ seq, lat: seq, lng: 1 }] });
      await rider.next('pinged', ({ seq }) => seq === 10);
      const shown: number[] = [];
      while (shown.at(-1) !== 10) shown.push((await customer.next('positions')).b[0]![2][0]![2]);
      expect(shown.length + gateway.counts.shed).toBe(10);
      expect(gateway.counts.shed).toBeGreaterThan(0);
    } finally {
      await gateway.stop();
    }
  });
});

describe('new sessions', () => {
  const connect = async (url: string) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, ['ridecast.v1.json']);
    return new Promise<string>((resolve) => {
      socket.on('open', () => resolve('open'));
      socket.on('unexpected-response', (_, answer) =>
        resolve(`${answer.statusCode} ${answer.headers['retry-after']}`),
      );
      socket.on('error', () => {});
    });
  };

  it('beyond so many a second are asked to come later, and fewer come in where the node is overloaded', async () => {
    const load = Object.assign(new Load(), { sample() {} });
    let now = 1_764_000_000_000;
    const gateway = await testGateway({ CONNECTS_PER_SECOND: '4' }, { load, now: () => now });
    try {
      const five = async () => Promise.all(Array.from({ length: 5 }, () => connect(gateway.url)));
      expect((await five()).sort()).toEqual(['503 2', 'open', 'open', 'open', 'open']);
      now += 1000;
      load.factor = 2;
      expect((await five()).sort()).toEqual(['503 2', '503 2', '503 2', 'open', 'open']);
    } finally {
      await gateway.stop();
    }
  });
});
