import { describe, expect, it } from 'vitest';
import { MemoryBroker, memoryBackbone } from '../src/backbone/memory.ts';
import type { Store } from '../src/backbone/store.ts';
import { viewOf } from '../src/orders/order.ts';
import { Orders } from '../src/orders/orders.ts';

const statuses = ['assigned', 'picked_up', 'arriving', 'delivered', 'cancelled'];
const TTL = 86_400_000;

function setUp(change: (store: Store) => Partial<Store> = () => ({})) {
  let clock = 1_764_000_000_000;
  const { bus, store } = memoryBackbone(new MemoryBroker({ now: () => clock }));
  const parts = {
    bus,
    lifecycle: { statuses, ends: new Set(['delivered', 'cancelled']) },
    orderTtlMs: TTL,
    endedTtlMs: 3_600_000,
  };
  const changed = Object.assign(Object.create(store) as Store, change(store));
  const orders = new Orders({ ...parts, store: changed, now: () => clock });
  return { orders, store, pass: (ms: number) => (clock += ms) };
}

const NEW = { customer: 'ann', partner: 'shop' };

describe('orders', () => {
  it('are created once, and the same again changes nothing', async () => {
    const { orders } = setUp();
    expect((await orders.create('o', NEW)).result).toBe('appended');
    expect((await orders.create('o', NEW)).result).toBe('unchanged');
    await expect(orders.create('o', { ...NEW, customer: 'bob' })).rejects.toThrow('other content');
    expect((await orders.read('o'))!.cursor.offset).toBe(1);
  });

  it('give a repeated command its first answer, whatever happened since', async () => {
    const { orders } = setUp();
    await orders.create('o', NEW);
    await orders.assign('o', 'r', 'k1');
    const first = await orders.advance('o', { status: 'picked_up' }, 'k2');
    await orders.advance('o', { status: 'delivered' }, 'k3');
    for (const again of [
      await orders.assign('o', 'r', 'k1'),
      await orders.advance('o', { status: 'picked_up' }, 'k2'),
      await orders.advance('o', { status: 'delivered' }, 'k3'),
    ]) {
      expect(again!.result).toBe('duplicate');
    }
    expect(first!.cursor.offset).toBe(3);
    expect((await orders.read('o'))!.cursor.offset).toBe(4);
  });

  it('take concurrent commands one after the other, each once', async () => {
    const { orders } = setUp();
    await orders.create('o', NEW);
    await orders.assign('o', 'r', 'k');
    await Promise.all(
      Array.from({ length: 6 }, (_, i) => orders.advance('o', { status: 'picked_up', eta: i }, `k${i}`)),
    );
    const { order, cursor } = (await orders.read('o'))!;
    expect([cursor.offset, order.version]).toEqual([8, 8]);
  });

  it('say what would have been allowed', async () => {
    const { orders } = setUp();
    expect(await orders.advance('nothing', { status: 'picked_up' }, 'k')).toBeUndefined();
    await orders.create('o', NEW);
    await expect(orders.advance('o', { status: 'picked_up' }, 'k1')).rejects.toThrow('no rider');
    await orders.assign('o', 'r', 'k2');
    await orders.advance('o', { status: 'arriving' }, 'k3');
    // biome-ignore format: short
    await expect(orders.advance('o', { status: 'picked_up' }, 'k4')).rejects.toMatchObject({ expected: 'arriving | delivered | cancelled' });
    await orders.advance('o', { status: 'cancelled' }, 'k5');
    await expect(orders.assign('o', 'r2', 'k6')).rejects.toThrow('is cancelled');
  });

  it('can be cancelled before anybody has them', async () => {
    const { orders } = setUp();
    await orders.create('o', NEW);
    expect((await orders.advance('o', { status: 'cancelled' }, 'k'))!.order).toMatchObject({
      ended: true,
      assignment: 0,
    });
  });

  it('are in the indexes of their rider and partner while they run', async () => {
    const { orders } = setUp();
    const ids = async () => [
      (await orders.active('rider', 'r1')).map((o) => o.id),
      (await orders.active('rider', 'r2')).map((o) => o.id),
      (await orders.active('partner', 'shop')).map((o) => o.status),
    ];
    await orders.create('o', NEW);
    expect(await ids()).toEqual([[], [], ['created']]);
    await orders.assign('o', 'r1', 'k1');
    expect(await ids()).toEqual([['o'], [], ['assigned']]);
    await orders.advance('o', { status: 'picked_up' }, 'k2');
    await orders.assign('o', 'r2', 'k3');
    expect(await ids()).toEqual([[], ['o'], ['assigned']]);
    expect((await orders.read('o'))!.order.assignment).toBe(2);
    await orders.advance('o', { status: 'delivered' }, 'k4');
    expect(await ids()).toEqual([[], [], []]);
  });

  it('come into line by the retry of a call that died between log and index', async () => {
    let broken = true;
    const { orders } = setUp((store) => ({
      indexOrder: (...args) => (broken ? Promise.reject(new Error('gone')) : store.indexOrder(...args)),
    }));
    await expect(orders.create('o', NEW)).rejects.toThrow('gone');
    broken = false;
    expect(await orders.active('partner', 'shop')).toEqual([]);
    await orders.create('o', NEW);
    broken = true;
    await expect(orders.assign('o', 'r', 'k')).rejects.toThrow('gone');
    broken = false;
    expect((await orders.assign('o', 'r', 'k'))!.result).toBe('unchanged');
    expect((await orders.active('rider', 'r')).map((o) => o.id)).toEqual(['o']);
  });

  it('leave the indexes when nobody ended them and their log is gone', async () => {
    const { orders, store, pass } = setUp();
    await orders.create('o', NEW);
    pass(TTL - 1);
    expect(await orders.active('partner', 'shop')).toHaveLength(1);
    pass(2);
    expect(await orders.active('partner', 'shop')).toEqual([]);
    expect(await store.indexedOrders({ of: 'partner', id: 'shop' })).toEqual([]);
  });

  it('tell a customer neither rider nor partner', async () => {
    const { orders } = setUp();
    await orders.create('o', { ...NEW, zone: 'z', data: { note: 'door' } });
    const { order } = (await orders.assign('o', 'r', 'k'))!;
    // biome-ignore format: short
    expect(Object.keys(viewOf(order, 'customer')).sort()).toEqual(['assignment', 'at', 'data', 'ended', 'id', 'status', 'version', 'zone']);
    expect(viewOf(order, 'partner')).toMatchObject({ rider: 'r', partner: 'shop' });
    expect(viewOf(order, 'partner')).not.toHaveProperty('customer');
    expect(viewOf(order, 'operator')).toMatchObject({ rider: 'r', partner: 'shop', customer: 'ann' });
  });
});
