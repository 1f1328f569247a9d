import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { watchFleet } from '../src/fleet.ts';
import type { Fleet, FleetOptions, Selector } from '../src/types.ts';
import { again, event, order, positions, rig, settle, stillTime, tuple, watching } from './pair.ts';

stillTime();

function log(fleet: Fleet): string[] {
  const lines: string[] = [];
  fleet.on('batch', (ids) => lines.push(`batch ${[...ids].sort()}`));
  fleet.on('enter', (id) => lines.push(`enter ${id}`));
  fleet.on('leave', (id) => lines.push(`leave ${id}`));
  fleet.on('status', (s) => lines.push(`status ${s.id} ${s.status}`));
  fleet.on('freshness', (f) => lines.push(f));
  fleet.on('error', (e) => lines.push(`error ${e.code}`));
  return lines;
}

async function watched(selector: Selector = { zone: '7' }, o?: FleetOptions) {
  const r = rig();
  const fleet = watchFleet(r.client, selector, o);
  const lines = log(fleet);
  await r.welcome();
  return { r, fleet, lines };
}

const zone = (over = {}) =>
  watching({
    channel: 'zone:7',
    block: [
      3,
      1,
      [tuple(1, 7, 17), tuple(2, 8, 3)],
      [
        [1, 'ann', []],
        [2, 'bob', ['42']],
      ],
    ],
    ...over,
  });

const where = (fleet: Fleet) =>
  Object.fromEntries(
    [...(fleet.snapshot ?? [])].map(([id, i]) => [id, Math.round(i.position.lat * 1e5 - 5_251_630)]),
  );

