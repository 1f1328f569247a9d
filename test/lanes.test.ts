import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../src/gateway.ts';
import { jsonCodec, msgpackCodec } from '../src/protocol/codec.ts';
import { RawClient } from './support/client.ts';
import { call, givenOrder, testGateway, token } from './support/gateway.ts';

describe.each([jsonCodec, msgpackCodec])('both lanes over $subprotocol', (codec) => {
  let gateway: Gateway;
  let n = 0;
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.stop());
  const fresh = (what: string) => `${what}-${codec.binary ? 'b' : 'j'}-${++n}`;
  const rider = async (id: string) =>
    RawClient.hello(gateway.url, await token('rider', id), { rider: {} }, { codec });
  const watcher = async (
    role: 'customer' | 'partner' | 'operator',
    sub: string,
    channel: string,
    more = {},
  ) =>
    RawClient.hello(gateway.url, await token(role, sub), { watch: [{ w: 1, channel, ...more }] }, { codec });

  it('shows a ping to the customer of the order, at once and once', async () => {
    const [order, id] = [fresh('o'), fresh('r')];
    await givenOrder(gateway, order, { rider: id }, 'picked_up');
    const customer = await watcher('customer', 'ann', `order:${order}`);
    const watching = await customer.next('watching');
    expect(watching.order).toMatchObject({
      id: order,
      status: 'picked_up',
      version: 3,
      assignment: 1,
      ended: false,
    });
    expect(watching.order).not.toHaveProperty('rider');
    expect(watching.block).toEqual([watching.c, 1, []]);

    const phone = await rider(id);
    phone.send({
      t: 'ping',
      pings: [{ seq: 1, lat: 52.5163, lng: 13.40497, heading: 85.4, speed: 6.25, accuracy: 4.6 }],
    });
    const { b } = await customer.next('positions');
    expect(b).toHaveLength(1);
    const [c, full, tuples] = b[0]!;
    expect([c, full]).toEqual([watching.c, 0]); // the watch began with none to replace
    expect(tuples).toHaveLength(1);
    const [ref, session, seq, lat, lng, , freshness, heading, speed, accuracy] = tuples[0]!;
    expect([ref, seq, lat, lng, freshness, heading, speed, accuracy]).toEqual([
      1, 1, 5251630, 1340497, 0, 85, 63, 5,
    ]);
    expect(session).toBeGreaterThan(0);
    expect(await phone.next('pinged')).toEqual({ t: 'pinged', seq: 1 });

    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 52.9, lng: 13.9 }] });
    await phone.next('pinged');
    await customer.settle();
    expect(customer.messages.filter((m) => m.t === 'positions')).toEqual([]);
    phone.close();
    customer.close();
  });

  it('gives a late joiner the newest position in the reply to its watch', async () => {
    const [order, id] = [fresh('o'), fresh('r')];
    await givenOrder(gateway, order, { rider: id }, 'picked_up');
    const phone = await rider(id);
    // biome-ignore format: a batch
    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 2 }, { seq: 2, lat: 1.5, lng: 2.5 }] });
    await phone.next('pinged');
    const customer = await watcher('customer', 'ann', `order:${order}`);
    const { block } = await customer.next('watching');
    expect(block[2].map((tuple) => [tuple[2], tuple[3], tuple[4]])).toEqual([[2, 150000, 250000]]);
    phone.close();
    customer.close();
  });

  it('delivers every event once and in order, then closes the watch with the last state', async () => {
    const order = fresh('o');
    await givenOrder(gateway, order, { rider: fresh('r') });
    const customer = await watcher('customer', 'ann', `order:${order}`);
    const { cursor, c } = await customer.next('watching');
    for (const status of ['picked_up', 'arriving', 'delivered']) {
      await call(gateway, 'POST', `/v1/orders/${order}/events`, { status });
    }
    const events = [await customer.next('event'), await customer.next('event'), await customer.next('event')];
    expect(events.map((e) => e.type)).toEqual(['picked_up', 'arriving', 'delivered']);
    expect(events.map((e) => e.offset)).toEqual([cursor!.offset + 1, cursor!.offset + 2, cursor!.offset + 3]);
    expect(events.map((e) => e.prev)).toEqual([cursor!.id, events[0]!.id, events[1]!.id]);
    expect(events.every((e) => e.c === c)).toBe(true);
    const closed = await customer.next('closed');
    expect(closed).toMatchObject({ w: 1, reason: 'ended', order: { status: 'delivered', ended: true } });
    customer.close();
  });

  it('replays what was missed to a watcher that says where it stood', async () => {
    const order = fresh('o');
    await givenOrder(gateway, order, { rider: fresh('r') });
    const first = await watcher('customer', 'ann', `order:${order}`);
    const { cursor } = await first.next('watching');
    first.close();
    await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'picked_up' });
    await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'arriving' });
    const again = await watcher('customer', 'ann', `order:${order}`, { since: cursor });
    const watching = await again.next('watching');
    expect(watching.events?.map((e) => e.type)).toEqual(['picked_up', 'arriving']);
    expect(watching).not.toHaveProperty('reset');
    expect(watching.cursor?.offset).toBe(cursor!.offset + 2);
    again.close();

    const odd = await watcher('customer', 'ann', `order:${order}`, { since: { ...cursor!, id: 'nothing' } });
    expect(await odd.next('watching')).toMatchObject({ reset: 'diverged', order: { status: 'arriving' } });
    odd.close();
  });

  it('shows a customer nothing before pick-up and nothing after delivery', async () => {
    const [order, id] = [fresh('o'), fresh('r')];
    await givenOrder(gateway, order, { rider: id });
    const phone = await rider(id);
    const customer = await watcher('customer', 'ann', `order:${order}`);
    const partner = await watcher('partner', 'shop', `order:${order}`);
    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 1 }] });
    await partner.next('positions');
    await customer.settle();
    expect(customer.messages.some((m) => m.t === 'positions')).toBe(false);

    await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'picked_up' });
    await customer.next('event', (e) => e.type === 'picked_up');
    const shown = await customer.next('positions');
    expect(shown.b[0]![2][0]!.slice(2, 5)).toEqual([1, 100000, 100000]);

    await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'delivered' });
    await customer.next('closed');
    await partner.next('closed');
    phone.send({ t: 'ping', pings: [{ seq: 2, lat: 2, lng: 2 }] });
    await phone.next('pinged', (p) => p.seq === 2);
    await customer.settle();
    await partner.settle();
    expect([...customer.messages, ...partner.messages].filter((m) => m.t === 'positions')).toEqual([]);
    for (const client of [phone, customer, partner]) client.close();
  });

  it('takes the dot away when the order goes to another rider, and shows the new one after pick-up', async () => {
    const [order, first, second] = [fresh('o'), fresh('r'), fresh('r')];
    await givenOrder(gateway, order, { rider: first }, 'picked_up');
    const [a, b] = [await rider(first), await rider(second)];
    const customer = await watcher('customer', 'ann', `order:${order}`);
    a.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 1 }] });
    await customer.next('positions');
    await call(gateway, 'POST', `/v1/orders/${order}/assign`, { rider: second });
    await customer.next('event', (e) => e.type === 'assigned');
    const gone = await customer.next('positions');
    expect(gone.b[0]![4]).toEqual([[1, 'hidden']]);
    a.send({ t: 'ping', pings: [{ seq: 2, lat: 1.1, lng: 1.1 }] });
    b.send({ t: 'ping', pings: [{ seq: 1, lat: 3, lng: 3 }] });
    await b.next('pinged');
    await call(gateway, 'POST', `/v1/orders/${order}/events`, { status: 'picked_up' });
    const shown = await customer.next('positions');
    expect(shown.b[0]![2].map((t) => [t[0], t[3]])).toEqual([[2, 300000]]);
    for (const client of [a, b, customer]) client.close();
  });

  it('shows a partner its own running orders and their riders, in one watch', async () => {
    const [one, two, id, shop] = [fresh('o'), fresh('o'), fresh('r'), fresh('shop')];
    await givenOrder(gateway, one, { rider: id, partner: shop }, 'picked_up');
    await givenOrder(gateway, two, { partner: 'another', rider: id });
    const phone = await rider(id);
    phone.send({ t: 'ping', pings: [{ seq: 1, lat: 1, lng: 1 }] });
    await phone.next('pinged');
    const partner = await watcher('partner', shop, `partner:${shop}`);
    const { block } = await partner.next('watching');
    expect(block[3]?.map(([, who, orders]) => [who, orders])).toEqual([[id, [one]]]);
    expect(block[5]?.map((o) => [o.id, o.status, o.rider])).toEqual([[one, 'picked_up', id]]);

    await call(gateway, 'POST', `/v1/orders/${one}/events`, { status: 'delivered' });
    const { b } = await partner.next('positions', (p) => p.b[0]![5] !== undefined);
    expect(b[0]![5]?.[0]).toMatchObject({ id: one, status: 'delivered', ended: true });
    expect(b[0]![4]).toEqual([[block[3]![0]![0], 'ended']]);
    phone.send({ t: 'ping', pings: [{ seq: 2, lat: 2, lng: 2 }] });
    await phone.next('pinged', (p) => p.seq === 2);
    await partner.settle();
    expect(partner.messages.filter((m) => m.t === 'positions')).toEqual([]);
    for (const client of [phone, partner]) client.close();
  });
});
