/** The SDK against the real gateway, in-process, over real WebSockets. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/gateway.ts';
import type { Role } from '../../src/protocol/messages.ts';
import { call, givenOrder, testGateway, token, twoGateways } from '../../test/support/gateway.ts';
import { connect, rider, watchFleet, watchOrder } from '../src/index.ts';
import type { Client, ClientError, Options, OrderWatch, Position } from '../src/types.ts';

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const once = <T>(on: (cb: (e: T) => void) => unknown) => new Promise<T>((resolve) => on(resolve));
const ws = (gateway: Gateway) => `${gateway.url.replace('http', 'ws')}/v1/ws`;

function dial(url: string | (() => string), role: Role, sub: string, o: Partial<Options> = {}): Client {
  const client = connect(url, { token: () => token(role, sub), WebSocket, background: true, ...o });
  undo.push(() => client.close());
  return client;
}

const post = async (gateway: Gateway, order: string, status: string) =>
  expect((await call(gateway, 'POST', `/v1/orders/${order}/events`, { status })).status).toBe(200);

/** Resolves when the watch has its first snapshot. */
const started = (watch: { snapshot: unknown; on: OrderWatch['on'] }) =>
  watch.snapshot ? undefined : once((cb) => watch.on('change', cb));

describe('one gateway', () => {
  let gateway: Gateway;
  let n = 0;
  beforeAll(async () => {
    gateway = await testGateway({ RECONNECT_SPREAD_MS: '50', CREDIT_FRAMES: '2', GROUP_TICK_MS: '20' });
  });
  afterAll(() => gateway.stop());
  const fresh = (what: string) => `${what}-${++n}`;

  it('shows a rider’s pings to the customer, and every status in order to the end', async () => {
    const [order, phone] = [fresh('o'), fresh('r')];
    await givenOrder(gateway, order, { rider: phone });
    const watch = watchOrder(dial(ws(gateway), 'customer', 'ann'), order);
    await started(watch);
    const statuses: string[] = [];
    watch.on('status', (s) => statuses.push(s.status));
    const me = rider(dial(ws(gateway), 'rider', phone));
    expect(['sent', 'queued']).toContain(me.push({ lat: 52.5163, lng: 13.40497, speed: 6.2 }));
    expect(await me.flush()).toBe(true);
    expect(watch.snapshot!.position).toBeUndefined();

    const shown = once<Position>((cb) => watch.on('position', cb));
    await post(gateway, order, 'picked_up');
    expect(await shown).toMatchObject({ lat: 52.5163, lng: 13.40497, speed: 6.2 });
    expect(watch.freshness).toBe('live');
    const end = once<{ status: string }>((cb) => watch.on('end', cb));
    await post(gateway, order, 'arriving');
    await post(gateway, order, 'delivered');
    expect((await end).status).toBe('delivered');
    expect(statuses).toEqual(['picked_up', 'arriving', 'delivered']);
    expect(watch).toMatchObject({ freshness: 'ended' });
    expect(watch.snapshot!.position).toBeUndefined();
  });

  it('keeps flowing past the credit window', async () => {
    const [order, phone] = [fresh('o'), fresh('r')];
    await givenOrder(gateway, order, { rider: phone }, 'picked_up');
    const watch = watchOrder(dial(ws(gateway), 'customer', 'ann'), order);
    await started(watch);
    // Paced by what is shown: ten frames, one at a time, through a window of two.
    let session: number | undefined;
    for (let i = 1; i <= 10; i++) {
      const shown = once<Position>((cb) => watch.on('position', cb));
      const body = { session, pings: [{ seq: i, lat: 52.5 + i / 1000, lng: 13.4 }] };
      const reply = await call(gateway, 'POST', `/v1/riders/${phone}/pings`, body);
      expect(reply.status).toBe(200);
      session = reply.body.session;
      expect((await shown).lat).toBeCloseTo(52.5 + i / 1000, 5);
    }
  });

  it('answers an order of somebody else and one that does not exist alike', async () => {
    const order = fresh('o');
    await givenOrder(gateway, order, {});
    const client = dial(ws(gateway), 'customer', 'eve');
    const [theirs, none] = [watchOrder(client, order), watchOrder(client, 'nothing')];
    const errors = await Promise.all([theirs, none].map((w) => once<ClientError>((cb) => w.on('error', cb))));
    expect(errors.map((e) => [e.code, e.retryable])).toEqual([
      ['not_found', false],
      ['not_found', false],
    ]);
  });

  it('shows a partner its riders and orders', async () => {
    const [order, phone] = [fresh('o'), fresh('r')];
    const partner = fresh('p');
    await givenOrder(gateway, order, { rider: phone, partner });
    const fleet = watchFleet(dial(ws(gateway), 'partner', partner), { partner });
    const entered = once<string>((cb) => fleet.on('enter', cb));
    const me = rider(dial(ws(gateway), 'rider', phone));
    me.push({ lat: 52.5, lng: 13.4 });
    expect(await entered).toBe(phone);
    expect(fleet.snapshot!.get(phone)).toMatchObject({
      orders: [order],
      status: 'assigned',
      freshness: 'live',
    });
    const status = once<object>((cb) => fleet.on('status', cb));
    await post(gateway, order, 'picked_up');
    expect(await status).toMatchObject({ id: order, status: 'picked_up' });
    const left = once<string>((cb) => fleet.on('leave', cb));
    await post(gateway, order, 'delivered');
    expect(await left).toBe(phone);
    expect([...fleet.orders.keys()]).toEqual([]);
  });

  it('watches a list of orders', async () => {
    const orders = [fresh('o'), fresh('o')];
    const phone = fresh('r');
    for (const order of orders) await givenOrder(gateway, order, { rider: phone }, 'picked_up');
    const fleet = watchFleet(dial(ws(gateway), 'operator', 'op'), { orders });
    const both = once((cb) => fleet.on('change', (items) => items.size === 2 && cb(items)));
    rider(dial(ws(gateway), 'rider', phone)).push({ lat: 52.5, lng: 13.4 });
    await both;
    expect([...fleet.snapshot!.keys()].sort()).toEqual([...orders].sort());
  });

  it('closes a refused token for good when it is the only one', async () => {
    const client = dial(ws(gateway), 'customer', 'ann', { token: 'not-a-token' });
    await expect(client.ready()).rejects.toMatchObject({ reason: 'auth' });
  });

  it('renews a short token in place', async () => {
    const reasons: string[] = [];
    const client = dial(ws(gateway), 'customer', 'ann', {
      token: (why) => {
        reasons.push(why);
        return token('customer', 'ann', {}, why === 'initial' ? 2 : 3600);
      },
    });
    await client.ready();
    const sessions: string[] = [];
    client.on('state', (i) => sessions.push(i.state));
    await once<void>((cb) => {
      const look = () => (reasons.length > 1 ? cb() : setTimeout(look, 20));
      look();
    });
    expect(reasons).toEqual(['initial', 'expiring']);
    expect(sessions).toEqual([]);
  });
});