describe('a zone', () => {
  it('starts from one frame and tells of it in one batch', async () => {
    const { r, fleet, lines } = await watched();
    expect(r.link.of('hello')[0]!.watch).toEqual([{ w: 1, channel: 'zone:7' }]);
    expect(fleet.snapshot).toBeUndefined();
    r.link.give(zone());
    await settle(16);
    expect(lines).toEqual(['live', 'enter ann', 'enter bob', 'batch ann,bob']);
    expect(fleet.snapshot!.get('bob')).toMatchObject({ id: 'bob', freshness: 'live', orders: ['42'] });
    expect(where(fleet)).toEqual({ ann: 17, bob: 3 });
  });

  it('tells once that it is empty', async () => {
    const { r, fleet, lines } = await watched();
    const changes: number[] = [];
    fleet.on('change', (items) => changes.push(items.size));
    const nobody = zone({ block: [3, 1, []] });
    r.link.give(nobody);
    await settle(16);
    expect(changes).toEqual([0]);
    await again(r);
    r.link.give(nobody);
    await settle(16);
    expect(changes).toEqual([0]);
    expect(lines.filter((line) => /batch/.test(line))).toEqual([]);
  });

  it('merges all that moved within 16 ms', async () => {
    const { r, lines, fleet } = await watched();
    r.link.give(zone());
    await settle(16);
    const before = fleet.snapshot;
    lines.length = 0;
    r.link.give(positions([3, 0, [tuple(1, 7, 18)]]), positions([3, 0, [tuple(2, 8, 4), tuple(1, 7, 19)]]));
    expect(fleet.snapshot).toBe(before);
    await settle(16);
    expect(lines).toEqual(['batch ann,bob']);
    expect(where(fleet)).toEqual({ ann: 19, bob: 4 });
  });

  it('waits for the next frame that is drawn, and not for ever', async () => {
    const frames: (() => void)[] = [];
    vi.stubGlobal('requestAnimationFrame', (run: () => void) => frames.push(run));
    onTestFinished(() => void vi.unstubAllGlobals());
    const { r, lines, fleet } = await watched();
    const batches = () => lines.filter((line) => line.startsWith('batch'));
    r.link.give(zone());
    r.link.give(positions([3, 0, [tuple(1, 7, 18)]]));
    await settle(50);
    expect([frames.length, batches()]).toEqual([1, []]);
    frames.pop()!();
    expect(batches()).toEqual(['batch ann,bob']);
    r.link.give(positions([3, 0, [tuple(1, 7, 19)]]));
    await settle(100);
    expect(batches().at(-1)).toBe('batch ann');
    frames.pop()!(); // late: there is nothing left to tell
    expect(batches().length).toBe(2);
    r.link.give(positions([3, 0, [tuple(1, 7, 20)]]));
    fleet.close();
    frames.pop()!();
    expect(where(fleet)).toMatchObject({ ann: 19 });
  });

  it('lets riders in and out', async () => {
    const { r, lines, fleet } = await watched();
    r.link.give(zone());
    await settle(16);
    lines.length = 0;
    r.link.give(positions([3, 0, [tuple(5, 1, 1)], [[5, 'eve', []]], [[1, 'left']]]));
    await settle(16);
    expect(lines).toEqual(['leave ann', 'enter eve', 'batch ann,eve']);
    expect(Object.keys(where(fleet)).sort()).toEqual(['bob', 'eve']);
  });

  it('never goes back: not by a late frame, not on a new link with new refs, not by leaving and returning', async () => {
    const { r, fleet } = await watched();
    r.link.give(zone());
    r.link.give(positions([3, 0, [tuple(1, 7, 16), tuple(2, 7, 99)]]));
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 17, bob: 3 });
    const link = await again(r);
    link.give(
      zone({
        block: [
          3,
          1,
          [tuple(1, 8, 2), tuple(2, 7, 18)],
          [
            [1, 'bob', []],
            [2, 'ann', []],
          ],
        ],
      }),
    );
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 18, bob: 3 });
    link.give(positions([3, 0, [], undefined, [[2, 'left']]]));
    await settle(16);
    expect(where(fleet)).toEqual({ bob: 3 });
    link.give(positions([3, 0, [tuple(4, 7, 15)], [[4, 'ann', []]]]));
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 18, bob: 3 });
    link.give(positions([3, 0, [tuple(4, 7, 19)]]));
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 19, bob: 3 });
  });

  it('drops who is not in a full block, and ignores refs it was not told of', async () => {
    const { r, fleet, lines } = await watched();
    r.link.give(zone());
    await settle(16);
    const resets: number[] = [];
    fleet.on('reset', (n) => resets.push(n));
    const link = await again(r);
    link.give(zone({ block: [3, 1, [tuple(4, 8, 5), tuple(1, 9, 9)], [[4, 'bob', []]]] }));
    await settle(16);
    expect(where(fleet)).toEqual({ bob: 5 });
    expect(lines).toContain('leave ann');
    expect(resets).toEqual([1]);
  });

  it('keeps who is in the rest of a large zone that follows', async () => {
    const { r, fleet, lines } = await watched();
    r.link.give(zone());
    await settle(16);
    const link = await again(r);
    lines.length = 0;
    link.give(zone({ more: true, block: [3, 1, [tuple(4, 8, 5)], [[4, 'bob', []]]] }));
    await settle(250);
    link.give({ ...positions([3, 0, []]), more: [3] });
    await settle(10_000);
    link.give(positions([3, 0, [tuple(5, 7, 20)], [[5, 'ann', []]]]));
    await settle(16);
    expect(lines.filter((l) => /enter|leave/.test(l))).toEqual([]);
    expect(where(fleet)).toEqual({ ann: 20, bob: 5 });
  });

  it('drops who was in no part, with the last part', async () => {
    const { r, fleet, lines } = await watched();
    const resets: number[] = [];
    fleet.on('reset', (n) => resets.push(n));
    r.link.give(zone());
    const link = await again(r);
    link.give(zone({ more: true, block: [3, 1, [tuple(4, 8, 5)], [[4, 'bob', []]]] }));
    link.give({ ...positions([3, 0, [tuple(5, 1, 1)], [[5, 'eve', []]]]), more: [9, 3] });
    link.give(positions([4, 0, []]));
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 17, bob: 5, eve: 1 });
    link.give({ ...positions([3, 0, []]), more: [9] });
    await settle(16);
    expect(where(fleet)).toEqual({ bob: 5, eve: 1 });
    expect(lines).toContain('leave ann');
    expect(resets).toEqual([2, 2]);
  });

  it('begins anew when the link is lost between the parts', async () => {
    const { r, fleet } = await watched();
    r.link.give(zone());
    const cut = await again(r);
    cut.give(zone({ more: true, block: [3, 1, [tuple(4, 8, 5)], [[4, 'bob', []]]] }));
    const link = await again(r);
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 17, bob: 5 });
    link.give(zone({ c: 6, block: [6, 1, [tuple(1, 7, 18)], [[1, 'ann', []]]] }));
    await settle(16);
    expect(where(fleet)).toEqual({ ann: 18 });
  });

  it('takes in no more than maxItems', async () => {
    const { r, fleet } = await watched({ zone: '7' }, { maxItems: 1 });
    r.link.give(zone());
    await settle(16);
    expect(fleet.snapshot!.size).toBe(1);
  });

  it('keeps those it has when all are told anew, in another order, with no room for more', async () => {
    const { r, fleet, lines } = await watched({ zone: '7' }, { maxItems: 1 });
    const riders = [
      [1, 'a', []],
      [2, 'b', []],
    ] as const;
    const all = (...refs: number[]) =>
      watching({
        channel: 'zone:7',
        block: [3, 1, refs.map((ref) => tuple(ref, 7, 1)), refs.map((ref) => [...riders[ref - 1]!]) as never],
      });
    r.link.give(all(1, 2));
    await settle(16);
    r.link.give(all(2, 1));
    await settle(16);
    expect([...fleet.snapshot!.keys()]).toEqual(['a']);
    expect(lines.filter((l) => /enter|leave/.test(l))).toEqual(['enter a']);
  });

  it('goes stale and lost while the gateway is away', async () => {
    const { r, fleet, lines } = await watched();
    r.link.give(zone());
    r.client.pause();
    await settle(30_000);
    expect(fleet.freshness).toBe('stale');
    await settle(90_000);
    expect(fleet.freshness).toBe('lost');
    r.client.resume();
    await settle(300);
    await r.welcome();
    expect(fleet.freshness).toBe('lost');
    r.link.give(zone());
    expect(lines.filter((l) => /live|stale|lost/.test(l))).toEqual(['live', 'stale', 'lost', 'live']);
  });

  it('can be retargeted without a flicker: who is not there leaves when the new zone is whole', async () => {
    const { r, fleet, lines } = await watched();
    r.link.give(zone());
    await settle(16);
    const { ann } = where(fleet);
    lines.length = 0;
    fleet.retarget({ zone: '8' });
    expect(r.link.sent.slice(-2)).toEqual([
      { t: 'unwatch', w: 1 },
      { t: 'watch', w: 2, channel: 'zone:8' },
    ]);
    await settle(16);
    expect(lines).toEqual([]);
    expect(where(fleet)).toEqual({ ann, bob: 3 });
    r.link.give(zone({ w: 2, channel: 'zone:8', block: [3, 1, [tuple(4, 8, 5)], [[4, 'bob', []]]] }));
    await settle(16);
    expect(lines).toEqual(['leave ann', 'batch ann,bob']);
    expect(where(fleet)).toEqual({ bob: 5 });
  });

  it('can be retargeted after a refusal, and not when closed', async () => {
    const { r, fleet, lines } = await watched();
    r.link.give(zone());
    fleet.retarget({ zone: '8' });
    r.link.give({ t: 'error', code: 'not_allowed', message: '', w: 2 });
    expect(lines.slice(-2)).toEqual(['lost', 'error not_allowed']);
    await settle(16);
    expect(where(fleet)).toEqual({});
    fleet.retarget({ zone: '7' });
    r.link.give(zone({ w: 3 }));
    await settle(16);
    expect(fleet.freshness).toBe('live');
    expect(where(fleet)).toEqual({ ann: 17, bob: 3 });
    fleet.close();
    fleet.retarget({ zone: '8' });
    expect(r.link.of('watch')).toHaveLength(2);
  });
});

