/**
 * Two real hubs over the real memory store, with everything that takes time turned into steps that a test orders as it
 * likes: acknowledgements, reads and their replies, deliveries, frames on their way to clients; and with faults.
 */
import { MemoryStore } from '../../src/backbone/memory-store.ts';
import type { Store } from '../../src/backbone/store.ts';
import { Hub } from '../../src/fanout/hub.ts';
import { Counts } from '../../src/observe/metrics.ts';
import type { Timers } from '../../src/observe/timers.ts';
import type { OrderRecord } from '../../src/orders/order.ts';
import type { Cursor } from '../../src/protocol/messages.ts';
import { replicaOf } from '../support/memory-logs.ts';
import { Client } from './client.ts';
import { MAX_REPLAY } from './limits.ts';
import type { Mutant } from './mutants.ts';

export const ORDER = 'o';
const NOW = 1_764_000_000_000;

/** What the store held after each entry that ever was in it. */
interface Known {
  readonly prev: string;
  readonly offset: number;
  readonly epoch: string;
  readonly version: number;
}

interface Link {
  up: boolean;
  /** Redis takes its commands and delivers nothing. */
  silent: boolean;
  /** Subscribed on the far side. */
  readonly channels: Set<string>;
  /** On its way from the far side. */
  inbox: { channel: string; payload: Uint8Array }[];
}

export class Node {
  readonly hub: Hub;
  readonly wanted = new Set<string>();
  readonly link: Link = { up: true, silent: false, channels: new Set(), inbox: [] };
  /** Subscriptions asked for, not acknowledged. */
  acks: (() => void)[] = [];
  /** Read by the store, and on their way here. */
  replies: (() => void)[] = [];
  soon: (() => void)[] = [];
  later: (() => void)[] = [];
  readonly every = new Map<number, () => void>();
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
    const timers: Timers = {
      soon: (run) => void this.soon.push(run),
      after: (_, run) => void this.later.push(run),
      every: (ms, run) => {
        this.every.set(ms, run);
        return () => {};
      },
      beat: (ms, _, run) => timers.every(ms, run),
    };
    const bus = {
      subscribe: (channel: string) => this.subscribe(channel),
      unsubscribe: async (channel: string) => {
        this.wanted.delete(channel);
        this.link.channels.delete(channel);
      },
      publish: async () => 0,
      onMessage() {},
      onGeneration() {},
    };
    const windows = { statuses: [], customerFrom: 'a', partnerFrom: 'a', nearFrom: 'a' };
    const store = this.gated(world.store);
    this.hub = new Hub({
      bus,
      store,
      orders: { active: async () => [], read: async () => undefined },
      counts: new Counts(),
      windows,
      ages: { staleAfterMs: 1e9, lostAfterMs: 2e9, positionTtlMs: 3e9 },
      now: () => NOW + world.clock,
      maxReplay: MAX_REPLAY,
      blockPositions: 100,
      lingerMs: 1000,
      groupTickMs: 250,
      checkMs: 10_000,
      timers,
    });
  }

  private subscribe(channel: string): Promise<void> {
    this.wanted.add(channel);
    if (this.world.mutant.readsFirst) {
      this.acks.push(() => void (this.link.up && !this.link.silent && this.link.channels.add(channel)));
      return Promise.resolve();
    }
    if (this.link.up && this.link.channels.has(channel)) return Promise.resolve();
    return new Promise((resolve) => {
      const ack = () => {
        if (!this.wanted.has(channel)) return resolve();
        // Down: the next link acknowledges it.
        if (!this.link.up) return void this.acks.push(ack);
        if (!this.link.silent) this.link.channels.add(channel);
        resolve(); // a silent link acknowledges, too
      };
      this.acks.push(ack);
    });
  }

  /** The store as one sees it over a network: it reads at one step, and the reply arrives at another. */
  private gated(store: MemoryStore): Store {
    const gate =
      <A extends unknown[], R>(read: (...args: A) => Promise<R>) =>
      (...args: A): Promise<R> =>
        new Promise((resolve, reject) => {
          this.world.reads.push(() => {
            const read_ = read.apply(store, args);
            this.replies.push(() => read_.then(resolve, reject));
          });
        });
    return Object.assign(Object.create(store) as Store, {
      readLog: gate(store.readLog),
      recover: gate(store.recover),
      heads: gate(store.heads),
      getPositions: async () => [],
    });
  }

  /** The link is gone, and with it what was on it. */
  cut(): void {
    this.link.up = false;
    this.link.silent = false;
    this.link.channels.clear();
    this.link.inbox = [];
  }

  /** A new link, with all that is wanted acknowledged on it: a new generation. */
  rejoin(): void {
    if (this.link.up) return;
    this.link.up = true;
    const join = () => {
      for (const channel of this.wanted) this.link.channels.add(channel);
    };
    if (this.world.mutant.generationOnReady) this.acks.push(join);
    else join();
    if (!this.world.mutant.noGeneration) this.hub.generation();
  }

  /** From here on Redis answers, and delivers nothing. */
  silence(): void {
    if (!this.link.up) return;
    this.link.silent = true;
    this.link.channels.clear();
    this.link.inbox = [];
  }

  /** A message to itself does not come back over a silent link. */
  probe(): void {
    if (this.link.up && this.link.silent) this.cut();
  }

  /** What a node keeps of an order has an end. */
  isBounded(): void {
    const { entries } = this.hub as unknown as {
      entries: Map<string, { channel: { log: { tail: unknown[] } } }>;
    };
    for (const { channel } of entries.values())
      if (channel.log.tail.length > MAX_REPLAY) throw new Error('a copy of the log grows');
  }

  deliver(): void {
    const message = this.link.inbox.shift();
    if (message !== undefined) this.hub.deliver(message.channel, message.payload);
  }
}

