import { describe, expect, it, vi } from 'vitest';
import { watchOrder } from '../src/order.ts';
import type { OrderWatch } from '../src/types.ts';
import {
  again,
  cursor,
  event,
  order,
  positions,
  type Rig,
  rig,
  settle,
  stillTime,
  tuple,
  watching,
  welcome,
} from './pair.ts';

stillTime();

/** Everything the watch says, in order. */
function log(watch: OrderWatch): string[] {
  const lines: string[] = [];
  watch.on('event', (e) => lines.push(`event ${e.offset}${e.replayed ? ' replayed' : ''}`));
  watch.on('status', (e) => lines.push(`status ${e.status}`));
  watch.on('gap', (e) => lines.push(`gap ${e.missed}`));
  watch.on('eta', (e) => lines.push(`eta ${e.at}`));
  watch.on('position', (p) => lines.push(`at ${p.lat}`));
  watch.on('freshness', (f) => lines.push(f));
  watch.on('end', (o) => lines.push(`end ${o.status}`));
  watch.on('error', (e) => lines.push(`error ${e.code}`));
  return lines;
}

const start = (over = {}) => watching({ cursor: cursor(4), order: order(), ...over });

async function watched(over = {}): Promise<{ r: Rig; watch: OrderWatch; lines: string[] }> {
  const r = rig();
  const watch = watchOrder(r.client, '42');
  const lines = log(watch);
  await r.welcome();
  r.link.give(start(over));
  lines.length = 0;
  return { r, watch, lines };
}

describe('subscribing', () => {
  it('travels in the hello, and in a message of its own on a link that is live', async () => {
    const r = rig();
    watchOrder(r.client, '42', { maxHz: 2 });
    const link = await r.welcome();
    expect(link.of('hello')[0]!.watch).toEqual([{ w: 1, channel: 'order:42', maxHz: 2 }]);
    watchOrder(r.client, '43');
    expect(link.of('watch')).toEqual([{ t: 'watch', w: 2, channel: 'order:43' }]);
  });

  it('is asked for after the welcome when it came between hello and welcome', async () => {
    const r = rig();
    await settle();
    r.link.open();
    watchOrder(r.client, '42');
    expect(r.link.of('watch')).toEqual([]);
    r.link.give(welcome());
    expect(r.link.of('watch')).toHaveLength(1);
  });

  it('starts from one frame: snapshot, position, cursor, freshness', async () => {
    const { watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]], order: order({ eta: 5000 }) });
    expect(watch.snapshot).toMatchObject({ id: '42', status: 'picked_up', eta: { at: 5000 } });
    expect(watch.snapshot!.position).toEqual({
      lat: 52.51647,
      lng: 13.40497,
      at: Date.now() - 400,
      heading: 85,
      speed: 6.2,
      accuracy: 5,
    });
    expect(watch.cursor).toEqual(cursor(4));
    expect(watch.freshness).toBe('live');
  });

  it('asks again, a little later, when the gateway is not able to say', async () => {
    const r = rig();
    watchOrder(r.client, '42');
    const link = await r.welcome();
    link.give({ t: 'error', code: 'unavailable', message: '', w: 1, retryable: true });
    await settle(1000);
    expect(link.of('watch')).toEqual([{ t: 'watch', w: 1, channel: 'order:42' }]);
  });

  it('is over with an error when there is nothing to see, also after a reconnect', async () => {
    const r = rig();
    const watch = watchOrder(r.client, '42');
    const lines = log(watch);
    await r.welcome();
    r.link.give({ t: 'error', code: 'not_found', message: 'no such order', w: 1 });
    expect(lines).toEqual(['lost', 'error not_found']);
    const link = await again(r);
    expect(link.of('hello')[0]!.watch).toEqual([]);
  });

  it('unwatches when closed, and ignores what was on the way', async () => {
    const { r, watch, lines } = await watched();
    watch.close();
    expect(r.link.of('unwatch')).toEqual([{ t: 'unwatch', w: 1 }]);
    r.link.give(event(5), positions([3, 0, [tuple(1, 7, 18)]]));
    expect(lines).toEqual(['lost']);
  });

  it('serves two watches of one order', async () => {
    const r = rig();
    const lines = [log(watchOrder(r.client, '42')), log(watchOrder(r.client, '42'))];
    await r.welcome();
    r.link.give(start({ w: 1 }), start({ w: 2 }), event(5), event(5));
    expect(lines.map((l) => l.filter((line) => line.startsWith('event')))).toEqual([
      ['event 5'],
      ['event 5'],
    ]);
  });
});

