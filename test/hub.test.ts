import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { memoryBackbone } from '../src/backbone/memory.ts';
import { loadConfig } from '../src/config.ts';
import { Hub } from '../src/fanout/hub.ts';
import type { Round } from '../src/fanout/round.ts';
import type { Subscriber, Subscription } from '../src/fanout/subscription.ts';
import type { Grant } from '../src/fanout/visibility.ts';
import { Counts } from '../src/observe/metrics.ts';
import { Orders } from '../src/orders/orders.ts';
import { encodeBus } from '../src/protocol/bus-messages.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { GatewayMessage } from '../src/protocol/messages.ts';
import { type Position, toRecord } from '../src/protocol/positions.ts';

const LINGER_MS = 1000;
const OPERATOR: Grant = { role: 'operator', sub: 'op', expiresAt: Number.MAX_SAFE_INTEGER };

/** A subscriber that takes everything and remembers it. */
class Watcher implements Subscriber {
  readonly codec = jsonCodec;
  readonly audience = 'operator';
  readonly sent: GatewayMessage[] = [];
  readonly marked = new Set<Subscription>();
  flushes = 0;
  /** Those it was flushed in. */
  readonly rounds: Round[] = [];

  send(message: GatewayMessage): void {
    this.sent.push(message);
  }
  sendBytes(bytes: Uint8Array): void {
    this.sent.push(jsonCodec.decode(bytes) as GatewayMessage);
  }
  mark(watch: Subscription): void {
    this.marked.add(watch);
  }
  unmark(watch: Subscription): void {
    this.marked.delete(watch);
  }
  flush(round: Round): boolean {
    this.rounds.push(round);
    if (this.marked.size > 0) this.flushes++;
    for (const watch of this.marked) watch.standing = { since: watch.group.clock, known: 0, filling: false };
    this.marked.clear();
    return false;
  }
  forget(watch: Subscription): void {
    this.unmark(watch);
  }
}

/** A hub on a memory bus whose subscriptions are counted. */
function setUp() {
  const { bus, store } = memoryBackbone();
  const joined = new Set<string>();
  const counted = {
    ...bus,
    publish: (channel: string, payload: Uint8Array) => bus.publish(channel, payload),
    onMessage: (listener: (channel: string, payload: Uint8Array) => void) => bus.onMessage(listener),
    onGeneration: () => {},
    async subscribe(channel: string) {
      expect(joined.has(channel), 'a channel is joined once').toBe(false);
      joined.add(channel);
      await bus.subscribe(channel);
    },
    async unsubscribe(channel: string) {
      expect(joined.delete(channel), 'a channel is left once').toBe(true);
      await bus.unsubscribe(channel);
    },
  };
  const config = loadConfig({ AUTH_SECRET: 'x'.repeat(32) });
  const lifecycle = { statuses: config.orderStatuses, ends: new Set(config.orderEndStatuses) };
  const now = () => Date.now();
  const orders = new Orders({ ...config, store, bus, lifecycle, now });
  const windows = {
    statuses: config.orderStatuses,
    customerFrom: 'picked_up',
    partnerFrom: 'assigned',
    nearFrom: 'arriving',
  };
  const counts = new Counts();
  const hub = new Hub({
    ...config,
    lingerMs: LINGER_MS,
    bus: counted,
    store,
    orders,
    counts,
    windows,
    ages: config,
    now,
  });
  bus.onMessage((channel, payload) => hub.deliver(channel, payload));
  return { hub, bus, joined, counts };
}

const position = (rider: string, seq: number): Position => ({
  ...{ rider, session: 1, seq, lat: seq, lng: 0, fixAt: Date.now(), heardAt: Date.now() },
  ...{ heading: null, speed: null, accuracy: null, verdict: 0, zone: 'z' },
});
const fleet = (rider: string, seq: number) =>
  encodeBus({ kind: 'fleet', entries: [[toRecord(position(rider, seq)), []]], left: [] });

describe('the hub', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('sends all who may send again in one turn together, so that what they lack is encoded once', async () => {
    const { hub } = setUp();
    const [one, other, later] = [new Watcher(), new Watcher(), new Watcher()];
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    hub.later(one);
    hub.later(other);
    expect(one.rounds).toEqual([]);
    await turn();
    hub.later(later);
    await turn();
    expect([one, other, later].map(({ rounds }) => rounds.length)).toEqual([1, 1, 1]);
    expect(other.rounds[0]).toBe(one.rounds[0]);
    expect(later.rounds[0]).not.toBe(one.rounds[0]);
    hub.stop();
  });

  it('has joined just the channels that are watched, once those left have lingered', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant('watch' as const), zone: fc.nat(3) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat(20) }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { hub, joined } = setUp();
        const watching: { zone: string; leave: () => void }[] = [];
        for (const s of steps) {
          if (s.do === 'watch') {
            const zone = `zone:${s.zone}`;
            const outcome = await hub.watch(new Watcher(), OPERATOR, { w: 1, channel: zone });
            if (!outcome.ok) continue;
            watching.push({ zone, leave: () => hub.unwatch(zone, outcome.subscription) });
          } else if (s.do === 'leave') watching.splice(s.which, 1)[0]?.leave();
          else await vi.advanceTimersByTimeAsync(s.ms);
          for (const { zone } of watching) expect(joined.has(zone)).toBe(true);
        }
        await vi.advanceTimersByTimeAsync(3 * LINGER_MS);
        expect([...joined].sort()).toEqual([...new Set(watching.map(({ zone }) => zone))].sort());
        for (const { leave } of watching) leave();
        for (const { leave } of watching) leave(); // more than once does no harm
        await vi.advanceTimersByTimeAsync(3 * LINGER_MS);
        expect([...joined]).toEqual([]);
        expect(hub.size).toBe(0);
        hub.stop();
      }),
      { numRuns: 100 },
    );
  });

  it('flushes a session once a tick, however much changed', async () => {
    const { hub, bus } = setUp();
    const watcher = new Watcher();
    await hub.watch(watcher, OPERATOR, { w: 1, channel: 'zone:z' });
    await vi.advanceTimersByTimeAsync(250);
    const before = watcher.flushes;
    for (let seq = 1; seq <= 50; seq++) {
      await bus.publish('zone:z', fleet('a', seq));
      await bus.publish('zone:z', fleet('b', seq));
    }
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(watcher.flushes).toBe(before);
    await vi.advanceTimersByTimeAsync(250);
    expect(watcher.flushes).toBe(before + 1);
    hub.stop();
  });

  it('counts bytes that no node wrote, and goes on', async () => {
    const { hub, counts } = setUp();
    await hub.watch(new Watcher(), OPERATOR, { w: 1, channel: 'zone:z' });
    hub.deliver('zone:z', Buffer.from('garbage'));
    hub.deliver('zone:z', Buffer.from('9301a36162', 'hex'));
    hub.deliver('zone:z', fleet('a', 1));
    expect(counts.busDrops).toEqual({ malformed: 2 });
    hub.stop();
  });
});
