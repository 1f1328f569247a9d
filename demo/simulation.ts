/** A working day in Port Ridecast: riders on the streets, and orders going from shop to door. */
import { setMaxListeners } from 'node:events';
import { type Backend, makeBackend } from './backend.ts';
import type { City } from './city.ts';
import { Courier } from './courier.ts';
import { seconds } from './drive.ts';
import { dice, metres, pick, type Spot, toDegrees } from './plane.ts';
import type { Mint } from './tokens.ts';

export interface SimulationOptions {
  /** http://host:port of the gateway. */
  readonly url: string;
  readonly mint: Mint;
  readonly city: City;
  /** Part of every id, so that two runs over one Redis do not meet. */
  readonly run: string;
  readonly riders?: number;
  /** Orders under way at any time, the customer's own included. */
  readonly orders?: number;
  readonly failed?: (error: Error) => void;
}

export interface Simulation {
  /** The customer's newest order, running or just delivered. */
  readonly featured: string | undefined;
  stop(): Promise<void>;
}

export interface Shop {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  /** On the flat sheet of the city. */
  readonly branches: readonly Spot[];
  readonly goods: readonly string[];
}

export const CUSTOMER = 'demo-customer';
// biome-ignore format: places on one line
export const SHOPS: readonly Shop[] = [
  {
    id: 'noodle-house',
    name: 'Noodle House',
    prefix: 'N',
    branches: [{ x: -640, y: 520 }, { x: 620, y: -330 }, { x: -1150, y: -450 }],
    goods: ['Dan dan noodles', 'Miso ramen', 'Udon and gyoza', '3 × pho', 'Soba, cold', 'Ramen for two', 'Pad thai', 'Laksa'],
  },
  {
    id: 'green-grocer',
    name: 'Green Grocer',
    prefix: 'G',
    branches: [{ x: 260, y: 720 }, { x: -720, y: -330 }, { x: 1150, y: 150 }],
    goods: ['Vegetable box', 'Bread and eggs', 'Weekly groceries', 'Fruit basket', 'Oat milk, 6', 'Salad for four', 'Herbs and lemons', 'Potatoes, 5 kg'],
  },
];

const PING_MS = 1000;
/** Steps are spread over the second: riders do not ping in step. */
const SLICES = 10;
const DISPATCH_MS = 600;
const RETRY_MS = 3000;
/** The order is `arriving` from here on, metres. */
const NEAR_M = 230;

