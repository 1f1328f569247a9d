/** One rider: a phone that drives through the city and pings the gateway once a second. */
import { type Client, connect, rider } from '@ridecast/client';
import { WebSocket } from 'ws';
import type { City } from './city.ts';
import { type Drive, drive, seconds } from './drive.ts';
import { type Spot, toDegrees } from './plane.ts';

export interface CourierOptions {
  readonly id: string;
  /** The gateway's WebSocket. */
  readonly url: string;
  readonly token: () => Promise<string>;
  readonly city: City;
  /** The crossing it starts at. */
  readonly at: number;
  /** m/s on a straight street. */
  readonly cruise: number;
  readonly roll: () => number;
}

/** Metres the fix may be off, and how much of the error stays from one second to the next. */
const NOISE_M = 1.6;
const NOISE_STAYS = 0.94;

export class Courier {
  readonly id: string;
  readonly cruise: number;
  /** Where it is, or is going: a crossing. */
  target: number;
  private readonly options: CourierOptions;
  private readonly client: Client;
  private readonly phone: ReturnType<typeof rider>;
  private way: Drive;
  private noise: Spot = { x: 0, y: 0 };
  private steppedAt = Date.now();
  private arrived = () => {};
  private stopped = false;
  /** Resolves when it stands at its target. */
  parked: Promise<void> = Promise.resolve();

  constructor(options: CourierOptions) {
    this.options = options;
    this.id = options.id;
    this.cruise = options.cruise;
    this.target = options.at;
    this.way = drive([options.city.crossings[options.at]!], this.cruise);

    // This is all a rider's app needs of the SDK: connect, and push what the GPS says.
    this.client = connect(options.url, { token: options.token, background: true, WebSocket });
    this.phone = rider(this.client);
  }

  /** Metres still to go. */
  get left(): number {
    return this.way.left;
  }

  /** Seconds until it can be at a crossing, about. */
  secondsTo(crossing: number): number {
    return this.left / this.cruise + seconds(this.options.city.route(this.target, crossing), this.cruise);
  }

  /** Drives to a crossing; resolves on arrival, or at once after `stop`. Must be parked. */
  driveTo(crossing: number): Promise<void> {
    if (this.stopped) return this.parked;
    this.way = drive(this.options.city.route(this.target, crossing), this.cruise);
    this.target = crossing;
    this.parked = new Promise((resolve) => {
      this.arrived = resolve;
    });
    return this.parked;
  }

  /** Moves on to now, and pings. To be called about once a second. */
  step(): void {
    const now = Date.now();
    this.way.go(Math.min(5, (now - this.steppedAt) / 1000));
    this.steppedAt = now;
    const { heading, speed } = this.way;
    const { lat, lng } = toDegrees(this.seen());
    this.phone.push({ lat, lng, heading, speed, accuracy: 4 });
    if (this.way.left === 0) this.arrived();
  }

  stop(): void {
    this.stopped = true;
    this.arrived();
    this.phone.close();
    this.client.close();
  }

  /** Where the GPS thinks it is: off by a few metres, and slowly changing its mind. */
  private seen(): Spot {
    const { roll } = this.options;
    const drift = (before: number) =>
      before * NOISE_STAYS + (roll() + roll() + roll() - 1.5) * NOISE_M * Math.sqrt(1 - NOISE_STAYS ** 2);
    this.noise = { x: drift(this.noise.x), y: drift(this.noise.y) };
    const { spot } = this.way;
    return { x: spot.x + this.noise.x, y: spot.y + this.noise.y };
  }
}