it('moves to another gateway when one drains, with every event once and no position going back', async () => {
  const [a, b] = await twoGateways({ RECONNECT_SPREAD_MS: '50', DRAIN_SPREAD_MS: '100' });
  undo.push(() => b.stop());
  let target = a;
  await givenOrder(a, 'o1', { rider: 'r1' }, 'picked_up');
  const watch = watchOrder(
    dial(() => ws(target), 'customer', 'ann'),
    'o1',
  );
  const phone = dial(() => ws(target), 'rider', 'r1');
  const me = rider(phone);
  const events: number[] = [];
  const fixes: number[] = [];
  watch.on('event', (e) => events.push(e.offset));
  watch.on('position', (p) => fixes.push(p.lat));
  await started(watch);
  await phone.ready();
  const first = once((cb) => watch.on('position', cb));
  me.push({ lat: 52.501, lng: 13.4 });
  await first;
  const from = watch.cursor!.offset;

  target = b;
  const gone = a.drain();
  await post(b, 'o1', 'arriving');
  await gone;
  await phone.ready();
  expect(await me.flush()).toBe(true);
  const second = once((cb) => watch.on('position', cb));
  await call(b, 'POST', '/v1/riders/r1/pings', { pings: [{ seq: 1, lat: 52.502, lng: 13.4 }] });
  await second;
  const end = once((cb) => watch.on('end', cb));
  await post(b, 'o1', 'delivered');
  await end;
  expect(events).toEqual([from + 1, from + 2]);
  expect(fixes).toEqual([...fixes].sort());
});
