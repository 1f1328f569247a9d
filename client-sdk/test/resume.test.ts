/** Going on where a watch stood: what the gateway forgot, what the app does in the middle, what is asked again. */
import { describe, expect, it, vi } from 'vitest';
import { watchFleet } from '../src/fleet.ts';
import { watchOrder } from '../src/order.ts';
import type { ClientError, Cursor } from '../src/types.ts';
import type { OrderEvent, PositionTuple } from '../src/wire.ts';
import { again, cursor, event, order, positions, rig, settle, stillTime, tuple, watching } from './pair.ts';

stillTime();

const start = (over = {}) => watching({ cursor: cursor(4), order: order(), ...over });
const plain = (offset: number): OrderEvent => {
  const { t: _t, c: _c, ...e } = event(offset);
  return e;
};
const missing = { t: 'error', code: 'not_found', message: 'no such order', of: 'watch', w: 1 } as const;

async function watched(over = {}) {
  const r = rig();
  const watch = watchOrder(r.client, '42');
  await r.welcome();
  r.link.give(start(over));
  const errors: ClientError[] = [];
  watch.on('error', (e) => errors.push(e));
  return { r, watch, errors };
}

/** Keeps the link alive over that time. */
async function pass(link: { give(m: { t: 'beat'; now: number }): void }, ms: number) {
  for (let left = ms; left > 0; left -= 10_000) {
    await settle(Math.min(left, 10_000));
    link.give({ t: 'beat', now: Date.now() });
  }
}