describe('events', () => {
  it('are applied once and in order; duplicates are dropped', async () => {
    const { r, lines, watch } = await watched();
    r.link.give(event(5), event(5), event(6), event(6));
    expect(lines).toEqual(['event 5', 'status s5', 'event 6', 'status s6']);
    expect(watch.cursor).toEqual(cursor(6));
    expect(watch.snapshot!.status).toBe('s6');
  });

  it.each([
    ['an offset is missing', event(6, { prev: 'e5' })],
    ['the entry before is another one', event(5, { prev: 'phantom' })],
    ['one below ours is another one: the log may have gone back', event(3, { id: 'phantom' })],
  ])('are asked for again with the cursor when %s, and ignored until the answer', async (_, odd) => {
    const { r, lines } = await watched();
    r.link.give(odd);
    expect(r.link.of('watch')).toEqual([{ t: 'watch', w: 1, channel: 'order:42', since: cursor(4) }]);
    r.link.give(event(5));
    expect(lines).toEqual([]);
    const { t: _t, c: _c, ...five } = event(5);
    const { t: _t6, c: _c6, ...six } = event(6);
    r.link.give(start({ cursor: cursor(6), events: [five, six] }));
    expect(lines).toEqual(['event 5 replayed', 'status s5', 'event 6 replayed', 'status s6']);
    r.link.give(event(7));
    expect(lines.slice(4)).toEqual(['event 7', 'status s7']);
  });

  it('move the cursor before the app is told, and a throwing app moves it too', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const { r, watch } = await watched();
    let seen: unknown;
    watch.on('event', () => {
      seen = watch.cursor;
      throw new Error('app bug');
    });
    r.link.give(event(5));
    expect(seen).toEqual(cursor(5));
    expect(watch.cursor).toEqual(cursor(5));
  });

  it('resume from the cursor in the next hello', async () => {
    const { r, lines } = await watched();
    r.link.give(event(5));
    const link = await again(r);
    expect(link.of('hello')[0]!.watch).toEqual([{ w: 1, channel: 'order:42', since: cursor(5) }]);
    const { t: _t, c: _c, ...six } = event(6);
    link.give(start({ c: 9, cursor: cursor(6), events: [six], order: order({ status: 's6', version: 6 }) }));
    expect(lines.filter((l) => l.startsWith('event'))).toEqual(['event 5', 'event 6 replayed']);
    link.give(event(7, { c: 3 }), event(7, { c: 9 }));
    expect(lines.filter((l) => l === 'event 7')).toHaveLength(1);
  });

  it('tell of a gap, and go on from the snapshot, when they cannot be resumed', async () => {
    const { r, lines, watch } = await watched();
    const link = await again(r);
    link.give(
      start({
        cursor: cursor(9),
        reset: 'trimmed',
        missed: 5,
        order: order({ status: 'arriving', version: 9 }),
      }),
    );
    expect(lines).toContain('gap 5');
    expect(lines).toContain('status arriving');
    expect(watch.cursor).toEqual(cursor(9));
    link.give(event(10));
    expect(lines).toContain('event 10');
  });

  it('take the word of the gateway when its log went back', async () => {
    const { r, lines, watch } = await watched();
    r.link.give(
      start({ cursor: cursor(2, 'k2'), reset: 'epoch', order: order({ status: 'assigned', version: 2 }) }),
    );
    expect(lines).toEqual(['gap unknown', 'status assigned']);
    expect(watch.cursor).toEqual(cursor(2, 'k2'));
  });

  it.each([
    ['ahead', cursor(2)],
    ['diverged', { ...cursor(4), id: 'another' }],
    ['diverged', { ...cursor(9), id: 'another' }],
    ['lost', cursor(4)],
    [undefined, cursor(2)],
    [undefined, { ...cursor(4), id: 'another' }],
  ] as const)('go where the gateway stands when it says %s, at %o', async (reset, to) => {
    const { r, lines, watch } = await watched();
    const state = order({ status: 'assigned', version: to.offset });
    r.link.give(start({ cursor: to, order: state, ...(reset ? { reset } : {}) }));
    expect(lines).toEqual(['gap unknown', 'status assigned']);
    expect(watch.cursor).toEqual(to);
  });

  it('that have an offset of ours and an id we never saw are no duplicates: another log is asked for', async () => {
    const { r, lines } = await watched();
    r.link.give(event(5), event(5, { id: 'another' }));
    expect(r.link.of('watch')).toEqual([{ t: 'watch', w: 1, channel: 'order:42', since: cursor(5) }]);
    expect(lines.filter((l) => l.startsWith('event'))).toEqual(['event 5']);
  });

  it('that never fit are asked for ever more slowly', async () => {
    const { r } = await watched();
    const asked: number[] = [];
    for (let n = 0; n < 300; n++) {
      const before = r.link.of('watch').length;
      r.link.give(event(9), start());
      if (r.link.of('watch').length > before) asked.push(n);
      r.link.give({ t: 'beat', now: Date.now() });
      await settle(100);
    }
    expect(r.link.of('watch').length).toBeLessThan(10);
  });

  it('go on from a cursor of an earlier run of the app', async () => {
    const r = rig();
    const watch = watchOrder(r.client, '42', { since: cursor(4) });
    const lines = log(watch);
    const link = await r.welcome();
    expect(link.of('hello')[0]!.watch![0]!.since).toEqual(cursor(4));
    link.give(start());
    expect(watch.snapshot!.status).toBe('picked_up');
    expect(lines).toEqual(['live']);
  });

  it('are acknowledged together, within 5 s', async () => {
    const { r } = await watched();
    for (let n = 5; n < 5 + 33; n++) r.link.give(event(n));
    await settle(5000);
    expect(r.link.of('ack')).toEqual([{ t: 'ack', w: 1, offset: 37 }]);
  });
});

