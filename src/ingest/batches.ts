/** What this node has to publish: orders at once, zones and partners one message per channel and tick. */
import type { Bus } from '../backbone/bus.ts';
import { type Departure, encodeBus, type FleetEntry } from '../protocol/bus-messages.ts';
import { channelName } from '../protocol/channel.ts';
import { type Position, toRecord } from '../protocol/positions.ts';
import type { Rider } from './rider.ts';

interface Fleet {
  /** Each goes with where it is by then: what is kept here is little, for it outlives the young generation. */
  readonly riders: Set<Rider>;
  readonly left: Departure[];
  /** Its watchers may know which orders a rider has. */
  readonly knowsOrders: boolean;
}

/** Says nothing: sent to learn whether anybody listens. */
const ANYBODY = encodeBus({ kind: 'fleet', entries: [], left: [] });
/** Channels remembered as having no listener; each takes its name's length. */
const MAX_UNHEARD = 10_000;

export class Batches {
  private readonly bus: Bus;
  private readonly failed: () => void;
  /** Newest per order channel. */
  private orders = new Map<string, Position>();
  private fleets = new Map<string, Fleet>();
  /** Zones and partners that no node listened to when they were last told something. */
  private readonly unheard = new Set<string>();

  /** @param failed called for every message the bus did not confirm; the next position heals it */
  constructor(bus: Bus, failed: () => void) {
    this.bus = bus;
    this.failed = failed;
  }

  order(order: string, position: Position): void {
    this.orders.set(channelName('order', order), position);
  }

  zone(zone: string, rider: Rider): void {
    this.fleet(channelName('zone', zone), true).riders.add(rider);
  }

  partner(partner: string, rider: Rider): void {
    this.fleet(channelName('partner', partner), false).riders.add(rider);
  }

  /** It left the zone, by its newest position. */
  left(zone: string, rider: Rider): void {
    const fleet = this.fleet(channelName('zone', zone), true);
    const { session, seq } = rider.newest!;
    fleet.riders.delete(rider);
    fleet.left.push([rider.id, session, seq]);
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
    for (const [channel, { riders, left, knowsOrders }] of fleets) {
      const encoded = () => {
        const entries = Array.from(riders, (rider): FleetEntry => {
          const ids = knowsOrders ? rider.orders.map((order) => order.id) : [];
          return [toRecord(rider.newest!), ids];
        });
        return encodeBus({ kind: 'fleet', entries, left });
      };
      this.tell(channel, encoded).catch(this.failed);
    }
  }

  /** Nobody is told at length who does not listen: where nobody did the last time, an empty message asks first. */
  private async tell(channel: string, encoded: () => Uint8Array): Promise<void> {
    if (this.unheard.has(channel)) {
      if ((await this.bus.publish(channel, ANYBODY)) === 0) return;
      this.unheard.delete(channel);
    }
    if ((await this.bus.publish(channel, encoded())) > 0) return;
    if (this.unheard.size >= MAX_UNHEARD) this.unheard.clear(); // costs a message each
    this.unheard.add(channel);
  }

  private fleet(channel: string, knowsOrders: boolean): Fleet {
    let fleet = this.fleets.get(channel);
    if (fleet === undefined) {
      fleet = { riders: new Set(), left: [], knowsOrders };
      this.fleets.set(channel, fleet);
    }
    return fleet;
  }

  private publish(channel: string, payload: Uint8Array): void {
    this.bus.publish(channel, payload).catch(this.failed);
  }
}
