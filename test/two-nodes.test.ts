import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../src/gateway.ts';
import type { PositionTuple } from '../src/protocol/messages.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';
import { type RedisServer, startRedis } from './support/redis.ts';

const ZONES = {
  type: 'FeatureCollection',
  features: ['south', 'north'].map((id, i) => ({
    type: 'Feature',
    properties: { id },
    // biome-ignore format: a ring
    geometry: { type: 'Polygon', coordinates: [[[0, i], [1, i], [1, i + 1], [0, i + 1], [0, i]]] },
  })),
};

describe('two nodes over one Redis', () => {
  let redis: RedisServer;
  let a: Gateway;
  let b: Gateway;
  const clients: RawClient[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    const { writeFileSync, mkdtempSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const file = `${mkdtempSync(`${tmpdir()}/zones-`)}/zones.geojson`;
    writeFileSync(file, JSON.stringify(ZONES));
    const env = { REDIS_URL: redis.url, ZONES_FILE: file, GROUP_TICK_MS: '20', LINGER_MS: '200' };
    [a, b] = await Promise.all([
      testGateway({ NODE_ID: 'a', ...env }),
      testGateway({ NODE_ID: 'b', ...env }),
    ]);
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all([a.stop(), b.stop()]);
    await redis.stop();
  });

  const join = async (gateway: Gateway, role: Parameters<typeof token>[0], sub: string, hello = {}) => {
    const client = await RawClient.hello(gateway.url, await token(role, sub), hello);
    clients.push(client);
    return client;
  };
  const watchOrder = async (gateway: Gateway, order: string) => {
    const client = await join(gateway, 'customer', 'ann', { watch: [{ w: 1, channel: `order:${order}` }] });
    const watching = await client.next('watching');
    return { client, watching };
  };
  const ping = (seq: number, lat = seq / 1000, lng = 0.5) => ({ t: 'ping', pings: [{ seq, lat, lng }] });

  it('show on one what a rider sends to the other', async () => {
    await givenOrder(a, 'o1', { rider: 'r1' }, 'picked_up');
    const { client } = await watchOrder(b, 'o1');
    const phone = await join(a, 'rider', 'r1', { rider: {} });
    phone.send(ping(1));
    const { b: blocks } = await client.next('positions');
    expect(blocks[0]![2][0]!.slice(2, 5)).toEqual([1, 100, 50_000]);
  });

  it('end a watch on every node when the order ends', async () => {
    await givenOrder(a, 'o2', { rider: 'r2' }, 'picked_up');
    const watchers = [await watchOrder(a, 'o2'), await watchOrder(b, 'o2')];
    await call(b, 'POST', '/v1/orders/o2/events', { status: 'delivered' });
    for (const { client } of watchers) expect(await client.next('closed')).toMatchObject({ reason: 'ended' });
  });

  it('never move a dot back while a rider is on one and its old socket is half dead on the other', async () => {
    let n = 0;
    const frames = fc.array(fc.record({ old: fc.boolean(), seq: fc.integer({ min: 1, max: 40 }) }), {
      minLength: 5,
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(frames, fc.boolean(), async (sent, sameApp) => {
        const [order, rider] = [`half-${++n}`, `half-rider-${n}`];
        await givenOrder(a, order, { rider }, 'picked_up');
        const watchers = [await watchOrder(a, order), await watchOrder(b, order)];
        const old = await RawClient.hello(a.url, await token('rider', rider), {});
        old.send(ping(1));
        await old.next('pinged');
        // A new start of the app gets a new number; the same app goes on with its own.
        const hello = sameApp ? { rider: { session: await sessionOf(rider) } } : { rider: {} };
        const fresh = new RawClient(b.url);
        await fresh.open();
        fresh.send({ t: 'hello', token: await token('rider', rider), ...hello });
        const { rider: mine } = await fresh.next('welcome');
        for (const { old: late, seq } of sent)
          (late ? old : fresh).send(ping(late && !sameApp ? seq + 100 : seq));
        const last = 200;
        fresh.send(ping(last));
        for (const { client } of watchers) {
          const tuples: PositionTuple[] = [];
          do tuples.push(...(await client.next('positions')).b.flatMap((block) => block[2]));
          while (tuples.at(-1)![1] !== mine!.session || tuples.at(-1)![2] !== last);
          for (let i = 1; i < tuples.length; i++) {
            const [before, after] = [tuples[i - 1]!, tuples[i]!];
            expect(after[1] > before[1] || (after[1] === before[1] && after[2] > before[2])).toBe(true);
          }
          client.close();
        }
        old.close();
        fresh.close();
      }),
      { numRuns: 15 },
    );
  });

  it('close the older session of a rider on the other node', async () => {
    const old = await join(a, 'rider', 'twice', { rider: {} });
    await join(b, 'rider', 'twice', { rider: {} });
    expect(await old.closed()).toBe(4501);
  });

  it('pair every enter of a zone with one leave, for a rider that crosses the border', async () => {
    const south = await join(b, 'operator', 'op', { watch: [{ w: 1, channel: 'zone:south' }] });
    const north = await join(b, 'operator', 'op', { watch: [{ w: 1, channel: 'zone:north' }] });
    await Promise.all([south.next('watching'), north.next('watching')]);
    const phone = await join(a, 'rider', 'crosser', { rider: {} });
    phone.send(ping(1, 0.5));
    const entered = await south.next('positions');
    const ref = entered.b[0]![3]![0]![0];
    expect(entered.b[0]![3]).toEqual([[ref, 'crosser', []]]);
    phone.send(ping(2, 1.5));
    expect((await north.next('positions')).b[0]![3]![0]![1]).toBe('crosser');
    expect((await south.next('positions')).b[0]![4]).toEqual([[ref, 'left']]);
    const late = await join(a, 'operator', 'op', { watch: [{ w: 1, channel: 'zone:north' }] });
    const { block } = await late.next('watching');
    expect(block[3]?.map(([, rider]) => rider)).toEqual(['crosser']);
    const { positions } = (await call(a, 'GET', '/v1/zones/south/positions')).body;
    expect(positions.map((p: { rider: string }) => p.rider)).not.toContain('crosser');
  });

  it('are subscribed to a channel only while somebody watches it', async () => {
    await givenOrder(a, 'o3', {});
    const listeners = async () =>
      Number((await redis.command('PUBSUB', 'NUMSUB', 'ridecast:{o:o3}')).match(/:(\d+)/)![1]);
    expect(await listeners()).toBe(0);
    const { client } = await watchOrder(b, 'o3');
    expect(await listeners()).toBe(1);
    client.send({ t: 'unwatch', w: 1 });
    await expect.poll(listeners, { timeout: 10_000 }).toBe(0);
  });

  it('bring an event to every watcher although the bus was cut', async () => {
    await givenOrder(a, 'o4', { rider: 'r4' });
    const { client, watching } = await watchOrder(b, 'o4');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await call(a, 'POST', '/v1/orders/o4/events', { status: 'picked_up' });
    await call(a, 'POST', '/v1/orders/o4/events', { status: 'arriving' });
    const events = [await client.next('event'), await client.next('event')];
    expect(events.map((event) => event.offset)).toEqual([
      watching.cursor!.offset + 1,
      watching.cursor!.offset + 2,
    ]);
  });

  /** What the gateway gave, read where it is kept. */
  async function sessionOf(rider: string): Promise<number> {
    return Number((await redis.command('GET', `ridecast:{r:${rider}}:n`)).trim().split('\n').pop());
  }
});
