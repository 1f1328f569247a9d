import { describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Store } from '../src/backbone/store.ts';
import { loadConfig } from '../src/config.ts';
import { Hub } from '../src/fanout/hub.ts';
import type { Round } from '../src/fanout/round.ts';
import type { Subscriber, Subscription } from '../src/fanout/subscription.ts';
import type { Grant } from '../src/fanout/visibility.ts';
import { Counts } from '../src/observe/metrics.ts';
import type { Timers } from '../src/observe/timers.ts';
import { Orders } from '../src/orders/orders.ts';
import { channelName } from '../src/protocol/channel.ts';
import { jsonCodec } from '../src/protocol/codec.ts';
import type { Cursor, GatewayMessage, GatewayMessages, OrderEvent } from '../src/protocol/messages.ts';
import type { ZonedPosition } from '../src/protocol/positions.ts';
import { forget, replicaOf } from './support/memory-logs.ts';

const OPERATOR: Grant = { role: 'operator', sub: 'op', expiresAt: Number.MAX_SAFE_INTEGER };
const config = loadConfig({ AUTH_SECRET: 'x'.repeat(32), MAX_REPLAY: '8' });

/** Follows one order as PROTOCOL.md says, and notices everything that must not happen. */
class Watcher implements Subscriber {
  readonly codec = jsonCodec;
  readonly audience = 'operator';
  readonly resets: string[] = [];
  /** With the newest reset. */
  missed: number | undefined;
  readonly events: string[] = [];
  readonly shown: number[] = [];
  cursor: Cursor | undefined;
  status: string | undefined;
  closed = false;
  private readonly marked = new Set<Subscription>();

  constructor(since?: Cursor) {
    this.cursor = since;
  }
  send(message: GatewayMessage): void {
    this.take(message);
  }
  sendBytes(bytes: Uint8Array): void {
    this.take(jsonCodec.decode(bytes) as GatewayMessage);
  }
  mark(watch: Subscription): void {
    this.marked.add(watch);
  }
  unmark(watch: Subscription): void {
    this.marked.delete(watch);
  }
  forget(watch: Subscription): void {
    this.unmark(watch);
  }
  flush({ at }: Round): boolean {
    for (const watch of this.marked) {
      const { block, upTo, more, full } = watch.group.changes(watch.standing, at);
      watch.standing = { since: upTo, known: full ? watch.group.clock : watch.standing.known, filling: more };
      for (const tuple of block[2]) this.shown.push(tuple[2]);
    }
    this.marked.clear();
    return false;
  }
  private take(message: GatewayMessage): void {
    if (message.t === 'watching') this.start(message);
    else if (message.t === 'event') this.step(message);
    else if (message.t === 'closed') this.closed = true;
  }
  private start(message: GatewayMessages['watching']): void {
    if (message.reset !== undefined) {
      this.resets.push(message.reset);
      this.missed = message.missed;
      this.cursor = undefined;
    }
    for (const event of message.events ?? []) this.step(event);
    if (this.cursor !== undefined) expect(message.cursor).toEqual(this.cursor);
    this.cursor = message.cursor;
    this.status = message.order!.status;
    for (const tuple of message.block[2]) this.shown.push(tuple[2]);
  }
  private step({ offset, id, prev, type, order }: OrderEvent): void {
    expect([offset, prev]).toEqual([this.cursor!.offset + 1, this.cursor!.id]);
    this.cursor = { epoch: this.cursor!.epoch, offset, id };
    this.events.push(type);
    this.status = order.status;
  }
}