export class World {
  readonly mutant: Mutant;
  readonly store: MemoryStore;
  readonly nodes: readonly Node[];
  readonly clients: readonly Client[];
  clock = 0;
  /** Asked for, not read by the store. */
  reads: (() => void)[] = [];
  readonly known = new Map<string, Known>();
  /** Calls of the backend that may have to be repeated, by key: the offset each was computed on. */
  private readonly calls: { key: string; expect: number }[] = [];
  private replicas: (() => void)[] = [];
  private lastKey = 0;
  /** Entries that were appended once, by key: more than one is a double. */
  private readonly appended = new Map<string, string>();

  constructor(mutant: Mutant) {
    this.mutant = mutant;
    this.store = new MemoryStore({
      positionTtlMs: 1e9,
      now: () => NOW + this.clock,
      publish: (channel, payload) => {
        if (!this.mutant.publishesLater) this.publish(channel, payload);
        else if (!this.dying) this.publish(channel, payload);
      },
    });
    this.nodes = [new Node(this), new Node(this)];
    this.clients = [0, 1, 2].map((i) => new Client(i, this));
  }

  /** The next append dies between its two halves; only a mutant has two. */
  dying = false;

  private publish(channel: string, payload: Uint8Array): void {
    for (const { link } of this.nodes) {
      if (link.up && !link.silent && link.channels.has(channel)) link.inbox.push({ channel, payload });
    }
  }

  async head(): Promise<Cursor | undefined> {
    return (await this.store.heads([ORDER]))[0];
  }

  /** Appends an event under a key: a new one, or one that was used. */
  async post(key = `k${++this.lastKey}`): Promise<void> {
    const used = this.mutant.noIdempotency ? `${key}/${++this.lastKey}` : key;
    const head = await this.head();
    const expect = head?.offset ?? 0;
    this.replicas = [...this.replicas.slice(-4), replicaOf(this.store, ORDER)];
    const order: OrderRecord = {
      id: ORDER,
      customer: 'ann',
      partner: 'shop',
      status: 'a',
      at: ++this.clock,
      version: this.clock,
      assignment: 0,
      ended: false,
    };
    const snapshot = JSON.stringify(order);
    const data = JSON.stringify({ type: 'a', order });
    const done = await this.store.append({ order: ORDER, key: used, expect, data, snapshot, ttl: 1e9 });
    if (done.result === 'conflict') throw new Error('nobody else appends');
    if (done.result === 'duplicate') return;
    const before = this.appended.get(key);
    if (before !== undefined && (await this.isIn(before))) throw new Error(`${key} was appended twice`);
    const { epoch, offset, id } = done.cursor;
    this.appended.set(key, id);
    this.known.set(id, { prev: head?.id ?? '', offset, epoch, version: order.version });
    if (!this.calls.some((call) => call.key === key)) this.calls.push({ key, expect });
  }

  private async isIn(id: string): Promise<boolean> {
    const log = await this.store.readLog(ORDER, 1000);
    return log?.entries.some((entry) => entry.id === id) ?? false;
  }

  async repost(which: number): Promise<void> {
    if (this.calls.length > 0) await this.post(this.calls[which % this.calls.length]!.key);
  }

  /** The master dies and a replica that is behind takes over: the log goes back, and all links are new. */
  failOver(lag: number): void {
    this.replicas.at(-1 - (lag % Math.max(1, this.replicas.length)))?.();
    for (const node of this.nodes) node.cut();
  }

  trim(): void {
    const logs = (
      this.store as unknown as { logs: { get(order: string): { entries: unknown[] } | undefined } }
    ).logs;
    const log = logs.get(ORDER);
    if (log !== undefined) log.entries = log.entries.slice(-2);
  }

  flush(): void {
    (this.store as unknown as { logs: { delete(order: string): void } }).logs.delete(ORDER);
    this.replicas = [];
  }

  /** Everything that may happen next by itself. */
  steps(): (() => void)[] {
    const steps: (() => void)[] = this.reads.map((read, i) => () => {
      this.reads.splice(i, 1);
      read();
    });
    for (const node of this.nodes) {
      if (node.link.inbox.length > 0) steps.push(() => node.deliver());
      if (!node.link.up) steps.push(() => node.rejoin());
      for (const list of [node.acks, node.replies, node.soon]) {
        if (list.length > 0) steps.push(() => list.shift()!());
      }
    }
    for (const client of this.clients) if (client.frames.length > 0) steps.push(() => client.receive());
    return steps;
  }
}
