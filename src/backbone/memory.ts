/** The embedded backbone: one process, nothing installed, nothing kept after it. */
import type { Backbone } from './backbone.ts';
import type { Bus } from './bus.ts';
import { POSITION_TTL } from './limits.ts';
import { MemoryStore } from './memory-store.ts';

type Listener = (channel: string, payload: Uint8Array) => void;

interface Sent {
  readonly channel: string;
  readonly payload: Uint8Array;
  /** Who listened when it was published. */
  readonly to: readonly MemoryBus[];
}

/** What the nodes of one process share. Give the same broker to several `memoryBackbone` to make a fleet of them. */
export class MemoryBroker {
  readonly store: MemoryStore;
  // The lists are replaced, never changed: messages on the way hold on to them.
  private readonly channels = new Map<string, readonly MemoryBus[]>();
  private queue: Sent[] = [];

  constructor({ positionTtlMs = POSITION_TTL, now = Date.now } = {}) {
    const publish = (channel: string, payload: Uint8Array) => this.publish(channel, payload);
    this.store = new MemoryStore({ positionTtlMs, now, publish });
  }

  join(channel: string, bus: MemoryBus): void {
    const members = this.channels.get(channel) ?? [];
    if (!members.includes(bus)) this.channels.set(channel, [...members, bus]);
  }

  leave(channel: string, bus: MemoryBus): void {
    const members = (this.channels.get(channel) ?? []).filter((member) => member !== bus);
    if (members.length > 0) this.channels.set(channel, members);
    else this.channels.delete(channel);
  }

  /** How many listen. They hear it in the next turn of the event loop, in the order of the calls. */
  publish(channel: string, payload: Uint8Array): number {
    const to = this.channels.get(channel);
    if (to === undefined) return 0;
    if (this.queue.push({ channel, payload, to }) === 1) setImmediate(() => this.handOver());
    return to.length;
  }

  private handOver(): void {
    const batch = this.queue;
    this.queue = [];
    let done = 0;
    try {
      for (; done < batch.length; done++) {
        const { channel, payload, to } = batch[done]!;
        for (const bus of to) bus.hear(channel, payload);
      }
    } finally {
      // A listener threw, against its contract: the process hears of it, the messages behind it still arrive.
      if (done < batch.length && this.queue.unshift(...batch.slice(done + 1)) > 0) {
        setImmediate(() => this.handOver());
      }
    }
  }
}

class MemoryBus implements Bus {
  private readonly broker: MemoryBroker;
  private readonly channels = new Set<string>();
  private listener: Listener = () => {};

  constructor(broker: MemoryBroker) {
    this.broker = broker;
  }

  async subscribe(channel: string): Promise<void> {
    this.channels.add(channel);
    this.broker.join(channel, this);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.channels.delete(channel);
    this.broker.leave(channel, this);
  }

  async publish(channel: string, payload: Uint8Array): Promise<number> {
    return this.broker.publish(channel, payload);
  }

  onMessage(listener: Listener): void {
    this.listener = listener;
  }

  /** Nothing is ever lost in here, so no generation ever ends. */
  onGeneration(): void {}

  hear(channel: string, payload: Uint8Array): void {
    if (this.channels.has(channel)) this.listener(channel, payload);
  }

  close(): void {
    for (const channel of this.channels) this.broker.leave(channel, this);
    this.channels.clear();
  }
}

/** One node's backbone in memory; several that share a broker hear each other. */
export function memoryBackbone(broker = new MemoryBroker()): Backbone {
  const bus = new MemoryBus(broker);
  let running = false;
  return {
    kind: 'memory',
    bus,
    store: broker.store,
    async start() {
      running = true;
    },
    async stop() {
      running = false;
      bus.close();
    },
    healthy: () => running,
  };
}