describe('an order that the gateway no longer knows', () => {
  it('is lost, said once, and asked for again until it is back', async () => {
    const { r, watch, errors } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    const link = await again(r);
    link.give(missing);
    expect(watch.freshness).toBe('lost');
    expect(errors.map((e) => [e.code, e.retryable])).toEqual([['not_found', true]]);
    await settle(500);
    expect(link.of('watch')).toEqual([{ t: 'watch', w: 1, channel: 'order:42', since: cursor(4) }]);
    link.give(missing);
    const gaps: unknown[] = [];
    watch.on('gap', (e) => gaps.push(e.missed));
    link.give(start({ cursor: cursor(1, 'k2'), reset: 'epoch', order: order({ version: 1 }) }));
    expect(watch).toMatchObject({ freshness: 'live', cursor: cursor(1, 'k2') });
    expect(gaps).toEqual(['unknown']);
    expect(errors).toHaveLength(1);
  });

  it('is asked for ever more slowly, each 30 s at last, for 10 minutes', async () => {
    const { r, watch, errors } = await watched();
    const link = await again(r);
    link.give(missing);
    const from = Date.now();
    const waits: number[] = [];
    for (let asked = 0, last = from; link.of('unwatch').length === 0 && errors.length < 2; ) {
      await pass(link, 100);
      if (link.of('watch').length === asked) continue;
      asked++;
      waits.push(Date.now() - last);
      last = Date.now();
      link.give(missing);
    }
    expect(waits.slice(0, 7)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(Date.now() - from).toBeGreaterThanOrEqual(600_000);
    expect(Date.now() - from).toBeLessThan(630_000);
    expect(errors.map((e) => e.retryable)).toEqual([true, false]);
    expect(watch.freshness).toBe('lost');
    const next = await again(r);
    expect(next.of('hello')[0]!.watch).toEqual([]);
  });

  it('may be missed again later, and has 10 minutes again', async () => {
    const { r, errors } = await watched();
    const link = await again(r);
    link.give(missing, start());
    await pass(link, 700_000);
    link.give(event(9), missing);
    expect(errors.map((e) => e.retryable)).toEqual([true, true]);
  });

  it('is missed, not refused, when the app brought a cursor from an earlier run', async () => {
    const r = rig();
    const watch = watchOrder(r.client, '42', { since: cursor(4) });
    await r.welcome();
    r.link.give(missing);
    expect(watch.freshness).toBe('lost');
    await settle(500);
    expect(r.link.of('watch')).toHaveLength(1);
  });

  it('is left alone when the app closes the watch over it', async () => {
    const { r, watch } = await watched();
    watch.on('error', () => watch.close());
    const link = await again(r);
    link.give(missing);
    await settle(30_000);
    expect(link.of('watch')).toEqual([]);
  });

  it('is missed in a list of orders too', async () => {
    const r = rig();
    const fleet = watchFleet(r.client, { orders: ['42'] });
    const errors: unknown[] = [];
    fleet.on('error', (e) => errors.push(e.retryable));
    await r.welcome();
    r.link.give(start({ block: [3, 1, [tuple(1, 7, 17)]] }));
    const link = await again(r);
    link.give(missing);
    await settle(500);
    expect(errors).toEqual([true]);
    expect([...fleet.snapshot!.keys()]).toEqual(['42']);
    expect(link.of('watch')).toHaveLength(1);
    link.give(
      start({
        reset: 'epoch',
        order: order({ version: 1, status: 'anew' }),
        block: [3, 1, [tuple(1, 9, 1)]],
      }),
    );
    await settle(16);
    expect(fleet.snapshot!.get('42')).toMatchObject({ status: 'anew', position: { lat: 52.51631 } });
  });
});

describe('positions after a reset', () => {
  const reset = (t: PositionTuple) =>
    start({ cursor: cursor(1, 'k2'), reset: 'epoch', order: order({ version: 1 }), block: [3, 1, [t]] });

  it('come from the rider there is now, though the numbers of riders begin again', async () => {
    const { r, watch } = await watched({ order: order({ assignment: 2 }), block: [3, 1, [tuple(2, 9, 90)]] });
    r.link.give(reset(tuple(1, 5, 3)));
    expect(watch.snapshot!.position).toMatchObject({ lat: 52.51633 });
    r.link.give(positions([3, 0, [tuple(1, 5, 2)]]));
    expect(watch.snapshot!.position).toMatchObject({ lat: 52.51633 });
  });

  it('never go back while the rider goes on in the same session', async () => {
    const { r, watch } = await watched({ order: order({ assignment: 2 }), block: [3, 1, [tuple(2, 9, 90)]] });
    r.link.give(reset(tuple(1, 9, 89)));
    expect(watch.snapshot!.position).toBeUndefined();
    r.link.give(positions([3, 0, [tuple(1, 9, 91)]]));
    expect(watch.snapshot!.position).toMatchObject({ lat: 52.51721 });
  });
});

describe('an app that closes the watch in the middle', () => {
  it.each(['gap', 'event', 'status', 'position', 'change', 'freshness', 'eta'] as const)(
    'of telling a %s hears nothing more, and the cursor stays where it was told',
    async (name) => {
      const { r, watch } = await watched();
      const said: string[] = [];
      let at: Cursor | undefined;
      for (const other of ['gap', 'event', 'status', 'eta', 'position', 'change', 'end', 'error'] as const)
        watch.on(other, () => said.push(other));
      watch.on(name, () => {
        at ??= watch.cursor;
        watch.close();
        said.length = 0;
      });
      if (name === 'freshness') r.link.give(positions([3, 0, [tuple(1, 7, 1, { 6: 1 })]]));
      else if (name === 'gap')
        r.link.give(
          start({ cursor: cursor(9), reset: 'limit', missed: 4, order: order({ status: 'x', eta: 5 }) }),
        );
      else {
        const five = { ...plain(5), order: order({ status: 's5', version: 5, eta: 5 }) };
        const block = [3, 1, [tuple(1, 7, 20)]];
        r.link.give(start({ cursor: cursor(7), events: [five, plain(6), plain(7)], block }) as never);
      }
      expect(said).toEqual([]);
      expect(watch.cursor).toEqual(at);
      await settle(10_000);
      r.link.give(event(5), event(6));
      expect(said).toEqual([]);
      expect(r.link.of('unwatch')).toHaveLength(1);
    },
  );

  it('and acknowledges what it took first', async () => {
    const { r, watch } = await watched();
    watch.on('event', (e) => e.offset === 6 && watch.close());
    r.link.give(event(5), event(6), event(7));
    expect(r.link.sent.slice(-2)).toEqual([
      { t: 'ack', w: 1, offset: 6 },
      { t: 'unwatch', w: 1 },
    ]);
    expect(watch.cursor).toEqual(cursor(6));
  });

  it('closes another watch, which then hears nothing of the same frame', async () => {
    const r = rig();
    const [one, two] = [watchOrder(r.client, '42'), watchOrder(r.client, '42')];
    await r.welcome();
    r.link.give(start({ w: 1 }), start({ w: 2 }));
    const said: string[] = [];
    one.on('position', () => two.close());
    two.on('position', () => said.push('position'));
    r.link.give(positions([3, 0, [tuple(1, 7, 18)]]));
    expect(said).toEqual([]);
  });

  it('closes the client', async () => {
    const { r, watch } = await watched();
    const said: string[] = [];
    watch.on('event', () => r.client.close());
    watch.on('status', () => said.push('status'));
    r.link.give(start({ cursor: cursor(6), events: [plain(5), plain(6)] }));
    expect(said).toEqual([]);
    expect(watch).toMatchObject({ freshness: 'lost', cursor: cursor(5) });
    expect(r.client.info.state).toBe('closed');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a question', () => {
  it('whose answer was lost is asked again', async () => {
    const { r, watch } = await watched();
    r.link.give(event(6));
    await pass(r.link, 11_000);
    expect(r.link.of('watch')).toHaveLength(2);
    r.link.give(start({ cursor: cursor(6), events: [plain(5), plain(6)] }));
    expect(watch.cursor).toEqual(cursor(6));
  });

  it('is not asked twice when the link is lost before it is time', async () => {
    const { r } = await watched();
    r.link.give(event(6), { t: 'error', code: 'unavailable', message: '', w: 1, retryable: true });
    r.link.close(1006);
    r.gateway.happens('online');
    await settle(300);
    const link = await r.welcome();
    await settle(2000);
    expect(link.of('hello')[0]!.watch).toHaveLength(1);
    expect(link.of('watch')).toEqual([]);
  });

  it('answered twice leaves the watch where the last answer is', async () => {
    const { r, watch } = await watched();
    const events: number[] = [];
    watch.on('event', (e) => events.push(e.offset));
    r.link.give(event(6));
    r.link.give(start({ cursor: cursor(6), reset: 'unknown', order: order({ version: 6 }) }), event(7));
    r.link.give(start({ cursor: cursor(8), events: [plain(5), plain(6), plain(7), plain(8)] }), event(9));
    expect(events).toEqual([7, 8, 9]);
    expect(watch.cursor).toEqual(cursor(9));
    expect(r.link.of('watch')).toHaveLength(1);
  });
});
