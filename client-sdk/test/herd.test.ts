/** Very many clients, and very many links: how they come back, and what is left of them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { connect } from '../src/connect.ts';
import { watchFleet } from '../src/fleet.ts';
import { watchOrder } from '../src/order.ts';
import { asIs, Reference, type WELCOME } from './model/reference.ts';
import { type VirtualTime, virtualTime } from './model/virtual.ts';
import { Zone } from './model/zone.ts';

let time: VirtualTime | undefined;
afterEach(() => time?.stop());

const CLIENTS = 1000;
const BIN_MS = 100;

/** Dials in every 100 ms after a restart dropped all clients at once; the gateway is back at once, too. */
async function dialsAfterRestart(
  reconnect: { after: number; spread: number } | undefined,
): Promise<number[]> {
  time = virtualTime(42);
  const gateway = new Reference();
  gateway.behaviour = { take() {}, hello: () => ({ reconnect }) as Partial<typeof WELCOME> };
  const bins: number[] = [];
  let restartedAt = Number.NaN;
  const clients = Array.from({ length: CLIENTS }, () =>
    connect('wss://gateway.test/v1/ws', {
      token: 'tok',
      codec: asIs,
      env: gateway.surroundings.env,
      transport(...args) {
        if (Date.now() >= restartedAt) {
          const bin = Math.floor((Date.now() - restartedAt) / BIN_MS);
          bins[bin] = (bins[bin] ?? 0) + 1;
        }
        return gateway.transport(...args);
      },
    }),
  );
  await time.settle();
  const ways = [...gateway.ways];
  gateway.carryAll();
  restartedAt = Date.now();
  for (const way of ways) gateway.close(way);
  for (let ms = 0; ms < 25_000; ms += BIN_MS) {
    await time.pass(BIN_MS);
    gateway.carryAll();
  }
  expect(clients.every(({ info }) => info.state === 'live')).toBe(true);
  for (const client of clients) client.close();
  expect(time.pending).toBe(0);
  time.stop();
  return Array.from(bins, (n) => n ?? 0);
}

it.each([
  ['in the window of the gateway by default, 3 s', { after: 0, spread: 3000 }, 50],
  ['in a window of 20 s', { after: 0, spread: 20_000 }, 20],
  ['without a window by the back-off alone', undefined, 130],
] as const)('a thousand clients dropped at once come back %s', async (name, window, most) => {
  const bins = await dialsAfterRestart(window);
  if (process.env.SOAK) process.stdout.write(`${name}: dials per ${BIN_MS} ms ${bins.join(' ')}\n`);
  expect(bins.reduce((sum, n) => sum + n)).toBe(CLIENTS);
  expect(Math.max(...bins)).toBeLessThanOrEqual(most);
  // Spread over all of it, or the figure says nothing.
  expect(bins.length).toBeGreaterThan(((window?.spread ?? 1000) / BIN_MS) * 0.9);
});

it('ten thousand links leave nothing behind', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  time = virtualTime(42);
  const gateway = new Reference();
  const zone = new Zone(gateway);
  const client = connect('wss://gateway.test/v1/ws', {
    token: async () => 'tok',
    codec: asIs,
    env: gateway.surroundings.env,
    transport: gateway.transport,
  });
  watchOrder(client, '42');
  const fleet = watchFleet(client, { zone: '7' });
  await time.settle();
  const reconnect = async (times: number) => {
    for (let n = 0; n < times; n++) {
      gateway.carry();
      zone.tick();
      // Healthy by now, and the zone is shown.
      await time!.pass(2500);
      gateway.close(gateway.way!);
      await time!.pass(500);
    }
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = await reconnect(1000);
  const listeners = gateway.surroundings.listeners.size;
  const pending = time.pending;
  const after = await reconnect(10_000);
  expect(fleet.snapshot?.size).toBeGreaterThan(0);
  expect([gateway.surroundings.listeners.size, time.pending]).toEqual([listeners, pending]);
  // A closure per link would be megabytes.
  expect(after - before).toBeLessThan(500_000);
  client.close();
}, 120_000);
