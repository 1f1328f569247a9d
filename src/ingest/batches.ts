/** What this node has to publish: orders at once, zones and partners one message per channel and tick. */
import type { Bus } from '../backbone/bus.ts';
import { type Departure, encodeBus, type FleetEntry } from '../protocol/bus-messages.ts';
import type { PositionRecord } from '../protocol/positions.ts';

interface Fleet {
  /** Newest per rider. */
  readonly entries: Map<string, FleetEntry>;
  readonly left: Departure[];
}

export class Batches {
  private readonly bus: Bus;
  private readonly failed: () => void;
  /** Newest per order channel. */
  private orders = new Map<string, PositionRecord>();
  private fleets = new Map<string, Fleet>();

  /** @param failed called for every message the bus did not confirm; the next position heals it */
  constructor(bus: Bus, failed: () => void) {
    this.bus = bus;
    this.failed = failed;
  }

  now(channel: string, record: PositionRecord): void {
    this.orders.set(channel, record);
  }

  tick(channel: string, entry: FleetEntry): void {
    this.fleet(channel).entries.set(entry[0][0], entry);
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
      this.publish(channel, encodeBus({ kind: 'position', position }));
  }

  flushTick(): void {
    this.flushNow();
    const fleets = this.fleets;
    if (fleets.size === 0) return;
    this.fleets = new Map();
    for (const [channel, { entries, left }] of fleets) {
      this.publish(channel, encodeBus({ kind: 'fleet', entries: [...entries.values()], left }));
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