describe('a partner', () => {
  const partner = (orders = [order({ id: '42', status: 'assigned', version: 2 })]) =>
    watching({ channel: 'partner:9', block: [3, 1, [tuple(1, 7, 17)], [[1, 'ann', ['42']]], [], orders] });

  it('knows its orders, and their status on the dots', async () => {
    const { r, fleet, lines } = await watched({ partner: '9' });
    r.link.give(partner());
    await settle(16);
    expect(fleet.snapshot!.get('ann')).toMatchObject({ status: 'assigned', orders: ['42'] });
    expect(lines.filter((l) => l.startsWith('status'))).toEqual([]);
    const next = order({ id: '42', status: 'picked_up', version: 3 });
    r.link.give(positions([3, 0, [], undefined, undefined, [next]]));
    await settle(16);
    expect(lines).toContain('status 42 picked_up');
    expect(fleet.snapshot!.get('ann')!.status).toBe('picked_up');
    r.link.give(positions([3, 0, [], undefined, undefined, [order({ id: '42', version: 2 })]]));
    expect(fleet.orders.get('42')!.version).toBe(3);
  });

  it('forgets orders that ended, or are gone after a reconnect', async () => {
    const { r, fleet, lines } = await watched({ partner: '9' });
    r.link.give(partner([order({ id: '42' }), order({ id: '43' })]));
    const ended = order({ id: '42', status: 'delivered', version: 9, ended: true });
    r.link.give(positions([3, 0, [], undefined, [[1, 'ended']], [ended]]));
    expect([...fleet.orders.keys()]).toEqual(['43']);
    expect(lines).toContain('status 42 delivered');
    const link = await again(r);
    link.give(partner([]));
    expect([...fleet.orders.keys()]).toEqual([]);
  });

  it('has no riders and no orders any more when it is refused', async () => {
    const { r, fleet, lines } = await watched({ partner: '9' });
    r.link.give(partner());
    await settle(16);
    lines.length = 0;
    r.link.give({ t: 'closed', w: 1, reason: 'denied' });
    expect([...fleet.orders.keys()]).toEqual([]);
    await settle(16);
    expect(where(fleet)).toEqual({});
    expect(lines).toEqual(['lost', 'error denied', 'leave ann', 'batch ann']);
  });

  it('can be turned elsewhere by who hears that nothing is there', async () => {
    const { r, fleet } = await watched({ partner: '9' });
    r.link.give(partner());
    const off = fleet.on('reset', () => {
      off();
      fleet.retarget({ zone: '7' });
    });
    r.link.give({ t: 'closed', w: 1, reason: 'denied' }, zone({ w: 2 }));
    await settle(16);
    expect(fleet.freshness).toBe('live');
    expect(where(fleet)).toEqual({ ann: 17, bob: 3 });
  });

  it('tells every part of a large one anew, be the log of an order begun again', async () => {
    const { r, fleet } = await watched({ partner: '9' });
    r.link.give(partner([order({ id: '42' }), order({ id: '43' }), order({ id: '44' })]));
    const link = await again(r);
    const part = partner([order({ id: '43', version: 2, status: 'assigned' })]);
    link.give({ ...part, more: true });
    await settle(16);
    expect([...fleet.orders.keys()]).toEqual(['42', '43', '44']);
    link.give(positions([3, 0, [], [], [], [order({ id: '42', version: 1, status: 'created' })]]));
    expect([...fleet.orders.values()].map(({ id, version }) => [id, version])).toEqual([
      ['42', 1],
      ['43', 2],
    ]);
  });

  it('can be closed, or turned elsewhere, by who hears of an order', async () => {
    const orders = ['42', '43'].map((id) => order({ id, version: 9, status: 'x' }));
    const news = positions([3, 0, [tuple(1, 7, 18)], [], [], orders]);
    for (const turn of [(f: Fleet) => f.close(), (f: Fleet) => f.retarget({ zone: '7' })]) {
      const { r, fleet, lines } = await watched({ partner: '9' });
      r.link.give(partner());
      await settle(16);
      lines.length = 0;
      fleet.on('status', () => turn(fleet));
      r.link.give(news);
      await settle(100);
      expect(where(fleet)).toEqual({ ann: 17 });
      expect([...fleet.orders.keys()]).toEqual(['42']);
      expect(lines.filter((l) => /enter|leave/.test(l))).toEqual([]);
    }
  });
});

