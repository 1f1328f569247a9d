/** A town for a page to watch: a gateway over a memory that outlives it, one order, a backend and a rider who never rest. */
import { MemoryBroker, memoryBackbone } from '../../../src/backbone/memory.ts';
import type { Gateway } from '../../../src/gateway.ts';
import { call, givenOrder, testGateway, token } from '../../../test/support/gateway.ts';
import { type Nginx, startNginx } from '../../../test/support/nginx.ts';
import { Door } from './door.ts';

const STATUSES = Array.from({ length: 2000 }, (_, n) => `s${n}`);
/** In two minutes hidden no more than a gateway replays: what is beyond that is told as a gap. */
const EVENT_MS = process.env.SOAK ? 2000 : 400;
const PING_MS = 200;

export class Town {
  readonly door: Door;
  /** In front of the door. */
  private readonly proxy: Nginx;
  /** Statuses the backend was told are stored. */
  readonly posted: string[] = [];
  /** Latitude of the newest ping the gateway took. */
  newest = 0;
  private gateway!: Gateway;
  private readonly broker = new MemoryBroker();
  private readonly folder: string;
  private nodes = 0;
  private ended = false;
  private working: Promise<unknown> = Promise.resolve();

  static async found(folder: string): Promise<Town> {
    const door = await Door.open();
    const town = new Town(door, await startNginx(door.url, 'upgrades'), folder);
    town.gateway = await town.node();
    town.door.target = town.gateway.port;
    await givenOrder(town.gateway, '42', { rider: 'r1' }, 'picked_up');
    town.working = Promise.all([town.post(), town.ride()]);
    return town;
  }

  private constructor(door: Door, proxy: Nginx, folder: string) {
    this.door = door;
    this.proxy = proxy;
    this.folder = folder;
  }

  /** Where pages find it. */
  get url(): string {
    return this.proxy.url;
  }

  private node(): Promise<Gateway> {
    const env = {
      NODE_ID: `n${++this.nodes}`,
      STATIC_DIR: this.folder,
      ORDER_STATUSES: ['assigned', 'picked_up', ...STATUSES, 'delivered'].join(','),
      ORDER_END_STATUSES: 'delivered',
      RECONNECT_SPREAD_MS: '500',
      DRAIN_SPREAD_MS: '500',
    };
    return testGateway(env, { backbone: memoryBackbone(this.broker) });
  }

  // ---- what happens to it ----

  /** The node dies, and is away for so long. */
  async kill(ms: number): Promise<void> {
    this.door.shut();
    await this.gateway.stop();
    await wait(ms);
    this.gateway = await this.node();
    this.door.target = this.gateway.port;
    this.door.state = 'open';
  }

  /** Another node takes over, and this one is drained. */
  async drain(): Promise<void> {
    const before = this.gateway;
    this.gateway = await this.node();
    this.door.target = this.gateway.port;
    await before.drain();
  }

  /** For so long the proxy lets no WebSocket through. */
  async refuseUpgrades(ms: number): Promise<void> {
    await this.proxy.become('refuses');
    await wait(ms);
    await this.proxy.become('upgrades');
  }

  async revoke(): Promise<void> {
    await call(this.gateway, 'POST', '/v1/revocations', { role: 'customer', sub: 'ann' });
  }

  // ---- who works in it ----

  /** The backend repeats a call with its key until it is answered. */
  private async post(): Promise<void> {
    for (const status of STATUSES) {
      if (this.ended) return;
      await this.insist(`/v1/orders/42/events`, { status }, status);
      this.posted.push(status);
      await wait(EVENT_MS);
    }
  }

  private async ride(): Promise<void> {
    for (let seq = 1; !this.ended; seq++) {
      const lat = Math.round(5_200_000 + seq) / 1e5;
      await this.insist('/v1/riders/r1/pings', { pings: [{ seq, lat, lng: 13.4 }] }, `ping-${seq}`);
      this.newest = lat;
      await wait(PING_MS);
    }
  }

  private async insist(path: string, body: unknown, key: string): Promise<void> {
    for (;;) {
      const answer = await call(this.gateway, 'POST', path, body, { key }).catch(() => undefined);
      if (answer?.status === 200) return;
      await wait(50);
    }
  }

  token(): Promise<string> {
    return token('customer', 'ann', { iat: Math.floor(Date.now() / 1000) });
  }

  /** The order ends; everybody goes home. */
  async end(): Promise<void> {
    this.ended = true;
    await this.working;
    await call(this.gateway, 'POST', '/v1/orders/42/events', { status: 'delivered' }, { key: 'end' });
    this.posted.push('delivered');
  }

  async close(): Promise<void> {
    this.ended = true;
    await this.working;
    await this.proxy.stop();
    await this.door.close();
    await this.gateway.stop();
  }
}

export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