/** One node's hub over a memory store whose reads are counted and can be held up, on a bus that can go deaf. */
function node(broker = new MemoryBroker()) {
  const { bus } = memoryBackbone(broker);
  const reads = { readLog: 0, recover: 0, heads: 0 };
  let gate: Promise<void> | undefined;
  const held = { deaf: false, periodic: new Map<number, () => void>(), now: 1_764_000_000_000 };
  const counted = <K extends 'readLog' | 'recover' | 'heads'>(name: K): Store[K] =>
    (async (...args: never[]) => {
      reads[name]++;
      const waits = gate;
      const result = await (broker.store[name] as (...args: never[]) => Promise<unknown>)(...args);
      await waits;
      return result;
    }) as unknown as Store[K];
  const store: Store = Object.assign(Object.create(broker.store), {
    readLog: counted('readLog'),
    recover: counted('recover'),
    heads: counted('heads'),
  });
  const timers: Timers = {
    soon: (run) => void setImmediate(run),
    after: () => {},
    every(ms, run) {
      held.periodic.set(ms, run);
      return () => {};
    },
    beat: (ms, _, run) => timers.every(ms, run),
  };
  const now = () => held.now;
  const lifecycle = { statuses: config.orderStatuses, ends: new Set(config.orderEndStatuses) };
  const orders = new Orders({ ...config, store: broker.store, bus, lifecycle, now });
  const windows = {
    statuses: config.orderStatuses,
    customerFrom: 'picked_up',
    partnerFrom: 'assigned',
    nearFrom: 'arriving',
  };
  const counts = new Counts();
  const hub = new Hub({ ...config, bus, store, orders, counts, windows, ages: config, now, timers });
  bus.onMessage((channel, payload) => {
    if (!held.deaf) hub.deliver(channel, payload);
  });
  let key = 0;
  return {
    hub,
    broker,
    reads,
    counts,
    orders,
    deafen: (deaf: boolean) => {
      held.deaf = deaf;
    },
    /** Holds up the answers of reads until the returned function is called. */
    holdReads: () => {
      let open!: () => void;
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return () => {
        gate = undefined;
        open();
      };
    },
    later: (ms: number) => {
      held.now += ms;
    },
    check: () => held.periodic.get(config.checkMs)!(),
    watch: async (watcher: Watcher, since = watcher.cursor) => {
      const request = { w: 1, channel: 'order:o', ...(since ? { since } : {}) };
      const outcome = await hub.watch(watcher, OPERATOR, request);
      if (!outcome.ok) throw new Error(outcome.message);
      return watcher;
    },
    post: async (status: string) => {
      const outcome = await orders.advance('o', { status }, `k${++key}`);
      await settled();
      return outcome!.cursor;
    },
  };
}