describe('a list of orders', () => {
  it('tells the last status once, though the end brings it again', async () => {
    const { r, lines } = await watched({ orders: ['42'] });
    r.link.give(watching({ order: order(), block: [3, 1, []] }));
    const ended = order({ version: 5, status: 'delivered', ended: true });
    r.link.give(event(5, { order: ended }), { t: 'closed', w: 1, reason: 'ended', order: ended });
    expect(lines.filter((l) => l.startsWith('status'))).toHaveLength(1);
  });

  it('shows the rider of each assignment, and none of a number it was not told of', async () => {
    const { r, fleet, lines } = await watched({ orders: ['42'] });
    r.link.give(watching({ order: order(), block: [3, 1, [tuple(1, 7, 17)]] }));
    r.link.give(positions([3, 0, [tuple(2, 3, 5)]]));
    await settle(16);
    expect(where(fleet)).toEqual({ '42': 17 });
    r.link.give(event(5, { order: order({ version: 5, assignment: 2 }) }));
    r.link.give(positions([3, 0, [], undefined, [[1, 'hidden']]]));
    await settle(16);
    expect(where(fleet)).toEqual({});
    r.link.give(positions([3, 0, [tuple(2, 3, 5)]]), positions([3, 0, [tuple(2, 3, 4)]]));
    await settle(16);
    expect(where(fleet)).toEqual({ '42': 5 });
    expect(lines.filter((l) => /enter|leave/.test(l))).toEqual(['enter 42', 'leave 42', 'enter 42']);
  });

  it('forgets an order that may not be seen any more, and keeps the others', async () => {
    const { r, fleet, lines } = await watched({ orders: ['42', '43'] });
    r.link.give(watching({ w: 1, c: 3, order: order({ id: '42' }), block: [3, 1, [tuple(1, 7, 17)]] }));
    r.link.give(watching({ w: 2, c: 4, order: order({ id: '43' }), block: [4, 1, [tuple(1, 8, 2)]] }));
    r.link.give({ t: 'closed', w: 1, reason: 'denied' });
    await settle(16);
    expect(where(fleet)).toEqual({ '43': 2 });
    expect([...fleet.orders.keys()]).toEqual(['43']);
    expect(lines).toContain('error denied');
    expect(fleet.freshness).toBe('live');
  });

  it('is one watch each, once each, and a dot named by the order', async () => {
    const { r, fleet, lines } = await watched({ orders: ['42', '43', '42'] });
    expect(r.link.of('hello')[0]!.watch).toMatchObject([
      { w: 1, channel: 'order:42' },
      { w: 2, channel: 'order:43' },
    ]);
    r.link.give(watching({ w: 1, c: 3, order: order({ id: '42' }), block: [3, 1, [tuple(1, 7, 17)]] }));
    expect(fleet.freshness).toBe('catching-up');
    r.link.give(watching({ w: 2, c: 4, order: order({ id: '43' }), block: [4, 1, []] }));
    expect(fleet.freshness).toBe('live');
    r.link.give(positions([4, 0, [tuple(1, 9, 1)]], [3, 0, [tuple(1, 7, 16)]]));
    await settle(16);
    expect(where(fleet)).toEqual({ '42': 17, '43': 1 });
    r.link.give(event(5, { c: 4, order: order({ id: '43', status: 'arriving', version: 5 }) }));
    expect(lines).toContain('status 43 arriving');
    const last = order({ id: '43', status: 'delivered', version: 6, ended: true });
    r.link.give({ t: 'closed', w: 2, reason: 'ended', order: last });
    await settle(16);
    expect(where(fleet)).toEqual({ '42': 17 });
    expect([...fleet.orders.keys()]).toEqual(['42']);
    expect(fleet.freshness).toBe('live');
  });
});

it('keeps the dots that both lists have, and drops the others, when a list is retargeted', async () => {
  const { r, fleet, lines } = await watched({ orders: ['42', '43'] });
  r.link.give(watching({ w: 1, c: 3, order: order({ id: '42' }), block: [3, 1, [tuple(1, 7, 17)]] }));
  r.link.give(watching({ w: 2, c: 4, order: order({ id: '43' }), block: [4, 1, [tuple(1, 8, 2)]] }));
  await settle(16);
  lines.length = 0;
  fleet.retarget({ orders: ['43', '44'] });
  await settle(16);
  expect(lines).toEqual(['leave 42', 'batch 42']);
  expect([...fleet.orders.keys()]).toEqual(['43']);
});

it('closes: unwatches and says nothing more', async () => {
  const { r, fleet, lines } = await watched();
  r.link.give(zone());
  fleet.close();
  expect(r.link.of('unwatch')).toEqual([{ t: 'unwatch', w: 1 }]);
  await settle(100_000);
  expect(lines).toEqual(['live', 'lost']);
});
