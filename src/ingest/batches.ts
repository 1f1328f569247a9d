/** What this node has to publish: orders at once, zones and partners one message per channel and tick. */
import type { Bus } from '../backbone/bus.ts';
import { type Departure, encodeBus, type FleetEntry } from '../protocol/bus-messages.ts';
import { type Position, toRecord } from '../protocol/positions.ts';

/** Kept as it is until it goes: a record made earlier would only be one more object to outlive a garbage collection. */
interface Entry {
  readonly position: Position;
  readonly orders: readonly string[];
}

interface Fleet {
  /** Newest per rider. */
  readonly entries: Map<string, Entry>;
  readonly left: Departure[];
}

export class Batches {
  private readonly bus: Bus;
  private readonly failed: () => void;
  /** Newest per order channel. */
  private orders = new Map<string, Position>();
  private fleets = new Map<string, Fleet>();

  /** @param failed called for every message the bus did not confirm; the next position heals it */
  constructor(bus: Bus, failed: () => void) {
    this.bus = bus;
    this.failed = failed;
  }

  now(channel: string, position: Position): void {
    this.orders.set(channel, position);
  }

  /** @param orders ids of the orders that channel may know of */
  tick(channel: string, position: Position, orders: readonly string[]): void {
    this.fleet(channel).entries.set(position.rider, { position, orders });
  }

  left(channel: string, departure: Departure): void {
    const fleet = this.fleet(channel);
    fleet.entries.delete(departure[0]);
    fleet.left.push(departure);
  }

  flushNow(): void {
    const orders = this.orders;
    if (orders.size === 0) return;
    this.orders = new Map();
    for (const [channel, position] of orders)
      this.publish(channel, encodeBus({ kind: 'position', position: toRecord(position) }));
  }

  flushTick(): void {
    this.flushNow();
    const fleets = this.fleets;
    if (fleets.size === 0) return;
    this.fleets = new Map();
    for (const [channel, { entries, left }] of fleets) {
      const records = Array.from(
        entries.values(),
        ({ position, orders }): FleetEntry => [toRecord(position), [...orders]],
      );
      this.publish(channel, encodeBus({ kind: 'fleet', entries: records, left }));
    }
  }

  private fleet(channel: string): Fleet {
    let fleet = this.fleets.get(channel);
    if (fleet === undefined) {
      fleet = { entries: new Map(), left: [] };
      this.fleets.set(channel, fleet);
    }
    return fleet;
  }

  private publish(channel: string, payload: Uint8Array): void {
    this.bus.publish(channel, payload).catch(this.failed);
  }
}