/** Everything that was on its way in this process has arrived. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function withOrder(broker?: MemoryBroker) {
  const made = node(broker);
  await made.orders.create('o', { customer: 'ann', partner: 'shop' });
  const { cursor } = (await made.orders.assign('o', 'r', 'first'))!;
  await settled();
  return { ...made, cursor };
}

const position = (seq: number): ZonedPosition => ({
  rider: 'r',
  session: 1,
  seq,
  lat: 1,
  lng: 1,
  fixAt: 1_764_000_000_000,
  heardAt: 1_764_000_000_000,
  heading: null,
  speed: null,
  accuracy: null,
  verdict: 0,
  zone: null,
});

describe('a resume', () => {
  it('of a thousand watchers, wherever they stood, costs one read', async () => {
    const { post, reads, watch, cursor } = await withOrder();
    const cursors = [cursor];
    for (const status of ['picked_up', 'arriving', 'arriving']) cursors.push(await post(status));
    const watchers = Array.from({ length: 1000 }, (_, i) => new Watcher(cursors[i % 4]));
    await Promise.all(watchers.map((watcher) => watch(watcher)));
    expect(reads).toEqual({ readLog: 1, recover: 0, heads: 0 });
    watchers.forEach((watcher, i) => {
      expect(watcher.cursor).toEqual(cursors[3]);
      expect(watcher.resets).toEqual([]);
      expect(watcher.events).toEqual(['picked_up', 'arriving', 'arriving'].slice(i % 4));
    });
  });

  it('of any number of watchers whose cursors are of no log costs a read now and then, and each is told', async () => {
    const { cursor, later, reads, watch } = await withOrder();
    const phantoms = () =>
      Array.from({ length: 500 }, (_, i) => new Watcher({ ...cursor, id: `phantom-${i}` }));
    const total = () => reads.readLog + reads.recover;
    const [first, second, third] = [phantoms(), phantoms(), phantoms()];
    await Promise.all(first.map((watcher) => watch(watcher)));
    expect(total(), 'the read that opened the channel is good enough').toBe(1);
    later(1000);
    await Promise.all(second.map((watcher) => watch(watcher)));
    expect(total(), 'all at once').toBe(2);
    for (const watcher of third) await watch(watcher);
    expect(total(), 'one after the other, in the same moment').toBe(2);
    for (const watcher of [...first, ...second, ...third])
      expect([watcher.resets, watcher.cursor]).toEqual([['diverged'], cursor]);
  });

  it('that knows more than this node brings the node in line instead of resetting the watcher', async () => {
    const { deafen, later, post, watch } = await withOrder();
    const first = await watch(new Watcher());
    later(1000); // the first read is no longer fresh
    deafen(true);
    const ahead = new Watcher(await post('picked_up'));
    await watch(ahead);
    await settled();
    expect(ahead.resets).toEqual([]);
    expect(first.events).toEqual(['picked_up']);
  });

  it('asks the store also after the clock was set back', async () => {
    const { deafen, later, post, watch } = await withOrder();
    await watch(new Watcher());
    later(-3_600_000);
    deafen(true);
    const ahead = await watch(new Watcher(await post('picked_up')));
    expect(ahead.resets).toEqual([]);
  });

  it('from further back than is kept is told so', async () => {
    const { cursor, post, watch } = await withOrder();
    await post('picked_up');
    for (let i = 0; i < 8; i++) await post('arriving');
    const old = await watch(new Watcher(cursor));
    expect([old.resets, old.missed, old.events, old.status]).toEqual([['limit'], 9, [], 'arriving']);
  });

  it.each([
    ['fewer', 1, 'ahead'],
    ['as many', 2, 'diverged'],
    ['more', 3, 'diverged'],
  ])(
    'after a failover that lost two events, with %s new ones, ends with no phantom',
    async (_, k, verdict) => {
      const { broker, cursor, hub, post, watch } = await withOrder();
      const failOver = replicaOf(broker.store, 'o');
      const live = await watch(new Watcher(cursor));
      await post('picked_up');
      await post('picked_up');
      const gone = new Watcher(live.cursor);
      failOver();
      for (let i = 0; i < k; i++) await post('arriving');
      hub.generation();
      await settled();
      await watch(gone);
      for (const watcher of [live, gone]) {
        expect(watcher.cursor).toEqual((await broker.store.heads(['o']))[0]);
        expect(watcher.status).toBe('arriving');
      }
      expect(gone.resets).toEqual([verdict]);
      expect(live.resets).toHaveLength(1);
    },
  );
});

describe('an order channel', () => {
  it('that misses an event reads it with the next, in order and once', async () => {
    const { counts, deafen, post, watch, cursor } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    deafen(true);
    await post('picked_up');
    deafen(false);
    await post('arriving');
    expect([watcher.events, watcher.resets]).toEqual([['picked_up', 'arriving'], []]);
    expect(counts.gaps).toBe(1);
  });

  it('that misses the last event finds it by looking, and not otherwise', async () => {
    const { check, deafen, post, watch, cursor } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    deafen(true);
    await post('picked_up');
    await settled();
    expect(watcher.events).toEqual([]);
    check();
    await settled();
    expect([watcher.events, watcher.resets]).toEqual([['picked_up'], []]);
  });

  it('that misses the last event finds it with the next generation', async () => {
    const { cursor, deafen, hub, post, watch } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    deafen(true);
    await post('picked_up');
    deafen(false);
    hub.generation();
    await settled();
    expect([watcher.events, watcher.resets]).toEqual([['picked_up'], []]);
  });

  it('looks at a standing order without reading it', async () => {
    const { check, cursor, reads, watch } = await withOrder();
    await watch(new Watcher(cursor));
    check();
    await settled();
    expect(reads).toEqual({ readLog: 1, recover: 0, heads: 1 });
  });

  it('shows a position it missed when it looks', async () => {
    const { broker, check, watch } = await withOrder();
    const watcher = await watch(new Watcher());
    await broker.store.putPositions([position(7)]);
    check();
    await settled();
    expect(watcher.shown).toEqual([7]);
  });

  it('takes the same event twice as one, and another one of the same number as a fork', async () => {
    const { broker, cursor, hub, watch } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    const entry = (id: string, status: string) => {
      const order = {
        id: 'o',
        customer: 'ann',
        partner: 'shop',
        status,
        at: 1,
        version: 3,
        assignment: 1,
        ended: false,
      };
      const data = JSON.stringify({ type: status, order });
      return Buffer.from(`E|${cursor.epoch}|3|${id}|${cursor.id}|1|${data}`);
    };
    hub.deliver(channelName('order', 'o'), entry('x', 'picked_up'));
    hub.deliver(channelName('order', 'o'), entry('x', 'picked_up'));
    await settled();
    expect([watcher.events, watcher.resets]).toEqual([['picked_up'], []]);
    hub.deliver(channelName('order', 'o'), entry('y', 'arriving'));
    await settled();
    expect([watcher.resets, watcher.cursor]).toEqual([['ahead'], cursor]);
    expect(watcher.cursor).toEqual((await broker.store.heads(['o']))[0]);
  });

  it('outlives an event nobody of ours wrote', async () => {
    const { counts, cursor, hub, post, watch } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    for (const data of ['{', 'null', '{"type":"x","order":1}'])
      hub.deliver('order:o', Buffer.from(`E|${cursor.epoch}|3|evil|${cursor.id}|1|${data}`));
    await settled();
    await post('picked_up');
    expect([watcher.events, watcher.resets]).toEqual([['picked_up'], []]);
    expect(counts.busDrops).toEqual({ malformed: 3 });
  });

  it('does not merge what came before a new generation with what is read after it', async () => {
    const { broker, cursor, hub, holdReads, post, watch } = await withOrder();
    const failOver = replicaOf(broker.store, 'o');
    const release = holdReads();
    const joining = watch(new Watcher(cursor)); // its read stands still from here on
    await settled();
    await post('picked_up'); // arrives, and is kept for the merge
    failOver(); // and never happened
    hub.generation();
    release();
    const watcher = await joining;
    await settled();
    expect(watcher.events).toEqual([]);
    expect([watcher.cursor, watcher.resets]).toEqual([cursor, []]);
  });

  it('of an order the store has forgotten says so, and goes on when it is put back', async () => {
    const { broker, check, cursor, hub, later, orders, watch } = await withOrder();
    const watcher = await watch(new Watcher(cursor));
    forget(broker.store, 'o');
    check();
    await settled();
    check();
    await settled();
    expect([watcher.resets, watcher.status]).toEqual([['lost'], 'assigned']);
    const late = await watch(new Watcher(cursor));
    expect(late.resets).toEqual(['lost']);
    const first = await watch(new Watcher());
    expect([first.resets, first.missed, first.status]).toEqual([['lost'], undefined, 'assigned']);
    later(1000);
    await watch(new Watcher({ ...cursor, id: 'phantom' })); // makes the node read again
    expect(watcher.resets).toEqual(['lost']);
    await orders.create('o', { customer: 'ann', partner: 'shop' });
    await settled();
    expect([watcher.resets, watcher.status]).toEqual([['lost', 'epoch'], 'created']);
    await orders.assign('o', 'r', 'first');
    await settled();
    expect([watcher.events, watcher.status]).toEqual([['assigned'], 'assigned']);
    expect(hub.size).toBe(1);
  });
});