export function startSimulation(options: SimulationOptions): Simulation {
  const { city, mint, run } = options;
  const { riders = 40, orders = 24, failed = () => {} } = options;
  const over = new AbortController();
  setMaxListeners(0, over.signal); // one per pause, each taken off again
  const backend = makeBackend(options.url, () => mint('service', 'demo-backend'), over.signal);
  const roll = dice(Date.now());
  const socket = `${options.url.replace(/^http/, 'ws')}/v1/ws`;
  const branches = SHOPS.flatMap((shop) => shop.branches);
  const couriers = Array.from({ length: riders }, (_, i) => {
    const id = `rider-${String(i + 1).padStart(2, '0')}${run === '' ? '' : `.${run}`}`;
    // Some wait at the shops: nobody who opens the page should wait for the first order.
    const at = i < 2 * branches.length ? city.near(branches[i % branches.length]!) : anywhere(city, roll);
    return new Courier({
      id,
      url: socket,
      token: () => mint('rider', id),
      city,
      at,
      cruise: 8 + roll() * 3,
      roll,
    });
  });
  const free = new Set(couriers);
  const running = new Map<string, Promise<void>>();
  let featured: string | undefined;
  let ownRunning = false;
  let lastNumber = 100 + Math.floor(roll() * 300);
  const stamp = run || Date.now().toString(36).slice(-4);

  /** One order from shop to door. Resolves when it is over, rejects when the gateway would not have it. */
  async function deliver(id: string, shop: Shop, own: boolean): Promise<void> {
    const from = city.near(pick(roll, shop.branches));
    const to = own ? doorFrom(city, from, roll, 500, 800) : doorFrom(city, from, roll, 350, 1200);
    const content = {
      customer: own ? CUSTOMER : `customer-${1 + Math.floor(roll() * 400)}`,
      partner: shop.id,
      pickup: toDegrees(city.crossings[from]!),
      destination: toDegrees(city.crossings[to]!),
      data: { shop: shop.name, items: pick(roll, shop.goods) },
    };
    await backend.create(id, content);
    if (own) featured = id;
    await pause(own ? 500 : 1500 + roll() * 5000, over.signal);

    const courier = nearest(free, from);
    if (courier === undefined) return backend.tell(id, 'cancelled');
    free.delete(courier);
    try {
      await bring(backend, courier, { id, from, to });
    } finally {
      free.add(courier);
    }
  }

  async function bring(to: Backend, courier: Courier, order: { id: string; from: number; to: number }) {
    const trip = seconds(city.route(order.from, order.to), courier.cruise);
    await to.assign(order.id, courier.id);
    await to.tell(order.id, 'assigned', Date.now() + (courier.secondsTo(order.from) + 6 + trip) * 1000);
    await courier.parked;
    await courier.driveTo(order.from);
    await pause(3000 + roll() * 4000, over.signal);
    await to.tell(order.id, 'picked_up', Date.now() + trip * 1000);
    const arrived = courier.driveTo(order.to);
    while (courier.left > NEAR_M) await pause(500, over.signal);
    await to.tell(order.id, 'arriving', Date.now() + (courier.left / courier.cruise) * 1300);
    await arrived;
    await pause(4000 + roll() * 3000, over.signal);
    await to.tell(order.id, 'delivered');
  }

  function start(own: boolean): void {
    const shop = own ? SHOPS[lastNumber % 2]! : pick(roll, SHOPS);
    const id = `${shop.prefix}${stamp}-${++lastNumber}`;
    if (own) ownRunning = true;
    const done = deliver(id, shop, own).catch(async (error: Error) => {
      if (over.signal.aborted) return;
      failed(error);
      await pause(RETRY_MS, over.signal).catch(() => {});
    });
    running.set(id, done);
    void done.finally(() => {
      running.delete(id);
      if (own) ownRunning = false;
    });
  }

  const dispatch = setInterval(() => {
    if (!ownRunning) start(true);
    else if (running.size < orders && free.size > 2) start(false);
  }, DISPATCH_MS);

  /** Where a rider without an order goes: a little further, or to where orders come from. */
  function hangout(from: number): number {
    return roll() < 0.5 ? city.near(pick(roll, branches)) : doorFrom(city, from, roll, 150, 450);
  }

  let slice = 0;
  const steps = setInterval(() => {
    slice++;
    couriers.forEach((courier, i) => {
      if (i % SLICES === slice % SLICES) courier.step();
      const idle = free.has(courier) && courier.left === 0;
      if (idle && roll() < 0.005) void courier.driveTo(hangout(courier.target));
    });
  }, PING_MS / SLICES);

  return {
    get featured() {
      return featured;
    },
    async stop() {
      clearInterval(dispatch);
      clearInterval(steps);
      over.abort();
      const left = [...running];
      for (const courier of couriers) courier.stop();
      // Best effort, so that a Redis that lives longer than the demo holds no order that nobody will bring.
      await Promise.allSettled(left.map(([id]) => backend.tell(id, 'cancelled')));
      await Promise.allSettled(left.map(([, done]) => done));
    },
  };
}

function anywhere(city: City, roll: () => number): number {
  return city.near({ x: -1450 + roll() * 2900, y: -740 + roll() * 1660 });
}

/** A crossing so many metres away as the crow flies. */
function doorFrom(city: City, from: number, roll: () => number, least: number, most: number): number {
  const start = city.crossings[from]!;
  for (let tries = 0; tries < 200; tries++) {
    const to = anywhere(city, roll);
    const away = metres(start, city.crossings[to]!);
    if (away >= least && away <= most) return to;
  }
  return anywhere(city, roll);
}

/** The free rider that can be at a crossing first. */
function nearest(free: ReadonlySet<Courier>, crossing: number): Courier | undefined {
  const ranked = [...free].map((courier) => ({ courier, cost: courier.secondsTo(crossing) }));
  return ranked.sort((a, b) => a.cost - b.cost)[0]?.courier;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error('stopped'));
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(new Error('stopped'));
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