describe('the end', () => {
  it('comes with the last event, once, and takes the position away', async () => {
    const { r, lines, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    const ended = order({ status: 'delivered', at: 2000, version: 5, ended: true });
    r.link.give(event(5, { order: ended }), { t: 'closed', w: 1, reason: 'ended', order: ended });
    expect(lines).toEqual(['event 5', 'status delivered', 'ended', 'end delivered']);
    expect(watch.snapshot!.position).toBeUndefined();
    const link = await again(r);
    expect(link.of('hello')[0]!.watch).toEqual([]);
  });

  it('comes with closed alone when the last event was lost', async () => {
    const { r, lines } = await watched();
    const last = order({ status: 'delivered', version: 6, ended: true });
    r.link.give({ t: 'closed', w: 1, reason: 'ended', order: last });
    expect(lines).toEqual(['gap unknown', 'status delivered', 'ended', 'end delivered']);
  });

  it('is an error when the grant is gone', async () => {
    const { r, lines } = await watched();
    r.link.give({ t: 'closed', w: 1, reason: 'denied' });
    expect(lines).toEqual(['lost', 'error denied']);
  });
});

describe('positions', () => {
  it('never go back, across links either', async () => {
    const { r, lines } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    r.link.give(positions([3, 0, [tuple(1, 7, 16)]]), positions([3, 0, [tuple(1, 6, 99)]]));
    const link = await again(r);
    link.give(start({ block: [3, 1, [tuple(1, 7, 12)]] }));
    expect(lines.filter((l) => l.startsWith('at'))).toEqual([]);
    link.give(positions([3, 0, [tuple(1, 7, 18)]]));
    expect(lines.filter((l) => l.startsWith('at'))).toHaveLength(1);
  });

  it('under a number of the link before are somebody else’s', async () => {
    const { r, watch } = await watched();
    const link = await again(r);
    link.give(positions([3, 0, [tuple(1, 7, 99)]]));
    expect(watch.snapshot!.position).toBeUndefined();
  });

  it('follow the rider who took over, whatever its session, and never the one before', async () => {
    const { r, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    r.link.give(event(5, { order: order({ status: 'assigned', version: 5, assignment: 2 }) }));
    expect(watch.snapshot!.position).toBeUndefined();
    r.link.give(positions([3, 0, [tuple(1, 9, 90)]]));
    expect(watch.snapshot!.position).toBeUndefined();
    r.link.give(positions([3, 0, [tuple(2, 1, 1)]]));
    expect(watch.snapshot!.position).toMatchObject({ lat: 52.51631 });
  });

  it('disappear when they are hidden or nobody has one, and come back only newer or equal', async () => {
    const { r, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    r.link.give(positions([3, 0, [], undefined, [[1, 'hidden']]]));
    expect(watch.snapshot!.position).toBeUndefined();
    r.link.give(positions([3, 0, [tuple(1, 7, 16)]]));
    expect(watch.snapshot!.position).toBeUndefined();
    r.link.give(positions([3, 0, [tuple(1, 7, 17)]]));
    expect(watch.snapshot!.position).toBeDefined();
    r.link.give(positions([3, 1, []]));
    expect(watch.snapshot!.position).toBeUndefined();
  });

  it('leave the snapshot as it is when nothing changed', async () => {
    const { r, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    const before = watch.snapshot;
    r.link.give(positions([3, 0, [tuple(1, 7, 17)]]), positions([4, 0, [tuple(1, 7, 18)]]));
    expect(watch.snapshot).toBe(before);
  });
});

describe('freshness', () => {
  it('is the word of the gateway while it is heard', async () => {
    const { r, watch, lines } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    r.link.give(positions([3, 0, [tuple(1, 7, 17, { 6: 1 })]]));
    expect(watch.freshness).toBe('stale');
    r.link.give(positions([3, 0, [tuple(1, 7, 17, { 6: 2 })]]), positions([3, 0, [tuple(1, 7, 18)]]));
    expect(lines.filter((l) => !l.startsWith('at'))).toEqual(['stale', 'lost', 'live']);
    await settle(29_000);
    r.link.give({ t: 'beat', now: Date.now() });
    await settle(29_000);
    expect(watch.freshness).toBe('live');
  });

  it('decays by the age of the position while there is no link', async () => {
    const { r, lines } = await watched({ block: [3, 1, [tuple(1, 7, 17, { 5: 10_000 })]] });
    r.link.close(1006);
    r.client.pause();
    await settle(19_999);
    expect(lines).toEqual([]);
    await settle(1);
    expect(lines).toEqual(['stale']);
    await settle(90_000);
    expect(lines).toEqual(['stale', 'lost']);
  });

  it('does not claim live when the link is open and silent', async () => {
    const { watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    await settle(30_000);
    expect(watch.freshness).toBe('stale');
  });

  it('is what it is at once after the device slept', async () => {
    const { r, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    vi.setSystemTime(Date.now() + 3_600_000);
    r.link.close(1006);
    expect(watch.freshness).toBe('lost');
  });

  it('is live again only with the next watching', async () => {
    const { r, watch } = await watched({ block: [3, 1, [tuple(1, 7, 17)]] });
    r.client.pause();
    await settle(60_000);
    r.client.resume();
    await settle(300);
    const link = await r.welcome();
    expect(watch.freshness).toBe('stale');
    link.give(start({ block: [3, 1, [tuple(1, 7, 77)]] }));
    expect(watch.freshness).toBe('live');
  });
});
