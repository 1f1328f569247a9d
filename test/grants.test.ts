import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maySeeOrder, mayWatch, windowOpen } from '../src/fanout/visibility.ts';
import type { Gateway } from '../src/gateway.ts';
import type { OrderRecord } from '../src/orders/order.ts';
import type { Role } from '../src/protocol/messages.ts';
import { RawClient } from './support/client.ts';
import { givenOrder, testGateway, token } from './support/gateway.ts';

const grant = (role: Role, sub: string, more = {}) => ({ role, sub, expiresAt: 0, ...more });

describe('a grant', () => {
  const order = { id: 'o', customer: 'ann', partner: 'shop' };

  it('reaches the orders of its own subject, or of all for operators, and only those it names', () => {
    const may = (role: Role, sub: string, more = {}) => maySeeOrder(grant(role, sub, more), order);
    // biome-ignore format: a table
    expect([may('customer', 'ann'), may('customer', 'shop'), may('partner', 'shop'), may('partner', 'ann')]).toEqual([true, false, true, false]);
    expect([may('operator', 'x'), may('service', 'x'), may('rider', 'ann')]).toEqual([true, true, false]);
    expect(may('customer', 'ann', { orders: new Set(['o']) })).toBe(true);
    expect(may('customer', 'ann', { orders: new Set(['p']) })).toBe(false);
  });

  it('covers channels by role', () => {
    const may = (role: Role, channel: string, more = {}) => {
      const [kind, id] = channel.split(':') as ['zone', string];
      return mayWatch(grant(role, 'me', more), { kind, id });
    };
    for (const channel of ['order:1', 'zone:1', 'partner:1', 'partner:me', 'rider:me']) {
      expect([
        channel,
        ...(['rider', 'customer', 'partner', 'operator'] as const).map((role) => may(role, channel)),
      ]).toEqual(
        {
          'order:1': ['order:1', false, true, true, true],
          'zone:1': ['zone:1', false, false, false, true],
          'partner:1': ['partner:1', false, false, false, true],
          'partner:me': ['partner:me', false, false, true, true],
          'rider:me': ['rider:me', false, false, false, false],
        }[channel],
      );
    }
    expect(may('operator', 'zone:1', { zones: new Set(['2']) })).toBe(false);
    expect(may('customer', 'order:1', { orders: new Set(['2']) })).toBe(false);
    expect(may('partner', 'partner:me', { orders: new Set(['2']) })).toBe(false);
  });

  it('opens and closes the window of its audience with the status', () => {
    const windows = {
      statuses: ['assigned', 'picked_up', 'arriving', 'delivered'],
      customerFrom: 'picked_up',
      partnerFrom: 'assigned',
      nearFrom: 'arriving',
    };
    const open = (status: string, more: Partial<OrderRecord> = {}) => {
      const record = {
        ...order,
        status,
        at: 0,
        version: 1,
        assignment: 1,
        ended: false,
        rider: 'r',
        ...more,
      };
      return (['customer', 'partner', 'operator'] as const).map((audience) =>
        windowOpen(windows, audience, record),
      );
    };
    expect(open('created', { rider: undefined })).toEqual([false, false, false]);
    expect(open('assigned')).toEqual([false, true, true]);
    expect(open('picked_up')).toEqual([true, true, true]);
    expect(open('arriving')).toEqual([true, true, true]);
    expect(open('delivered', { ended: true })).toEqual([false, false, false]);
  });
});

describe('a refresh', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.stop());

  it('ends the watches that the new token does not cover, and keeps the others', async () => {
    await givenOrder(gateway, 'one', {});
    await givenOrder(gateway, 'two', {});
    // biome-ignore format: two watches
    const watch = [{ w: 1, channel: 'order:one' }, { w: 2, channel: 'order:two' }];
    const client = await RawClient.hello(gateway.url, await token('customer', 'ann'), { watch });
    await client.next('watching', (m) => m.w === 1);
    await client.next('watching', (m) => m.w === 2);
    client.send({ t: 'refresh', token: await token('customer', 'ann', { orders: ['two'] }) });
    expect(await client.next('closed')).toEqual({ t: 'closed', w: 1, reason: 'denied' });
    await client.next('refreshed');
    await givenOrder(gateway, 'one', {}, 'cancelled');
    await givenOrder(gateway, 'two', {}, 'cancelled');
    expect(await client.next('closed')).toMatchObject({ w: 2, reason: 'ended' });
    await client.settle();
    expect(client.messages.filter((m) => m.t === 'closed')).toEqual([]);
    client.close();
  });
});
